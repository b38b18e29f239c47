//! What an operator is told of a site, and what he does to it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use redis::{RedisResult, Value};
use tenure_client::{Consistency, Resolved};
use tenure_core::controller::{Explanation, Hold};
use tenure_core::{Assignment, Automation, Command, Epoch, LossPolicy, NodeId, NodeRef, Policy};

use super::site::{Site, eventually, name, service};

impl Site {
    pub async fn explained(&self) -> Explanation {
        eventually("an explanation", || async {
            let explained = self.client.admin().explain(&service()).await.ok()?;
            Some(explained.1)
        })
        .await
    }

    /// Waits until nothing is done about the service, for a reason as wanted.
    pub async fn held(&self, wanted: impl Fn(&Hold) -> bool) -> Hold {
        eventually("a hold", || async {
            let hold = self.explained().await.decision.err();
            hold.filter(|hold| wanted(hold))
        })
        .await
    }

    async fn resolved(&self) -> Option<Resolved> {
        let discovery = self.client.discovery();
        let service = service();
        let resolved = discovery.resolve(&service, Consistency::Linearizable);
        resolved.await.ok()
    }

    pub async fn assignment(&self) -> Assignment {
        eventually("an assignment", || async {
            self.resolved().await?.assignment
        })
        .await
    }

    /// Waits until exactly these are in sync, and nobody is on the way.
    pub async fn in_sync(&self, nodes: &[u64]) {
        let wanted: BTreeSet<NodeId> = nodes.iter().copied().map(NodeId).collect();
        eventually("these in sync", || async {
            let assignment = self.resolved().await?.assignment?;
            let alone = assignment.syncing.is_subset(&assignment.in_sync);
            (alone && assignment.in_sync == wanted).then_some(())
        })
        .await;
    }

    /// Waits until these are in sync, whoever else is.
    pub async fn in_sync_at_least(&self, nodes: &[u64]) {
        eventually("these in sync", || async {
            let assignment = self.resolved().await?.assignment?;
            let has = |node: &u64| assignment.in_sync.contains(&NodeId(*node));
            nodes.iter().all(has).then_some(())
        })
        .await;
    }

    /// What became of the primary that an epoch ended.
    pub async fn returned(&self, epoch: Epoch) -> String {
        eventually("what became of the old primary", || async {
            let returned = self.receipt(epoch).await.returned.clone();
            let said = returned.as_str().to_owned();
            (!said.is_empty()).then_some(said)
        })
        .await
    }

    pub async fn decide_by(&self, change: impl Fn(&mut Automation)) {
        let admin = self.client.admin();
        let mut automation = admin
            .automation(Consistency::Linearizable)
            .await
            .expect("automation");
        change(&mut automation);
        let set = admin.set_automation(automation.modified, automation).await;
        set.expect("set");
    }

    pub async fn allow_loss(&self, loss: LossPolicy) {
        let service = self.resolved().await.expect("resolved").service;
        let Policy::Primary(mut policy) = service.policy else {
            panic!("it has a primary: {service:?}");
        };
        policy.loss = loss;
        self.execute(Command::UpdateService {
            name: service.name,
            expected: service.modified,
            policy: Policy::Primary(policy),
        })
        .await;
    }

    pub fn port(&self, node: u64) -> u16 {
        self.stores[&node].port
    }

    /// The files in which the agent of a node saved what nobody else had.
    pub fn saved(&self, node: u64) -> Vec<PathBuf> {
        let folder = self.folder.path().join(format!("agent-{node}"));
        let mut folders = vec![folder];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let end = path.extension().and_then(|end| end.to_str());
                if path.is_dir() {
                    folders.push(path);
                } else if matches!(end, Some("resp" | "rdb")) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

pub fn node(id: u64) -> NodeRef {
    NodeRef::Name(name(id))
}

/// Asks a store something on a connection of its own.
pub async fn ask(port: u16, words: &[&str]) -> RedisResult<Value> {
    let mut all = ask_all(port, &[words]).await?;
    all.pop().expect("an answer").extract_error()
}

/// Asks a store several things, one after the other without a pause. Refusals are among the answers.
pub async fn ask_all(port: u16, commands: &[&[&str]]) -> RedisResult<Vec<Value>> {
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
    let config = redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let connecting = client.get_multiplexed_async_connection_with_config(&config);
    let mut connection = connecting.await?;
    let mut pipe = redis::pipe();
    for words in commands {
        pipe.cmd(words[0]);
        for word in &words[1..] {
            pipe.arg(*word);
        }
    }
    let asking = connection.send_packed_commands(&pipe, 0, commands.len());
    tokio::time::timeout(Duration::from_secs(60), asking)
        .await
        .expect("an answer")
}
