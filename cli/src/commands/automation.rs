//! `automation`: how the cluster decides by itself.

use super::{Context, pause};
use crate::{
    args,
    exit::{Exit, Failure},
    output::{Out, shape},
};
use clap::{Args, Subcommand};
use serde::Serialize;
use tenure_core::{Automation, Command, ControlLoss, Millis, RecordKind, Revision, State};

/// What to do with the automation.
#[derive(Debug, Subcommand)]
pub enum AutomationCommand {
    /// Show the settings, and the pauses that there are
    #[command(after_help = "Example:\n  tenure automation show")]
    Show,
    /// Change some of the settings
    #[command(after_help = "\
The keys are those that `tenure automation show` lists. Lengths of time are written as 500ms, 10s, 2m or
4h. Combinations that cannot work are refused with a sentence.

Example:
  tenure automation set fast_heartbeat=50ms fast_lease=500ms
  tenure automation set control_loss=fence")]
    Set(SetArgs),
}

/// Settings to change.
#[derive(Debug, Args)]
pub struct SetArgs {
    /// A setting and its new value; several are one change
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = args::pair)]
    settings: Vec<(String, String)>,
    /// Only if the settings are as of this revision (their `modified`); read when left out
    #[arg(long, value_name = "REVISION")]
    expected: Option<u64>,
}

/// What `automation show --json` prints.
#[derive(Serialize)]
struct AutomationShape {
    automation: shape::Automation,
    pauses: Vec<shape::Pause>,
}

pub(super) async fn run(command: AutomationCommand, context: &Context) -> Result<Exit, Failure> {
    match command {
        AutomationCommand::Show => show(context).await,
        AutomationCommand::Set(args) => set(args, context).await,
    }
}

async fn show(context: &Context) -> Result<Exit, Failure> {
    let kinds = [RecordKind::Node, RecordKind::Automation, RecordKind::Pause];
    let state = context.cluster().await?.state(&kinds, &[]).await?;
    let pauses = state.pauses().values();
    let shape = AutomationShape {
        automation: state.automation().as_ref().into(),
        pauses: pauses.map(|one| shape::Pause::new(&state, one)).collect(),
    };
    context.out.show(&shape, || table(context.out, &state))?;
    Ok(Exit::Ok)
}

fn table(out: Out, state: &State) -> String {
    let mut grid = out.grid(&["setting", "value", "what"]);
    for (name, value, what) in settings(state.automation()) {
        grid.row([name.to_owned(), value, what.to_owned()]);
    }
    if state.pauses().is_empty() {
        return grid.to_string();
    }
    format!("{grid}\n\n{}", pause::table(out, state))
}

/// Every setting: its key, its value as `set` takes it, and what it means.
pub(super) fn settings(now: &Automation) -> [(&'static str, String, &'static str); 13] {
    [
        (
            "fast_heartbeat",
            short(now.fast_heartbeat),
            "how often members beat that may be primary",
        ),
        (
            "fast_lease",
            short(now.fast_lease),
            "how long what they are granted holds",
        ),
        (
            "slow_heartbeat",
            short(now.slow_heartbeat),
            "how often all others beat",
        ),
        (
            "slow_lease",
            short(now.slow_lease),
            "how long those may be silent",
        ),
        (
            "drift_permille",
            now.drift_permille.to_string(),
            "by how many thousandths clocks may differ in rate",
        ),
        (
            "control_loss",
            now.control_loss.to_string(),
            "what a primary does without a leader: pledge or fence",
        ),
        (
            "agent_grace",
            short(now.agent_grace),
            "how long an agent may be away while its instance serves",
        ),
        (
            "replica_grace",
            short(now.replica_grace),
            "how long a replica may be silent or behind",
        ),
        (
            "stuck_after",
            short(now.stuck_after),
            "how long a primary may take no write",
        ),
        (
            "survey",
            short(now.survey),
            "how long candidates may take to say how far they have got",
        ),
        (
            "switchover",
            short(now.switchover),
            "how long a switchover may pause writes",
        ),
        (
            "storm_window",
            short(now.storm_window),
            "within which losses count as one storm",
        ),
        (
            "storm_budget",
            now.storm_budget.to_string(),
            "losses in one zone that are no storm yet",
        ),
    ]
}

/// A length of time as `set` takes it.
fn short(length: Millis) -> String {
    match length.0 {
        ms if ms > 0 && ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        ms if ms > 0 && ms.is_multiple_of(1_000) => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

async fn set(args: SetArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let now = cluster.automation().await?;
    let mut wanted = now;
    for (key, value) in &args.settings {
        change(&mut wanted, key, value)?;
    }
    wanted.validate().map_err(Failure::invalid)?;
    let command = Command::SetAutomation {
        expected: args.expected.map_or(now.modified, Revision),
        automation: wanted,
    };
    let done = cluster.execute(command).await?;
    context.done("automation changed", done)
}

fn change(wanted: &mut Automation, key: &str, value: &str) -> Result<(), Failure> {
    let wrong = |why: String| Failure::invalid(format!("{key}={value}: {why}"));
    let length = || args::duration(value).map_err(wrong).map(millis);
    let number = || {
        let number = value.parse::<u32>();
        number.map_err(|_| wrong("a whole number is needed".to_owned()))
    };
    match key {
        "fast_heartbeat" => wanted.fast_heartbeat = length()?,
        "fast_lease" => wanted.fast_lease = length()?,
        "slow_heartbeat" => wanted.slow_heartbeat = length()?,
        "slow_lease" => wanted.slow_lease = length()?,
        "drift_permille" => wanted.drift_permille = number()?,
        "control_loss" => {
            wanted.control_loss = match value {
                "pledge" => ControlLoss::Pledge,
                "fence" => ControlLoss::Fence,
                _ => return Err(wrong("it must be pledge or fence".to_owned())),
            }
        }
        "agent_grace" => wanted.agent_grace = length()?,
        "replica_grace" => wanted.replica_grace = length()?,
        "stuck_after" => wanted.stuck_after = length()?,
        "survey" => wanted.survey = length()?,
        "switchover" => wanted.switchover = length()?,
        "storm_window" => wanted.storm_window = length()?,
        "storm_budget" => wanted.storm_budget = number()?,
        _ => {
            let keys = settings(wanted).map(|(key, _, _)| key).join(", ");
            return Err(wrong(format!("there is no such setting; there are {keys}")));
        }
    }
    Ok(())
}

fn millis(length: std::time::Duration) -> Millis {
    Millis(u64::try_from(length.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(key: &str, value: &str) -> Result<Automation, String> {
        let mut wanted = Automation::default();
        let told = change(&mut wanted, key, value).and_then(|()| {
            let valid = wanted.validate();
            valid.map_err(Failure::invalid)
        });
        told.map(|()| wanted).map_err(|failure| failure.sentence)
    }

    #[test]
    fn what_is_shown_can_be_set() {
        let other = Automation {
            fast_heartbeat: Millis(50),
            fast_lease: Millis(1_500),
            slow_lease: Millis(120_000),
            control_loss: ControlLoss::Fence,
            storm_budget: 7,
            ..Automation::default()
        };
        let mut wanted = Automation::default();
        for (key, value, _) in settings(&other) {
            change(&mut wanted, key, &value).unwrap();
        }
        assert_eq!(wanted, other);
    }

    #[test]
    fn each_key_changes_its_own_setting() {
        let before = settings(&Automation::default());
        for (at, (key, value, _)) in before.iter().enumerate() {
            let other = match (*key, value.as_str()) {
                ("control_loss", _) => "fence",
                ("drift_permille" | "storm_budget", _) => "3",
                _ => "7s",
            };
            let mut wanted = Automation::default();
            change(&mut wanted, key, other).unwrap();
            let after = settings(&wanted);
            let differ = (0..before.len()).filter(|at| before[*at] != after[*at]);
            assert_eq!(differ.collect::<Vec<_>>(), [at], "{key}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        let table = [
            (
                "fast_lease",
                "250ms",
                "fast_lease (250 ms) must be at least three heartbeats (300 ms)",
            ),
            (
                "fast_lease",
                "250",
                "fast_lease=250: a whole number with ms, s, m or h is needed, as in 500ms or 10s",
            ),
            (
                "storm_budget",
                "few",
                "storm_budget=few: a whole number is needed",
            ),
            (
                "control_loss",
                "hope",
                "control_loss=hope: it must be pledge or fence",
            ),
        ];
        for (key, value, sentence) in table {
            assert_eq!(
                changed(key, value),
                Err(sentence.to_owned()),
                "{key}={value}"
            );
        }
        let unknown = changed("lease", "1s").unwrap_err();
        assert!(
            unknown.starts_with("lease=1s: there is no such setting; there are fast_heartbeat,")
        );
        assert!(unknown.ends_with(", storm_budget"), "{unknown}");
    }
}
