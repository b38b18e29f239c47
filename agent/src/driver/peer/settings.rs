//! What an operator may set of the `peer` driver.

use std::time::Duration;

use serde::Deserialize;
use tenure_core::{Endpoint, Millis};

use super::super::settings::{program, typed, within};
use super::super::{ConfigError, InstanceAt};

/// The table as it is written. Times are in milliseconds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    check: Kind,
    /// Where the check goes; where everybody reaches the instance, when it is not set.
    endpoint: Option<Endpoint>,
    path: Option<String>,
    /// The value of the header `Host`; the endpoint when it is not set.
    host: Option<String>,
    load_header: Option<String>,
    program: Option<Vec<String>>,
    #[serde(default = "within_usually")]
    within: Millis,
    #[serde(default = "every_usually")]
    every: Millis,
    #[serde(default = "rise_usually")]
    rise: u32,
    #[serde(default = "fall_usually")]
    fall: u32,
}

fn within_usually() -> Millis {
    Millis(1_000)
}

fn every_usually() -> Millis {
    Millis(1_000)
}

fn rise_usually() -> u32 {
    2
}

fn fall_usually() -> u32 {
    3
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Http,
    Tcp,
    Command,
}

/// How it is checked.
#[derive(Debug)]
pub(super) enum Check {
    /// A `GET` is answered with a status of 200 to 399.
    Http {
        endpoint: Endpoint,
        path: String,
        host: String,
        /// The header that tells the load, a number.
        load_header: Option<String>,
    },
    /// A connection is accepted.
    Tcp(Endpoint),
    /// A program ends with status 0. It may print `load=NUMBER`.
    Command(Vec<String>),
}

/// The settings, checked.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) check: Check,
    /// How long a check may take.
    pub(super) within: Duration,
    pub(super) every: Duration,
    /// How many checks in a row must go well before it serves, and fail before it does no more.
    pub(super) rise: u32,
    pub(super) fall: u32,
}

impl Settings {
    pub(super) fn parse(instance: &InstanceAt, table: toml::Table) -> Result<Self, ConfigError> {
        let written: Written = typed(table)?;
        for (key, value) in [("rise", written.rise), ("fall", written.fall)] {
            if !(1..=100).contains(&value) {
                return Err(ConfigError(format!(
                    "{key} = {value} is out of range: 1 to 100"
                )));
            }
        }
        Ok(Self {
            within: within("within", written.within, 10, 60_000)?,
            every: within("every", written.every, 10, 600_000)?,
            rise: written.rise,
            fall: written.fall,
            check: check(instance, written)?,
        })
    }
}

fn check(instance: &InstanceAt, written: Written) -> Result<Check, ConfigError> {
    let http = [
        ("path", written.path.is_some()),
        ("host", written.host.is_some()),
        ("load_header", written.load_header.is_some()),
    ];
    let only = |kind: &str, keys: &[(&str, bool)]| match keys.iter().find(|(_, set)| *set) {
        Some((key, _)) => Err(ConfigError(format!(
            "{key} is set, which is for check = {kind:?}"
        ))),
        None => Ok(()),
    };
    let endpoint = written.endpoint.unwrap_or(instance.endpoint.clone());
    match written.check {
        Kind::Http => {
            only("command", &[("program", written.program.is_some())])?;
            let path = written.path.unwrap_or("/".to_owned());
            if !path.starts_with('/') || path.contains(char::is_whitespace) {
                return Err(ConfigError(format!(
                    "path = {path:?} does not begin with '/', or has a space in it"
                )));
            }
            Ok(Check::Http {
                host: written.host.unwrap_or(endpoint.to_string()),
                endpoint,
                path,
                load_header: written.load_header,
            })
        }
        Kind::Tcp => {
            only("command", &[("program", written.program.is_some())])?;
            only("http", &http)?;
            Ok(Check::Tcp(endpoint))
        }
        Kind::Command => {
            only("http", &http)?;
            Ok(Check::Command(program(
                "program",
                written.program.unwrap_or_default(),
            )?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::ServiceName;

    #[test]
    fn an_error_names_the_key_and_the_value() {
        let instance = InstanceAt {
            service: ServiceName::new("web").unwrap(),
            endpoint: Endpoint::new("10.0.0.1:80").unwrap(),
            folder: "/nowhere".into(),
        };
        let table = [
            ("", "missing field `check`"),
            (
                "check = 'ping'",
                "unknown variant `ping`, expected one of `http`, `tcp`, `command`",
            ),
            (
                "check = 'tcp'\npath = '/'",
                "path is set, which is for check = \"http\"",
            ),
            (
                "check = 'http'\nprogram = ['a']",
                "program is set, which is for check = \"command\"",
            ),
            (
                "check = 'http'\npath = 'x'",
                "path = \"x\" does not begin with '/'",
            ),
            ("check = 'command'", "program = [] names no program"),
            (
                "check = 'tcp'\nrise = 0",
                "rise = 0 is out of range: 1 to 100",
            ),
            (
                "check = 'tcp'\nevery = 1",
                "every = 1 is out of range: 10 to 600000",
            ),
        ];
        for (text, sentence) in table {
            let refused = Settings::parse(&instance, text.parse().unwrap());
            let refused = refused.expect_err(text).to_string();
            assert!(refused.contains(sentence), "{text}: {refused}");
        }
    }
}
