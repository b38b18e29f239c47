//! What operators look at. Nothing here changes the state.

use super::{
    Admin, ClusterStatus, RaftStatus, ServerDigest, Target,
    types::{cluster_status, raft_status},
};
use crate::{
    Consistency, Error, Refusal,
    call::{self, Plan, Repeat, Route},
    discovery::{all_parsed, read_plan},
    servers::Server,
};
use std::{sync::Arc, time::Duration};
use tenure_core::{HistoryEntry, LogIndex, Revision, ServerId, Topology};
use tenure_proto::v1;

impl Admin {
    /// What is wrong, and who leads. Ask with [`Consistency::ANY_AGE`] where nobody may lead.
    ///
    /// # Errors
    /// [`Error::Deadline`], [`Error::Unreachable`], or [`Error::Refused`] with `TooStale`. A retry is safe.
    pub async fn status(&self, consistency: Consistency) -> Result<ClusterStatus, Error> {
        let plan = read_plan(&self.shared, consistency);
        let send = |server: Arc<Server>| async move {
            let consistency = consistency.to_wire();
            server
                .admin()
                .status(v1::StatusRequest { consistency })
                .await
        };
        let answer = call::call(&self.shared, &plan, send).await;
        cluster_status(answer.map_err(|failure| failure.error)?.into_inner())
    }

    /// The commands that lead to a topology; `remove` also takes away what it does not name.
    /// They are carried out by [`Admin::execute`], one after the other.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the topology cannot be right; otherwise as for [`Admin::status`].
    pub async fn plan(
        &self,
        topology: &Topology,
        remove: bool,
    ) -> Result<tenure_core::Plan, Error> {
        let request = v1::PlanRequest {
            topology: Some(topology.into()),
            remove,
        };
        let plan = read_plan(&self.shared, Consistency::Linearizable);
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.admin().plan(request).await }
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        Ok(tenure_core::Plan {
            steps: all_parsed("steps", wire.steps)?,
            holds: wire.holds,
        })
    }

    /// The latest changes, newest first, and at most so many.
    ///
    /// # Errors
    /// As for [`Admin::status`].
    pub async fn history(
        &self,
        limit: u32,
        consistency: Consistency,
    ) -> Result<Vec<HistoryEntry>, Error> {
        let plan = read_plan(&self.shared, consistency);
        let send = |server: Arc<Server>| async move {
            let consistency = consistency.to_wire();
            server
                .admin()
                .history(v1::HistoryRequest { limit, consistency })
                .await
        };
        let answer = call::call(&self.shared, &plan, send).await;
        all_parsed(
            "entries",
            answer
                .map_err(|failure| failure.error)?
                .into_inner()
                .entries,
        )
    }

    /// A server's own view of the Raft group.
    ///
    /// # Errors
    /// [`Error::Invalid`] when no such server is known; [`Error::Unreachable`] when it does not
    /// answer. A retry is safe.
    pub async fn raft_status(&self, server: Target) -> Result<RaftStatus, Error> {
        let plan = self.ask(server, self.shared.options.attempt).await?;
        let send = |server: Arc<Server>| async move {
            server.admin().raft_status(v1::RaftStatusRequest {}).await
        };
        let answer = call::call(&self.shared, &plan, send).await;
        Ok(raft_status(
            answer.map_err(|failure| failure.error)?.into_inner(),
        ))
    }

    /// Digest of a server's own state.
    ///
    /// # Errors
    /// As for [`Admin::raft_status`].
    pub async fn digest(&self, server: Target) -> Result<ServerDigest, Error> {
        let plan = self.ask(server, self.shared.options.deadline).await?;
        let send =
            |server: Arc<Server>| async move { server.admin().digest(v1::DigestRequest {}).await };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        Ok(ServerDigest {
            server: ServerId(wire.server),
            applied: LogIndex(wire.applied),
            revision: Revision(wire.revision),
            digest: wire.digest,
        })
    }

    /// Writes a server's checkpoint now, so that its log can shrink, and gives the last entry in it.
    ///
    /// # Errors
    /// As for [`Admin::raft_status`]; [`Error::Refused`] when the checkpoint could not be written.
    pub async fn checkpoint(&self, server: Target) -> Result<LogIndex, Error> {
        let plan = self
            .ask(server, self.shared.options.change_deadline)
            .await?;
        let send = |server: Arc<Server>| async move {
            server.admin().checkpoint(v1::CheckpointRequest {}).await
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        Ok(LogIndex(wire.applied))
    }

    async fn ask(&self, target: Target, within: Duration) -> Result<Plan, Error> {
        let route = match target {
            Target::Any => Route::Any,
            Target::Id(id) => Route::One(self.server(id).await?),
            Target::At(api) => Route::One(self.shared.servers.visit(&api)),
        };
        Ok(Plan {
            route,
            repeat: Repeat::Harmless,
            deadline: self.shared.until(within.max(self.shared.options.deadline)),
            attempt: within,
        })
    }

    /// The server with an id; when it is not known, the others are asked for it once.
    async fn server(&self, id: ServerId) -> Result<Arc<Server>, Error> {
        let servers = &self.shared.servers;
        if let Some(server) = servers.by_id(id) {
            return Ok(server);
        }
        for server in servers.all().iter() {
            if self
                .shared
                .refresh(server, self.shared.options.attempt)
                .await
                .is_ok()
            {
                break;
            }
        }
        servers.by_id(id).ok_or_else(|| Error::Refused {
            reason: Refusal::NotFound,
            detail: format!("no server {id} is known"),
            leader: None,
        })
    }
}
