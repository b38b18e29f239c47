//! Requests that are sent again by their id, by the bare protocol: until they are answered, and then once more.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tenure_core::{Command, NodeId};
use tenure_proto::v1::{RequestId, execute_response::Created};

use super::Shared;
use super::nodes::{self, Account, NODES_PER_WRITER};
use crate::cluster::registers::add_node;
use crate::cluster::{CallError, Calls};
use crate::power_loss::chance::Chance;

/// How long a request may take to be answered, with all faults that come between.
const ANSWER_BOUND: Duration = Duration::from_secs(120);

struct Sender {
    shared: Arc<Shared>,
    servers: Vec<Calls>,
    /// The server that is asked next.
    at: usize,
    chance: Chance,
}

pub(super) async fn run(
    shared: Arc<Shared>,
    servers: Vec<Calls>,
    writer: usize,
    chance: Chance,
) -> Account {
    let mut account = Account::default();
    let mut sender = Sender {
        shared: shared.clone(),
        servers,
        at: 0,
        chance,
    };
    let Some(Created::Client(client)) = sender.settle(&Command::OpenClient, None).await else {
        shared.violated("a registration of a client was not answered with its id".to_owned());
        return account;
    };
    let mut sequence = 0;
    while shared.goes_on() && sequence < NODES_PER_WRITER {
        sequence += 1;
        let request = RequestId {
            client,
            sequence,
            first_incomplete: sequence,
        };
        let name = nodes::name("repeat", writer, sequence);
        let command = add_node(name.as_str());
        let first = sender.settle(&command, Some(request)).await;
        let Some(Created::Node(id)) = first else {
            shared.violated(format!("node {name} was answered with {first:?}"));
            break;
        };
        shared.counts.acknowledged.fetch_add(1, Ordering::Relaxed);
        account.acknowledged.insert(name.clone(), NodeId(id));
        if sender.chance.one_in(3) {
            shared.counts.retries.fetch_add(1, Ordering::Relaxed);
            let again = sender.settle(&command, Some(request)).await;
            if again != first {
                shared.violated(format!(
                    "node {name}: the first answer was {first:?}, that of the repeated request {again:?}"
                ));
            }
        }
        shared.pause().await;
    }
    account
}

impl Sender {
    /// Sends a request until it is answered. None when it never is, or when it is rejected: its id must prevent that.
    async fn settle(&mut self, command: &Command, request: Option<RequestId>) -> Option<Created> {
        let began = Instant::now();
        loop {
            let error = match self.servers[self.at].execute(command, request).await {
                Ok(answer) => return answer.created,
                Err(error) => error,
            };
            if error.reject().is_some() || began.elapsed() > ANSWER_BOUND {
                self.shared
                    .violated(format!("{command:?} by {request:?}: {error}"));
                return None;
            }
            if error.may_have_happened() {
                self.shared.counts.retries.fetch_add(1, Ordering::Relaxed);
            }
            self.turn_to_another(&error).await;
        }
    }

    async fn turn_to_another(&mut self, error: &CallError) {
        let leads = |leader| {
            self.servers
                .iter()
                .position(|server| server.server == leader)
        };
        let hint = error
            .leader_hint()
            .and_then(leads)
            .filter(|at| *at != self.at);
        self.at = hint.unwrap_or_else(|| self.chance.up_to(self.servers.len() - 1));
        // Servers that are down say so at once: without a pause they would be asked all the time.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
