//! The cluster as the commands see it: the client library, with its errors as failures of a command.

mod operate;

use crate::{
    args::Global,
    exit::{Failure, Why},
};
use std::{future::Future, time::Duration};
use tenure_client::{
    Client, ClusterStatus, Consistency, Error, Options, RaftStatus, Refusal, ServerDigest, Target,
};
use tenure_core::{
    Command, Done, Endpoint, Filter, HistoryEntry, LogIndex, Plan, RecordKind, ServerId,
    ServiceName, State, Topology,
};

/// How long one server may take to say how it is. It is on the same site.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// How long a leader may be missing before what is old is shown instead: some elections.
const LEADER_WITHIN: Duration = Duration::from_secs(2);

/// A connection to a cluster.
#[derive(Debug, Clone)]
pub struct Cluster {
    client: Client,
}

/// What is known of a cluster.
#[derive(Debug, Clone)]
pub struct Known {
    /// What is wrong, and who leads.
    pub status: ClusterStatus,
    /// Whether a leader with a quorum confirmed it. Otherwise it is as old as a server's own state.
    pub is_current: bool,
}

/// What one server said of itself, or why it said nothing.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where it was asked.
    pub api: Endpoint,
    /// What it said.
    pub said: Result<RaftStatus, String>,
}

impl Cluster {
    /// Finds the cluster by the servers that were named.
    ///
    /// # Errors
    /// When none of them answers; a retry is safe.
    pub async fn connect(global: &Global) -> Result<Self, Failure> {
        let options = Options {
            deadline: global.deadline,
            change_deadline: global.deadline.max(Options::default().change_deadline),
            actor: actor(global),
            ..Options::default()
        };
        let endpoints = global.server.iter().map(ToString::to_string);
        let client = Client::connect(endpoints, options).await.map_err(failure)?;
        Ok(Self { client })
    }

    /// The client itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Carries out a command, and lets the cluster forget the registration that it took.
    ///
    /// # Errors
    /// Rejected, refused, unreachable, or of unknown outcome.
    pub async fn execute(&self, command: Command) -> Result<Done, Failure> {
        let done = self
            .client
            .admin()
            .execute(command)
            .await
            .map_err(failure)?;
        // It is forgotten anyway when there are too many; nobody waits for it.
        let _closed = tokio::time::timeout(LOOK_WITHIN, self.client.clone().close()).await;
        Ok(done)
    }

    /// The records of these kinds (of these services; of all when empty) as they are now.
    ///
    /// # Errors
    /// When no server answers in time; a retry is safe.
    pub async fn state(
        &self,
        kinds: &[RecordKind],
        services: &[ServiceName],
    ) -> Result<State, Failure> {
        let filter = Filter {
            kinds: kinds.iter().copied().collect(),
            services: services.iter().cloned().collect(),
        };
        let listed = self
            .client
            .discovery()
            .list(&filter, Consistency::Linearizable)
            .await;
        let mut state = State::default();
        for record in listed.map_err(failure)?.records {
            state.put(record);
        }
        Ok(state)
    }

    /// What is wrong, and who leads; when no leader answers, what any server knows, however old.
    ///
    /// # Errors
    /// When no server answers; a retry is safe.
    pub async fn status(&self) -> Result<Known, Failure> {
        let admin = self.client.admin();
        let current = admin.status(Consistency::Linearizable);
        if let Ok(Ok(status)) = tokio::time::timeout(LEADER_WITHIN, current).await {
            return Ok(Known {
                status,
                is_current: true,
            });
        }
        let status = admin.status(Consistency::ANY_AGE).await.map_err(failure)?;
        Ok(Known {
            status,
            is_current: false,
        })
    }

    /// The steps that lead to a topology.
    ///
    /// # Errors
    /// When no server answers in time; a retry is safe.
    pub async fn plan(&self, topology: &Topology, remove: bool) -> Result<Plan, Failure> {
        self.client
            .admin()
            .plan(topology, remove)
            .await
            .map_err(failure)
    }

    /// The latest changes, newest first.
    ///
    /// # Errors
    /// When no server answers in time; a retry is safe.
    pub async fn history(&self, limit: u32) -> Result<Vec<HistoryEntry>, Failure> {
        self.client
            .admin()
            .history(limit, Consistency::Linearizable)
            .await
            .map_err(failure)
    }

    /// Asks each of these servers how it is, all at once.
    pub async fn look(&self, servers: &[Endpoint]) -> Vec<Look> {
        let ask = |api: &Endpoint| {
            let (admin, api) = (self.client.admin(), api.clone());
            async move {
                let said = within(admin.raft_status(Target::At(api.clone()))).await;
                Look { api, said }
            }
        };
        futures::future::join_all(servers.iter().map(ask)).await
    }

    /// The digest of one server's state.
    ///
    /// # Errors
    /// A sentence, when it does not answer.
    pub async fn digest(&self, server: &Endpoint) -> Result<ServerDigest, String> {
        let within = LOOK_WITHIN.saturating_mul(30);
        let digest = self.client.admin();
        let digest = digest.digest(Target::At(server.clone()));
        match tokio::time::timeout(within, digest).await {
            Ok(digest) => digest.map_err(|why| why.to_string()),
            Err(_) => Err("no answer within 30 s".to_owned()),
        }
    }

    /// Adds a server, and says whether it votes.
    ///
    /// # Errors
    /// As the servers say; to repeat it is harmless.
    pub async fn add_server(
        &self,
        id: ServerId,
        raft: Endpoint,
        api: Endpoint,
        learner: bool,
    ) -> Result<bool, Failure> {
        self.client
            .admin()
            .add_server(id, raft, api, learner)
            .await
            .map_err(failure)
    }

    /// Removes a server for good.
    ///
    /// # Errors
    /// As the servers say; to repeat it is harmless.
    pub async fn remove_server(&self, id: ServerId) -> Result<(), Failure> {
        self.client.admin().remove_server(id).await.map_err(failure)
    }

    /// Hands leadership over, and says to whom.
    ///
    /// # Errors
    /// As the servers say; to repeat it is harmless.
    pub async fn transfer_leader(&self, to: Option<ServerId>) -> Result<ServerId, Failure> {
        self.client
            .admin()
            .transfer_leader(to)
            .await
            .map_err(failure)
    }

    /// Writes a server's checkpoint, and says up to which entry it reaches.
    ///
    /// # Errors
    /// When the server does not answer, or cannot write it.
    pub async fn checkpoint(&self, server: ServerId) -> Result<LogIndex, Failure> {
        self.client
            .admin()
            .checkpoint(Target::Id(server))
            .await
            .map_err(failure)
    }
}

async fn within<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, String> {
    match tokio::time::timeout(LOOK_WITHIN, call).await {
        Ok(answer) => answer.map_err(|why| why.to_string()),
        Err(_) => Err("does not answer".to_owned()),
    }
}

/// Who asks, when nobody says so: the person's login.
fn actor(global: &Global) -> String {
    let login = || {
        std::env::var("USER")
            .ok()
            .filter(|name| tenure_core::Note::new(name).is_ok())
    };
    global
        .actor
        .as_ref()
        .map_or_else(|| login().unwrap_or_default(), ToString::to_string)
}

/// A failed call as a failed command.
pub fn failure(error: Error) -> Failure {
    let why = match &error {
        Error::Rejected(_) => Why::Rejected,
        Error::Refused { reason, .. } => of_refusal(*reason),
        Error::Unreachable { .. } => Why::Unreachable,
        Error::Deadline { .. } => Why::Deadline,
        Error::OutcomeUnknown { .. } => Why::OutcomeUnknown,
        Error::Invalid(_) => Why::Invalid,
    };
    match error.held() {
        Some(held) => {
            let kind = held
                .code
                .map_or_else(String::new, |code| format!("{code}: "));
            Failure::new(why, format!("held: {kind}{}", held.why))
        }
        None => Failure::new(why, error),
    }
}

fn of_refusal(reason: Refusal) -> Why {
    match reason {
        Refusal::NotFound => Why::NotFound,
        Refusal::NotLeader
        | Refusal::NoLeader
        | Refusal::NoQuorum
        | Refusal::NotFormed
        | Refusal::TooStale { .. }
        | Refusal::ShuttingDown
        | Refusal::Unreadable => Why::Unreachable,
        Refusal::Held { .. } => Why::Held,
        Refusal::Overloaded
        | Refusal::Membership
        | Refusal::RejectedForNewReason { .. }
        | Refusal::Other => Why::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_told_from_what_was_refused() {
        let refused = |reason| Error::Refused {
            reason,
            detail: "x".to_owned(),
            leader: None,
        };
        let table = [
            (
                Error::Unreachable {
                    tried: vec![],
                    last: "x".to_owned(),
                },
                3,
            ),
            (
                Error::OutcomeUnknown {
                    last: "x".to_owned(),
                },
                3,
            ),
            (Error::Invalid("x".to_owned()), 3),
            (refused(Refusal::NoLeader), 3),
            (refused(Refusal::NotFound), 1),
            (refused(Refusal::Membership), 1),
            (refused(Refusal::Held { code: 5 }), 1),
        ];
        for (error, code) in table {
            let told = format!("{error:?}");
            assert_eq!(failure(error).exit.code(), code, "{told}");
        }
    }

    #[test]
    fn a_hold_is_told_as_one() {
        let held = failure(Error::Refused {
            reason: Refusal::Held { code: 5 },
            detail: "db-1 may still take writes".to_owned(),
            leader: None,
        });
        let sentence = "held: not fenced yet: db-1 may still take writes";
        assert_eq!((held.why, held.sentence.as_str()), (Why::Held, sentence));
    }
}
