//! The driver of one of equals: it checks whether requests may be sent to it, and nothing else.

mod check;
mod settings;

use tenure_core::agent::{Action, Feat, Observation, Observed};
use tenure_core::{Attributes, Health, Millis, Presence};
use tokio::time::Instant;

use super::presence::PresenceTeller;
use super::{ConfigError, Doing, Driver, DriverError, InstanceAt, PresenceWatch, note};
use check::{Checked, Failed};
use settings::Settings;

/// Finer steps of load than this are not told: each costs everybody who watches a change.
const LOAD_STEP: u64 = 10;
const LOAD_MAX: u64 = 1_000;

/// The driver of one peer.
pub(super) struct Peer {
    settings: Settings,
    presence: PresenceTeller,
    standing: Standing,
    due: Instant,
    latest: Latest,
}

/// What the latest check came to.
#[derive(Debug, Default)]
struct Latest {
    presence: Option<Presence>,
    load: Option<u64>,
    failure: Option<String>,
}

/// Whether it takes part, by how many checks in a row have gone well or not.
#[derive(Debug, Default)]
struct Standing {
    serves: Option<bool>,
    in_a_row: u32,
    went_well: bool,
}

impl Standing {
    fn count(&mut self, well: bool, rise: u32, fall: u32) {
        if well == self.went_well {
            self.in_a_row = self.in_a_row.saturating_add(1);
        } else {
            self.went_well = well;
            self.in_a_row = 1;
        }
        if self.in_a_row >= if well { rise } else { fall } {
            self.serves = Some(well);
        }
    }

    fn health(&self) -> Health {
        match self.serves {
            Some(true) => Health::Healthy,
            Some(false) => Health::Failing,
            None => Health::Starting,
        }
    }
}

/// The nearest step.
fn in_steps(load: u64) -> u64 {
    let half = LOAD_STEP / 2;
    load.min(LOAD_MAX).saturating_add(half) / LOAD_STEP * LOAD_STEP
}

impl Peer {
    pub(super) fn parse(instance: InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        Ok(Self {
            settings: Settings::parse(&instance, table)?,
            presence: PresenceTeller::new(),
            standing: Standing::default(),
            due: Instant::now(),
            latest: Latest::default(),
        })
    }

    async fn look(&mut self) -> Observation {
        if Instant::now() >= self.due {
            let checked = check::check(&self.settings).await;
            self.due = Instant::now() + self.settings.every;
            self.take_in(checked);
        }
        self.observation()
    }

    fn take_in(&mut self, checked: Result<Checked, Failed>) {
        let (rise, fall) = (self.settings.rise, self.settings.fall);
        self.standing.count(checked.is_ok(), rise, fall);
        self.latest = match checked {
            Ok(checked) => Latest {
                presence: Some(Presence::Running),
                load: checked.load,
                failure: None,
            },
            Err(failed) => Latest {
                presence: Some(failed.presence),
                // It says no more how it is; its latest load is what is left of it.
                load: self.latest.load,
                failure: Some(failed.why),
            },
        };
        if let Some(presence) = self.latest.presence {
            self.presence.say(presence);
        }
    }

    fn observation(&self) -> Observation {
        let load = self.latest.load.map(|load| {
            let load = in_steps(load).to_string();
            ("load".to_owned(), load)
        });
        Observation {
            presence: self.latest.presence.unwrap_or(Presence::Unknown),
            run: 0,
            health: self.standing.health(),
            role: Observed::Peer,
            position: None,
            stalled: Millis(0),
            note: note(self.latest.failure.as_deref().unwrap_or_default()),
            attributes: Attributes::new(load.into_iter().collect()).unwrap_or_default(),
        }
    }
}

impl Driver for Peer {
    fn observe(&mut self) -> Doing<'_, Observation> {
        Box::pin(self.look())
    }

    fn act(&mut self, _: Action) -> Doing<'_, Result<Feat, DriverError>> {
        Box::pin(std::future::ready(Err(DriverError::Unsupported {
            driver: "peer",
            why: "is one of equals: there is nothing to promote, to follow or to fence",
        })))
    }

    fn presence(&mut self) -> PresenceWatch {
        self.presence.watch()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_and_falls_by_checks_in_a_row() {
        let mut standing = Standing::default();
        let mut feed = |checks: &str| -> Vec<Health> {
            let count = |check| {
                standing.count(check == '+', 2, 3);
                standing.health()
            };
            checks.chars().map(count).collect()
        };
        use Health::{Failing, Healthy, Starting};
        assert_eq!(feed("+-+"), [Starting; 3]);
        assert_eq!(feed("+--+"), [Healthy; 4]);
        assert_eq!(feed("---"), [Healthy, Healthy, Failing]);
        assert_eq!(feed("+-++"), [Failing, Failing, Failing, Healthy]);
    }

    #[test]
    fn load_is_told_in_steps() {
        let told: Vec<u64> = [0, 4, 5, 37, 99, 5_000].map(in_steps).to_vec();
        assert_eq!(told, [0, 0, 10, 40, 100, 1_000]);
    }
}
