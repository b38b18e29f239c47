//! Joining: each start of the process is a new life of its node.

use super::{HolderError, HolderOptions};
use crate::{Client, Consistency, Error};
use std::time::Duration;
use tenure_core::{
    Attributes, Command, Created, Filter, Incarnation, Member, Node, NodeId, NodeRef, Record,
    RecordKind,
};

/// The pauses between attempts: doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// What a node weighs when nothing is said.
const USUAL_WEIGHT: u32 = 100;

/// Why an attempt failed.
enum Failure {
    Again(String),
    Final(HolderError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Invalid(_) => Self::Final(HolderError::Refused(error)),
            // Whatever is not known or was overtaken is read again.
            Error::Rejected(_)
            | Error::Refused { .. }
            | Error::Unreachable { .. }
            | Error::Deadline { .. }
            | Error::OutcomeUnknown { .. } => Self::Again(error.to_string()),
        }
    }
}

/// The member that the process is from now on.
pub(super) async fn join(client: &Client, options: &HolderOptions) -> Result<Member, HolderError> {
    let mut pause = PAUSE_FIRST;
    let mut said = String::new();
    loop {
        match attempt(client, options).await {
            Ok(member) => {
                tracing::info!(%member, node = %options.node, "joined");
                return Ok(member);
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Again(why)) => {
                if why != said {
                    tracing::warn!(%why, "cannot join yet");
                    said = why;
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_LONGEST);
            }
        }
    }
}

async fn attempt(client: &Client, options: &HolderOptions) -> Result<Member, Failure> {
    let status = client.admin().status(Consistency::ANY_AGE).await?;
    if !options.cluster.is_empty() && status.cluster != options.cluster {
        return Err(Failure::Final(HolderError::OtherCluster {
            found: status.cluster,
            expected: options.cluster.clone(),
        }));
    }
    let (id, last) = match find(client, options).await? {
        Some(node) => {
            restate(client, options, &node).await?;
            (node.id, node.incarnation)
        }
        None => (add(client, options).await?, Incarnation(0)),
    };
    let node = NodeRef::Id(id);
    client
        .admin()
        .execute(Command::JoinNode { node, last })
        .await?;
    Ok(Member {
        node: id,
        incarnation: last.next(),
    })
}

async fn find(client: &Client, options: &HolderOptions) -> Result<Option<Node>, Failure> {
    let filter = Filter {
        kinds: [RecordKind::Node].into(),
        ..Filter::default()
    };
    let discovery = client.discovery();
    let listed = discovery.list(&filter, Consistency::Linearizable).await?;
    let node = listed.records.into_iter().find_map(|record| {
        if let Record::Node(node) = record {
            let named = node.is_present() && node.name == options.node;
            named.then(|| node.as_ref().clone())
        } else {
            None
        }
    });
    Ok(node)
}

async fn add(client: &Client, options: &HolderOptions) -> Result<NodeId, Failure> {
    let add = Command::AddNode {
        name: options.node.clone(),
        zone: options.zone.clone(),
        labels: Attributes::default(),
        weight: options.weight.unwrap_or(USUAL_WEIGHT),
    };
    match client.admin().execute(add).await?.created {
        Some(Created::Node(id)) => Ok(id),
        Some(Created::Client(_) | Created::Epoch(_)) | None => {
            Err(Failure::Again("the answer names no node".to_owned()))
        }
    }
}

/// Tells the cluster what the options say of the node; what they do not say stays.
async fn restate(client: &Client, options: &HolderOptions, node: &Node) -> Result<(), Failure> {
    let zone = options.zone.clone().or_else(|| node.zone.clone());
    let weight = options.weight.unwrap_or(node.weight);
    if (&zone, weight) == (&node.zone, node.weight) {
        return Ok(());
    }
    let update = Command::UpdateNode {
        node: NodeRef::Id(node.id),
        expected: node.modified,
        zone,
        labels: node.labels.clone(),
        weight,
    };
    client.admin().execute(update).await?;
    Ok(())
}
