//! The group as the servers themselves see it.

use tenure_core::Command;
use tenure_proto::v1;

use super::{CallError, Cluster, ClusterError, SETTLE_BOUND, until};

impl Cluster {
    /// Waits until a server leads and every running voter that answers agrees. Answers with its place.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`] with what the servers said last; a server that ended by itself.
    pub async fn wait_for_leader(&mut self) -> Result<usize, ClusterError> {
        self.check()?;
        let this = &*self;
        let leader = until(
            "a leader that all running servers know",
            SETTLE_BOUND,
            async || this.leader().await,
        )
        .await;
        if leader.is_err() {
            self.check()?;
        }
        leader
    }

    /// The server that leads now by its own word and that of all running servers; a sentence when they differ.
    ///
    /// # Errors
    /// What each server said.
    pub async fn leader(&self) -> Result<usize, String> {
        let mut views = vec![];
        for at in self.running() {
            let status = self.calls(at).raft_status().await;
            views.push(status.map_err(|error| format!("server {}: {error}", at + 1))?);
        }
        let said = || {
            let view = |v: &v1::RaftStatusResponse| {
                format!(
                    "server {} is {} in term {}, leader {}",
                    v.server, v.role, v.term, v.leader
                )
            };
            views.iter().map(view).collect::<Vec<_>>().join("; ")
        };
        let own = |view: &&v1::RaftStatusResponse| view.role == "leader";
        let leader = views
            .iter()
            .filter(own)
            .max_by_key(|view| view.term)
            .ok_or_else(said)?;
        let member = |view: &v1::RaftStatusResponse| {
            leader.servers.iter().any(|server| server.id == view.server)
        };
        let agrees = |view: &v1::RaftStatusResponse| {
            view.leader == leader.server && view.term == leader.term
        };
        if !views.iter().filter(|view| member(view)).all(agrees) {
            return Err(said());
        }
        self.place_of(leader.server).ok_or_else(said)
    }

    /// The place of a server by its id.
    #[must_use]
    pub fn place_of(&self, id: u64) -> Option<usize> {
        self.servers
            .iter()
            .rposition(|server| server.listed.id == id)
    }

    /// Commits a command that is harmless to repeat at whoever leads.
    ///
    /// # Errors
    /// [`ClusterError::Call`] when it was rejected, [`ClusterError::TooLate`] when nobody took it.
    pub async fn execute(
        &mut self,
        command: &Command,
    ) -> Result<v1::ExecuteResponse, ClusterError> {
        let mut rejected = None;
        let what = format!("a commit of {command:?}");
        let answer = until(what.clone(), SETTLE_BOUND, async || {
            let leader = self.leader().await?;
            match self.calls(leader).execute(command, None).await {
                Err(error) if error.reject().is_some() => {
                    rejected = Some(error);
                    Ok(None)
                }
                Err(error) => Err(error.to_string()),
                Ok(answer) => Ok(Some(answer)),
            }
        })
        .await?;
        answer.ok_or_else(|| {
            let source = rejected.unwrap_or(CallError::Broken("nothing was answered".into()));
            ClusterError::Call { what, source }
        })
    }

    /// Adds a prepared server to the group, following the leader. Answers whether it votes.
    ///
    /// # Errors
    /// The refusal that a retry cannot help, or [`ClusterError::TooLate`].
    pub async fn admit(&mut self, at: usize, learner: bool) -> Result<bool, ClusterError> {
        let listed = self.servers[at].listed.clone();
        let request = v1::AddServerRequest {
            id: listed.id,
            raft: listed.raft,
            api: listed.api,
            learner,
        };
        let what = format!("the addition of server {}", listed.id);
        until(what, 4 * SETTLE_BOUND, async || {
            let leader = self.leader().await?;
            let answer = self.calls(leader).add_server(request.clone()).await;
            answer
                .map(|answer| answer.voter)
                .map_err(|error| error.to_string())
        })
        .await
    }

    /// Removes a server from the group for good, following the leader.
    ///
    /// # Errors
    /// [`ClusterError::TooLate`] with the last refusal.
    pub async fn dismiss(&mut self, id: u64) -> Result<(), ClusterError> {
        until(
            format!("the removal of server {id}"),
            4 * SETTLE_BOUND,
            async || {
                let leader = self.leader().await?;
                let answer = self.calls(leader).remove_server(id).await;
                answer.map(drop).map_err(|error| error.to_string())
            },
        )
        .await
    }
}
