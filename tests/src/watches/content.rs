//! Records in numbers and sizes, and commands that change many of them at once.

use std::collections::BTreeMap;
use std::time::Duration;

use tenure_client::{Client, Consistency, Options};
use tenure_core::limits::BATCH_COMMANDS_MAX;
use tenure_core::{Attributes, Command, Filter, Incarnation, NodeName, NodeRef, Revision};

use super::picture::{Records, by_key};
use crate::cluster::{ClusterError, SETTLE_BOUND, until};

/// Commands of so many bytes go into one log entry, with room to spare.
const BATCH_BYTES: usize = 800 << 10;
const VALUE_BYTES: usize = 1_000;

/// A client that tries for long: the machine may be busy, and the servers may have been started just now.
///
/// # Errors
/// No server answers.
pub async fn patient(endpoints: &[String]) -> Result<Client, ClusterError> {
    let options = Options {
        deadline: Duration::from_secs(60),
        attempt: Duration::from_secs(10),
        connect: Duration::from_secs(2),
        ..Options::default()
    };
    until("a connected client", SETTLE_BOUND, async || {
        let client = Client::connect(endpoints.iter().cloned(), options.clone()).await;
        client.map_err(|error| error.to_string())
    })
    .await
}

/// Labels of about so many bytes in all.
///
/// # Panics
/// When that is more than a node may have.
#[must_use]
pub fn labels(bytes: usize) -> Attributes {
    let mut pairs = BTreeMap::new();
    let mut left = bytes;
    while left > 0 {
        let take = left.min(VALUE_BYTES);
        pairs.insert(format!("k{}", pairs.len()), "v".repeat(take));
        left -= take;
    }
    Attributes::new(pairs).expect("labels within their bounds")
}

/// The name of the node with a number.
///
/// # Panics
/// Never: it is a name.
#[must_use]
pub fn name(at: usize) -> NodeName {
    NodeName::new(&format!("node-{at}")).expect("a name")
}

/// Adds nodes by the numbers 0 to `count`, each with labels of so many bytes.
///
/// # Errors
/// What the client says.
pub async fn add_nodes(client: &Client, count: usize, label_bytes: usize) -> Result<(), String> {
    let labels = labels(label_bytes);
    let at_once = (BATCH_BYTES / (label_bytes + 64)).clamp(1, BATCH_COMMANDS_MAX);
    for from in (0..count).step_by(at_once) {
        let add = |at| Command::AddNode {
            name: name(at),
            zone: None,
            labels: labels.clone(),
            weight: 100,
        };
        let batch = (from..count.min(from + at_once)).map(add).collect();
        execute(client, Command::Batch(batch)).await?;
    }
    Ok(())
}

/// All of these nodes begin their next life: small commands that change records of any size, in one revision.
#[must_use]
pub fn join(nodes: std::ops::Range<usize>, last: u64) -> Command {
    let one = |at| Command::JoinNode {
        node: NodeRef::Name(name(at)),
        last: Incarnation(last),
    };
    Command::Batch(nodes.map(one).collect())
}

/// Makes a change, and answers with its revision.
///
/// # Errors
/// What the client says.
pub async fn execute(client: &Client, command: Command) -> Result<Revision, String> {
    let done = client
        .admin()
        .execute(command)
        .await
        .map_err(|error| error.to_string())?;
    Ok(done.revision)
}

/// Everything that is stored, as a linearizable read shows it.
///
/// # Errors
/// What the client says.
pub async fn list(client: &Client) -> Result<(Revision, Records), String> {
    let listed = client
        .discovery()
        .list(&Filter::default(), Consistency::Linearizable)
        .await;
    let listed = listed.map_err(|error| error.to_string())?;
    Ok((listed.header.revision, by_key(listed.records)))
}
