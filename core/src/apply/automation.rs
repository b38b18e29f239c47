//! Commands on how the cluster decides by itself, and on pauses of it.

use super::{Verdict, present_node, service, unchanged, within_limit};
use crate::{
    Automation, Command, Key, Millis, NodeRef, Note, Pause, Record, Reject, RejectCode, Revision,
    Scope, Timestamp, change::Change, limits::PAUSES_MAX,
};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::SetAutomation {
            expected,
            automation,
        } => set(change, *expected, automation),
        Command::SetPause {
            scope,
            expected,
            until,
            reason,
        } => pause(change, scope, *expected, *until, reason),
        Command::RemovePause { scope, expected } => resume(change, scope, *expected),
        other => unreachable!("{other:?} is no command on automation"),
    }
}

fn set(change: &mut Change<'_>, expected: Revision, wanted: &Automation) -> Verdict {
    let now = change.state.automation.clone();
    unchanged(&Key::Automation, expected, now.modified)?;
    wanted
        .validate()
        .map_err(|why| Reject::new(RejectCode::Invalid, "automation").detail(why))?;
    let longest = now.longest_lease();
    let same = Automation {
        earlier_lease: if longest > wanted.fast_lease {
            longest
        } else {
            Millis(0)
        },
        modified: now.modified,
        ..*wanted
    };
    if same != *now {
        let next = Automation {
            modified: change.revision,
            ..same
        };
        change.put(Record::Automation(Arc::new(next)));
    }
    Ok(None)
}

fn pause(
    change: &mut Change<'_>,
    scope: &Scope,
    expected: Option<Revision>,
    until: Option<Timestamp>,
    reason: &Note,
) -> Verdict {
    match scope {
        Scope::Cluster => {}
        Scope::Service(name) => drop(service(change.state, name)?),
        Scope::Node(node) => drop(present_node(change.state, &NodeRef::Id(*node))?),
    }
    let key = Key::Pause(scope.clone());
    match (change.state.pauses.get(scope), expected) {
        (None, None) => within_limit("pauses", change.state.pauses.len(), PAUSES_MAX)?,
        (Some(now), Some(expected)) => unchanged(&key, expected, now.modified)?,
        (Some(now), None) => {
            return Err(Reject::new(RejectCode::AlreadyExists, &key)
                .detail(format!("since revision {}: {}", now.modified, now.reason)));
        }
        (None, Some(_)) => return Err(Reject::new(RejectCode::NotFound, &key)),
    }
    let next = Pause {
        scope: scope.clone(),
        until,
        reason: reason.clone(),
        modified: change.revision,
    };
    let known = change.state.pauses.get(scope);
    let same = known.is_some_and(|now| now.until == until && now.reason == *reason);
    if !same {
        change.put(Record::Pause(Arc::new(next)));
    }
    Ok(None)
}

fn resume(change: &mut Change<'_>, scope: &Scope, expected: Revision) -> Verdict {
    let key = Key::Pause(scope.clone());
    let Some(now) = change.state.pauses.get(scope) else {
        return Err(Reject::new(RejectCode::NotFound, &key));
    };
    unchanged(&key, expected, now.modified)?;
    change.delete(&key);
    Ok(None)
}
