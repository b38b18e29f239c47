//! Commands on the cluster's settings.

use super::{Verdict, client, unchanged};
use crate::{Command, Key, Record, Reject, RejectCode, Settings, change::Change};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    let now = change.state.settings.clone();
    let mut next = match command {
        Command::SetSettings {
            expected,
            history_max,
            clients_max,
        } => {
            unchanged(&Key::Settings, *expected, now.modified)?;
            Settings {
                history_max: *history_max,
                clients_max: *clients_max,
                ..*now
            }
        }
        Command::RaiseFeatureLevel { from, to } => {
            if *from != now.feature_level {
                return Err(Reject::new(RejectCode::Changed, "the feature level")
                    .values((*from).into(), now.feature_level.into()));
            }
            if to < from {
                return Err(Reject::new(RejectCode::Invalid, "the feature level")
                    .values((*from).into(), (*to).into())
                    .detail("it is never lowered"));
            }
            if *to > Settings::FEATURE_LEVEL_SUPPORTED {
                let most = Settings::FEATURE_LEVEL_SUPPORTED;
                return Err(Reject::new(RejectCode::Invalid, "the feature level")
                    .values(most.into(), (*to).into())
                    .detail("no server understands it"));
            }
            Settings {
                feature_level: *to,
                ..*now
            }
        }
        other => unreachable!("{other:?} is no command on settings"),
    };
    next.validate()
        .map_err(|why| Reject::new(RejectCode::Invalid, "settings").detail(why))?;
    if next != *now {
        next.modified = change.revision;
        client::keep_at_most(change, next.clients_max);
        change.put(Record::Settings(Arc::new(next)));
    }
    Ok(None)
}
