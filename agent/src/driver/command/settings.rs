//! What an operator may set of the `command` driver.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use tenure_core::Millis;

use super::super::ConfigError;
use super::super::settings::{program, typed, within};

/// How long a verb may take when nothing is set. Following may have to save and to load.
const DEFAULTS: [(&str, u64); 14] = [
    ("observe", 1_000),
    ("promote", 5_000),
    ("follow", 60_000),
    ("fence", 2_000),
    ("detach", 1_000),
    ("quiesce", 1_000),
    ("resume", 1_000),
    ("permit", 1_000),
    ("measure", 1_000),
    ("probe", 500),
    ("fetch", 600_000),
    ("drop", 60_000),
    ("verify", 600_000),
    ("room", 1_000),
];

/// The table as it is written. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    /// The program and the arguments that come before the verb.
    program: Vec<String>,
    /// How long each verb may take.
    #[serde(default)]
    within: BTreeMap<String, Millis>,
    /// How old an observation may be before the program is run again.
    #[serde(default = "observe_every")]
    observe_every: Millis,
    /// Whether the program is to be asked for copies of items.
    #[serde(default)]
    copies: bool,
}

fn observe_every() -> Millis {
    Millis(500)
}

/// The settings, checked.
#[derive(Debug)]
pub(super) struct Settings {
    /// Not empty.
    pub(super) program: Vec<String>,
    within: BTreeMap<&'static str, Duration>,
    pub(super) observe_every: Duration,
    pub(super) copies: bool,
}

impl Settings {
    pub(super) fn parse(table: toml::Table) -> Result<Self, ConfigError> {
        let written: Written = typed(table)?;
        for verb in written.within.keys() {
            if !DEFAULTS.iter().any(|(known, _)| known == verb) {
                let known: Vec<&str> = DEFAULTS.iter().map(|(known, _)| *known).collect();
                return Err(ConfigError(format!(
                    "within.{verb} is no verb: use {}",
                    known.join(", ")
                )));
            }
        }
        let limit = |(verb, usual): (&'static str, u64)| {
            let set = written.within.get(verb).copied();
            let key = format!("within.{verb}");
            let limit = within(&key, set.unwrap_or(Millis(usual)), 10, 3_600_000)?;
            Ok((verb, limit))
        };
        Ok(Self {
            program: program("program", written.program)?,
            within: DEFAULTS
                .into_iter()
                .map(limit)
                .collect::<Result<_, ConfigError>>()?,
            observe_every: within("observe_every", written.observe_every, 10, 60_000)?,
            copies: written.copies,
        })
    }

    pub(super) fn within(&self, verb: &str) -> Duration {
        let usual = Duration::from_secs(1);
        self.within.get(verb).copied().unwrap_or(usual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_the_key_and_the_value() {
        let table = [
            ("", "missing field `program`"),
            ("program = []", "program = [] names no program"),
            ("program = ['a']\nx = 1", "unknown field `x`"),
            (
                "program = ['a']\n[within]\nfly = 1",
                "within.fly is no verb: use observe, promote",
            ),
            (
                "program = ['a']\n[within]\nfence = 1",
                "within.fence = 1 is out of range: 10 to",
            ),
            ("program = ['a']\nobserve_every = 'x'", "in `observe_every`"),
        ];
        for (text, sentence) in table {
            let refused = Settings::parse(text.parse().unwrap())
                .expect_err(text)
                .to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
        let settings = Settings::parse("program = ['a']\nwithin = {fence = 77}".parse().unwrap());
        assert_eq!(settings.unwrap().within("fence"), Duration::from_millis(77));
    }
}
