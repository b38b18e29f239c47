//! Settings of the whole cluster, replicated so that all servers agree.

use crate::{Note, Revision};
use serde::{Deserialize, Serialize};

/// Settings of the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// How many entries of history are kept; 1 to 100,000.
    pub history_max: u32,
    /// How many clients' registrations are kept; beyond it the least recently active one is dropped
    /// and must register anew. 16 to 1,000,000.
    pub clients_max: u32,
    /// Which kinds of command may be used: the lowest level that every server understands.
    pub feature_level: u32,
    /// When these were last changed.
    pub modified: Revision,
}

impl Settings {
    /// The level up to which this build understands commands.
    pub const FEATURE_LEVEL_SUPPORTED: u32 = 3;

    /// Checks the ranges.
    ///
    /// # Errors
    /// A sentence that names the setting, its value and what would be right.
    pub fn validate(&self) -> Result<(), Note> {
        let sentence = if !(1..=100_000).contains(&self.history_max) {
            format!(
                "history_max ({}) must be from 1 to 100000",
                self.history_max
            )
        } else if !(16..=1_000_000).contains(&self.clients_max) {
            format!(
                "clients_max ({}) must be from 16 to 1000000",
                self.clients_max
            )
        } else {
            return Ok(());
        };
        Err(Note::new(&sentence).unwrap_or_default())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            history_max: 1_000,
            clients_max: 10_000,
            feature_level: 1,
            modified: Revision(0),
        }
    }
}
