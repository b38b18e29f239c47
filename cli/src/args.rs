//! The arguments: what every command shares, and how values are read.

use crate::commands::Command;
use clap::{Args, Parser};
use std::{collections::BTreeMap, time::Duration};
use tenure_core::{Attributes, Endpoint, NodeId, NodeName, NodeRef, Note};

/// The servers that are asked when none are named: those that `tenure dev` starts when its ports are free.
pub const SERVERS_DEFAULT: &str = "127.0.0.1:7410,127.0.0.1:7420,127.0.0.1:7430";

/// Tenure knows which node is primary for which service, and tells everybody when that changes.
///
/// Start with `tenure dev`: three servers on this machine, with an example to look at.
#[derive(Debug, Parser)]
#[command(
    name = "tenure",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "\
Exit codes: 0 all is well or done, 1 warning or the cluster said no, 2 critical, 3 unknown: nobody
answered, the outcome is open, or the arguments make no sense.

Example:
  tenure dev
  tenure status")]
pub struct Cli {
    /// What every command shares.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command shares.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Servers to ask; the others are found through them
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT,..",
        env = "TENURE_SERVERS",
        value_delimiter = ',',
        default_value = SERVERS_DEFAULT,
        value_parser = endpoint
    )]
    pub server: Vec<Endpoint>,

    /// Print JSON, for programs; errors too, on stderr
    #[arg(long, global = true)]
    pub json: bool,

    /// How long to try, such as 500ms, 10s or 2m
    #[arg(long, global = true, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub deadline: Duration,

    /// Who asks, for the history
    #[arg(long, global = true, value_name = "NAME", env = "TENURE_ACTOR", value_parser = note, hide = true)]
    pub actor: Option<Note>,
}

/// `HOST:PORT`.
pub fn endpoint(text: &str) -> Result<Endpoint, String> {
    Endpoint::new(text).map_err(|why| why.to_string())
}

/// A short remark.
pub fn note(text: &str) -> Result<Note, String> {
    Note::new(text).map_err(|why| why.to_string())
}

/// A node by name, or by number as `id:7`.
pub fn node(text: &str) -> Result<NodeRef, String> {
    if let Some(number) = text.strip_prefix("id:") {
        let id = number
            .parse()
            .map_err(|_| "after id: a number is needed, as in id:7".to_owned())?;
        return Ok(NodeRef::Id(NodeId(id)));
    }
    NodeName::new(text)
        .map(NodeRef::Name)
        .map_err(|why| format!("{why}; or give its number as id:7"))
}

/// A length of time such as `500ms`, `10s`, `2m` or `4h`.
pub fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number with ms, s, m or h is needed, as in 500ms or 10s".to_owned();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    let ms: u64 = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong()),
    };
    match number.checked_mul(ms) {
        Some(0) => Err("it must be more than nothing".to_owned()),
        Some(ms) if ms <= 366 * 24 * 3_600_000 => Ok(Duration::from_millis(ms)),
        Some(_) | None => Err("it must be at most a year".to_owned()),
    }
}

/// `KEY=VALUE`.
pub fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("KEY=VALUE is needed, as in disk=nvme")?;
    if key.is_empty() {
        return Err("the key before = is empty".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

/// Checks pairs that were given one by one, with those that were there before.
///
/// # Errors
/// When they are too many, too long, or hold control characters.
pub fn attributes(
    before: &Attributes,
    set: &[(String, String)],
    unset: &[String],
) -> Result<Attributes, crate::exit::Failure> {
    let mut pairs: BTreeMap<String, String> = before.clone().into();
    pairs.retain(|key, _| !unset.contains(key));
    pairs.extend(set.iter().cloned());
    Attributes::new(pairs).map_err(crate::exit::Failure::invalid)
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod lines;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        let table = [
            ("500ms", Some(500)),
            ("10s", Some(10_000)),
            ("2m", Some(120_000)),
            ("4h", Some(14_400_000)),
            ("10", None),
            ("0s", None),
            ("s", None),
            ("-1s", None),
            ("1.5s", None),
            ("1d", None),
            ("99999999999999999999s", None),
            ("18446744073709551615h", None),
            ("9000h", None),
        ];
        for (text, ms) in table {
            assert_eq!(duration(text).ok(), ms.map(Duration::from_millis), "{text}");
        }
    }

    #[test]
    fn nodes_are_named_or_numbered() {
        assert_eq!(node("id:7"), Ok(NodeRef::Id(NodeId(7))));
        assert_eq!(node("7"), Ok(NodeRef::Name(NodeName::new("7").unwrap())));
        assert_eq!(
            node("db-1"),
            Ok(NodeRef::Name(NodeName::new("db-1").unwrap()))
        );
        assert!(node("id:x").is_err());
        assert!(node("Db").unwrap_err().contains("id:7"));
    }

    #[test]
    fn pairs_have_a_key_and_a_value() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }

    #[test]
    fn labels_are_added_replaced_and_removed() {
        let before = attributes(
            &Attributes::default(),
            &[pair("a=1").unwrap(), pair("b=2").unwrap()],
            &[],
        );
        let after =
            attributes(&before.unwrap(), &[pair("b=3").unwrap()], &["a".to_owned()]).unwrap();
        assert_eq!(after.iter().collect::<Vec<_>>(), [("b", "3")]);
    }
}
