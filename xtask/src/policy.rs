//! The dependency policy in full, by cargo-deny. What needs no extra tool is a test of the
//! gate (`tests/dependencies.rs`), so this can stay optional.

use crate::stage::{Cargo, Failure};

/// Checks bans, licences and sources, then the advisories, whose database comes from the
/// network.
///
/// # Errors
/// When cargo-deny is not installed or finds something. An advisory database that cannot be
/// fetched is an error too, and the message says that everything else passed.
pub fn check() -> Result<(), Failure> {
    if !Cargo::new(&["deny", "--version"]).succeeds() {
        return Err(Failure {
            what: "cargo-deny is not installed; the gate checks the part of the policy that \
                   needs no tool (tests/dependencies.rs)"
                .to_owned(),
            repeat: "cargo install --locked cargo-deny && cargo xtask deps".to_owned(),
        });
    }
    Cargo::new(&["deny", "--locked", "check", "bans", "licenses", "sources"])
        .stage("bans, licences, sources")?;
    if !Cargo::new(&["deny", "fetch", "db"]).succeeds() {
        return Err(Failure {
            what: "bans, licences and sources passed, but the advisory database could not be \
                   fetched: NO ADVISORY WAS CHECKED"
                .to_owned(),
            repeat: "cargo deny fetch db && cargo deny --locked check advisories".to_owned(),
        });
    }
    Cargo::new(&["deny", "--locked", "check", "advisories"]).stage("advisories")
}
