//! What must hold of the copies of items: the rules of the ledger, of every service.

use super::{Found, Violation};
use crate::{Policy, State, copies};

pub(super) fn state(state: &State, found: &mut Found) {
    for (service, ledger) in state.ledgers() {
        for violation in copies::check(ledger) {
            let (number, what) = (violation.number, violation.what);
            found.check(21, false, || format!("{service}: C{number}: {what}"));
        }
        let known = state.services.get(service);
        let policy = known.map(|service| service.policy);
        let same = policy == Some(Policy::Copies(*ledger.policy()));
        found.check(21, same, || format!("{service}: {policy:?}"));
    }
}

/// Checks what one entry, which `lossy` says was allowed to lose copies or reports that some were, made of the copies
/// of every service: I22.
#[must_use]
pub fn check_copies_step(before: &State, after: &State, lossy: bool) -> Vec<Violation> {
    let mut found = Found::default();
    for (service, was) in before.ledgers() {
        let Some(now) = after.ledger(service) else {
            found.check(22, was.count() == 0, || {
                format!("{service} went with its items")
            });
            continue;
        };
        for violation in copies::check_step(was, now, lossy) {
            let (number, what) = (violation.number, violation.what);
            found.check(22, false, || format!("{service}: C{number}: {what}"));
        }
    }
    found.0
}
