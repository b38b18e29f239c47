//! Nodes with names that are used once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenure_client::Client;
use tenure_core::{NodeId, NodeName};

use super::Shared;

/// All nodes together stay below what a cluster takes.
pub(super) const NODES_PER_WRITER: u64 = 8_000;

/// What became of each name.
#[derive(Debug, Default)]
pub struct Account {
    /// Acknowledged, with the id.
    pub acknowledged: BTreeMap<NodeName, NodeId>,
    /// Refused: nothing happened.
    pub refused: Vec<NodeName>,
    /// Perhaps.
    pub unknown: Vec<NodeName>,
}

pub(super) fn name(writer: &str, at: usize, number: u64) -> NodeName {
    NodeName::new(&format!("{writer}-{at}-{number}")).expect("letters, digits and hyphens")
}

pub(super) async fn run(shared: Arc<Shared>, client: Client, at: usize) -> Account {
    let mut account = Account::default();
    let mut number = 0;
    while shared.goes_on() && number < NODES_PER_WRITER {
        number += 1;
        let name = name("node", at, number);
        let added = client.admin().add_node(name.clone(), None).await;
        let unknown = shared.count(&added);
        match added {
            Ok(id) => drop(account.acknowledged.insert(name, id)),
            Err(_) if unknown => account.unknown.push(name),
            Err(tenure_client::Error::Rejected(reject)) => {
                shared.violated(format!(
                    "node {name} was added for the first time, and: {reject}"
                ));
            }
            Err(_) => account.refused.push(name),
        }
        shared.pause().await;
    }
    account
}
