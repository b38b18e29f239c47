//! Which process answers: MariaDB and MySQL name no run, so it is told by the process itself where it is
//! one of this machine's, and by when it was started elsewhere.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use super::super::pid::LocalProcess;

/// A process on this machine, and when it was started by the machine's own count.
#[derive(Debug, Clone)]
pub(super) struct Process {
    pub(super) local: LocalProcess,
    /// Unlike its id, never used again.
    pub(super) name: String,
}

impl Process {
    /// The process that wrote this file, when it holds the socket that listens on the port. Must be
    /// called within a tokio runtime.
    pub(super) fn find(pid_file: &str, port: u16) -> Option<Self> {
        let id: i32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
        let local = LocalProcess::find(id, port)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        let name = format!("{} {id} {}", boot.trim(), started(&stat)?);
        Some(Self { local, name })
    }
}

const BEGAN: &str = "began ";
/// By how many seconds two reckonings of one start may differ: the server counts in whole ones.
const BEGAN_APART: u64 = 2;

/// The name of a run of which no process is known: when it began, by the wall clock.
pub(super) fn began(uptime_s: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    format!("{BEGAN}{}", now.saturating_sub(uptime_s))
}

/// Whether two names are of one run. One that was started again within moments elsewhere is not told
/// apart by this; that its connections broke is seen all the same.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    let second = |name: &str| name.strip_prefix(BEGAN)?.parse::<u64>().ok();
    match (second(one), second(other)) {
        (Some(one), Some(other)) => one.abs_diff(other) <= BEGAN_APART,
        (Some(_), None) | (None, Some(_)) | (None, None) => one == other,
    }
}

/// The moment at which a process was started, of its line in `/proc`. The name of the program, in
/// brackets, may hold anything.
fn started(stat: &str) -> Option<&str> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_the_twenty_second_field() {
        let stat = "42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
        assert_eq!(started(stat), Some("4711"));
        assert_eq!(started("rubbish"), None);
    }

    #[test]
    fn runs_are_told_apart() {
        assert!(is_same("began 100", "began 102") && !is_same("began 100", "began 103"));
        assert!(
            is_same("b 1 2", "b 1 2") && !is_same("b 1 2", "b 1 3") && !is_same("b 1 2", "began 5")
        );
    }
}
