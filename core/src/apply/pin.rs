//! Commands on pins.

use super::{Verdict, present_node, unchanged};
use crate::{Command, Key, Pin, Record, Reject, RejectCode, change::Change};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::SetPin {
            node,
            expected,
            kind,
            until,
            reason,
        } => {
            let node = present_node(change.state, node)?;
            let key = Key::Pin(node.id);
            match (change.state.pins.get(&node.id), expected) {
                (None, None) => {}
                (Some(now), Some(expected)) => unchanged(&key, *expected, now.modified)?,
                (Some(now), None) => {
                    return Err(Reject::new(RejectCode::AlreadyExists, &key)
                        .detail(format!("pinned {} at revision {}", now.kind, now.modified)));
                }
                (None, Some(_)) => return Err(Reject::new(RejectCode::NotFound, &key)),
            }
            let pin = Pin {
                node: node.id,
                kind: *kind,
                until: *until,
                reason: reason.clone(),
                modified: change.revision,
            };
            let known = change.state.pins.get(&node.id);
            let same = known.is_some_and(|now| {
                let modified = now.modified;
                **now
                    == Pin {
                        modified,
                        ..pin.clone()
                    }
            });
            if !same {
                change.put(Record::Pin(Arc::new(pin)));
            }
        }
        Command::RemovePin { node, expected } => {
            let node = present_node(change.state, node)?;
            let key = Key::Pin(node.id);
            let Some(now) = change.state.pins.get(&node.id) else {
                return Err(Reject::new(RejectCode::NotFound, &key));
            };
            unchanged(&key, *expected, now.modified)?;
            change.delete(&key);
        }
        other => unreachable!("{other:?} is no command on pins"),
    }
    Ok(None)
}
