//! What operators ask of the leader: to move primaries, and why it does or does not.

use super::{Cluster, failure};
use crate::exit::Failure;
use tenure_client::{Consistency, FailoverOptions, MovedPrimary};
use tenure_core::{
    Automation, NodeRef, Note, Receipt, ServiceName,
    controller::{Explanation, Forecast},
};

impl Cluster {
    /// Moves a primary that works; the leader chooses where to when nobody is named.
    ///
    /// # Errors
    /// Held, with the reason; or of unknown outcome.
    pub async fn switchover(
        &self,
        service: &ServiceName,
        to: Option<NodeRef>,
        reason: Note,
    ) -> Result<MovedPrimary, Failure> {
        let admin = self.client.admin();
        let moved = admin.switchover(service, to, reason).await;
        moved.map_err(failure)
    }

    /// Replaces a primary that does not work.
    ///
    /// # Errors
    /// Held, with the reason; or of unknown outcome.
    pub async fn failover(
        &self,
        service: &ServiceName,
        options: FailoverOptions,
    ) -> Result<MovedPrimary, Failure> {
        let admin = self.client.admin();
        admin.failover(service, options).await.map_err(failure)
    }

    /// Why the leader does what it does about a service, or does nothing.
    ///
    /// # Errors
    /// When there is no such service, or no leader answers; a retry is safe.
    pub async fn explain(&self, service: &ServiceName) -> Result<Explanation, Failure> {
        let explained = self.client.admin().explain(service).await;
        explained.map(|(_, it)| it).map_err(failure)
    }

    /// What the leader would decide if a node were lost now.
    ///
    /// # Errors
    /// When there is no such node, or no leader answers; a retry is safe.
    pub async fn what_if_lost(&self, node: &NodeRef) -> Result<Vec<Forecast>, Failure> {
        let forecasts = self.client.admin().what_if_lost(node).await;
        forecasts.map(|(_, all)| all).map_err(failure)
    }

    /// What the latest changes of primary rested on, newest first: of one service, or of all.
    ///
    /// # Errors
    /// When no server answers in time; a retry is safe.
    pub async fn receipts(
        &self,
        service: Option<&ServiceName>,
        limit: u32,
    ) -> Result<Vec<Receipt>, Failure> {
        let receipts = self.client.admin().receipts(service, limit).await;
        receipts.map(|(_, all)| all).map_err(failure)
    }

    /// How the cluster decides by itself.
    ///
    /// # Errors
    /// When no server answers in time; a retry is safe.
    pub async fn automation(&self) -> Result<Automation, Failure> {
        let admin = self.client.admin();
        let automation = admin.automation(Consistency::Linearizable).await;
        automation.map_err(failure)
    }
}
