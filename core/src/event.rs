//! Events: the difference between two states, as the new values.

use crate::{Key, Record};

/// One record that is different now: state, not history. The latest one for a key is all that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Which record.
    pub key: Key,
    /// Its value now; None when it is gone.
    pub after: Option<Record>,
}
