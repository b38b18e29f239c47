//! Whether the tests that cut machines off from one another can run here.

use std::process::{Command, Stdio};

/// What those tests need, tried in a namespace that is gone at once.
const TRIAL: &str =
    "ip link set lo up && ip link add b0 type bridge && ip link add v0 type veth peer name v1";

/// The tests that need network namespaces, for `cargo nextest`.
pub const FILTER: &str = "package(tenure-tests) & binary(namespaces)";

/// Tries to make a network namespace with a bridge in it.
///
/// # Errors
/// Why there is none here, in one line.
pub fn permitted() -> Result<(), String> {
    let trial = Command::new("unshare")
        .args(["--net", "sh", "-c", TRIAL])
        .stdin(Stdio::null())
        .output();
    let output = trial.map_err(|error| format!("unshare: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    Err(format!("{said} ({})", output.status))
}
