//! Services: what the nodes run.

use crate::{Kind, Policy, Revision, ServiceName};
use serde::{Deserialize, Serialize};

/// Something the nodes run. Which nodes do is told by its instances; who is primary, by its assignment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// What is wanted of it. Its kind never changes.
    pub policy: Policy,
    /// When it was added.
    pub created: Revision,
    /// When it was last changed.
    pub modified: Revision,
}

impl Service {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.policy.kind()
    }
}
