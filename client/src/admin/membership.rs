//! Which servers there are, and who of them leads.

use super::{Admin, types::some_server};
use crate::{
    Error,
    call::{self, Plan, Repeat, Route},
    servers::Server,
};
use std::sync::Arc;
use tenure_core::{Endpoint, ServerId};
use tenure_proto::v1;

impl Admin {
    /// Adds a server as learner and, once it has caught up and unless it is to stay one, as voter.
    /// Says whether it votes. Takes as long as catching up does.
    ///
    /// # Errors
    /// [`Error::Rejected`] when the id belonged to a removed server, [`Error::Refused`] with
    /// `Membership` when the servers cannot be changed so now. [`Error::OutcomeUnknown`] when no answer came:
    /// look at the status before doing it again; to repeat it with the same addresses is harmless.
    pub async fn add_server(
        &self,
        id: ServerId,
        raft: Endpoint,
        api: Endpoint,
        learner: bool,
    ) -> Result<bool, Error> {
        let request = v1::AddServerRequest {
            id: id.0,
            raft: raft.as_str().to_owned(),
            api: api.as_str().to_owned(),
            learner,
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.admin().add_server(request).await }
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        self.shared.servers_may_have_changed();
        Ok(answer.map_err(|failure| failure.error)?.into_inner().voter)
    }

    /// Removes a server for good: its id is never used again.
    ///
    /// # Errors
    /// As for [`Admin::add_server`].
    pub async fn remove_server(&self, id: ServerId) -> Result<(), Error> {
        let send = |server: Arc<Server>| async move {
            server
                .admin()
                .remove_server(v1::RemoveServerRequest { id: id.0 })
                .await
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        self.shared.servers_may_have_changed();
        answer.map(drop).map_err(|failure| failure.error)
    }

    /// Hands leadership to a voter; None lets the leader choose the most complete one. Gives the new
    /// leader.
    ///
    /// # Errors
    /// As for [`Admin::add_server`]; to repeat it is harmless.
    pub async fn transfer_leader(&self, to: Option<ServerId>) -> Result<ServerId, Error> {
        let to = to.map_or(0, |id| id.0);
        let send = |server: Arc<Server>| async move {
            server
                .admin()
                .transfer_leader(v1::TransferLeaderRequest { to })
                .await
        };
        let answer = call::call(&self.shared, &self.change(), send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let leader =
            some_server(wire.leader).ok_or_else(|| Error::unreadable("it names no leader"))?;
        match self.shared.servers.by_id(leader) {
            Some(server) => self.shared.leads(&server),
            None => self.shared.servers_may_have_changed(),
        }
        Ok(leader)
    }

    pub(super) fn change(&self) -> Plan {
        Plan {
            route: Route::Leader,
            repeat: Repeat::Never,
            deadline: self.shared.until(self.shared.options.change_deadline),
            attempt: self.shared.options.change_deadline,
        }
    }
}
