//! History: what was changed, when and by whom, bounded.

use crate::{Note, Revision, Timestamp};
use serde::{Deserialize, Serialize};

/// One change that an operator would want to read about later. Reports of instances are not among them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The change's revision.
    pub revision: Revision,
    /// The proposer's wall clock, for people.
    pub stamp: Timestamp,
    /// Who asked for it, as the caller said.
    pub actor: Note,
    /// What was done, as a sentence.
    pub what: Note,
}
