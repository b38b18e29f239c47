//! The saving of a tail, which goes on beside the actions.

/// What is being saved, or was.
#[derive(Debug, Default)]
pub(super) struct Saving {}

impl Saving {
    /// What was saved is of an earlier time.
    pub(super) fn forget(&mut self) {}
}
