//! What becomes of an instance that has transactions which nobody else has.

use tenure_core::{Endpoint, Epoch};

use super::dialect::Dialect;
use super::follow::{Theirs, Verdict};
use super::lineage::{Compared, Holding};
use super::{DriverError, Mysql};

impl Mysql {
    /// Saves what is its own alone, and takes it out of the data.
    pub(super) async fn resynchronised(
        &mut self,
        _dialect: Dialect,
        _epoch: Epoch,
        primary: &Endpoint,
        _theirs: &Theirs,
        holding: Holding,
        found: Option<Compared>,
    ) -> Result<Verdict, DriverError> {
        let errant = Self::errant(found.as_ref(), &holding);
        Err(DriverError::Held(format!(
            "{} has transactions that {primary} lacks: {errant}",
            self.dial.endpoint
        )))
    }

    pub(super) fn recloned(&self, _primary: &Endpoint) -> Option<&Verdict> {
        None
    }

    pub(super) fn said_before(&self) -> Option<Verdict> {
        self.verdict.clone()
    }

    pub(super) fn reclone_told(&self) -> Option<String> {
        None
    }
}
