//! Changes, and what operators look at.

mod commands;
mod execute;
mod look;
mod membership;
mod operate;
mod types;

pub use operate::{FailoverOptions, MovedPrimary};
pub use types::{ClusterStatus, RaftRole, RaftStatus, ServerDigest, ServerState, Target};

use crate::shared::Shared;
use std::sync::Arc;

/// Changes, and what operators look at. Get it by [`Client::admin`](crate::Client::admin).
#[derive(Clone)]
pub struct Admin {
    shared: Arc<Shared>,
}

impl Admin {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}
