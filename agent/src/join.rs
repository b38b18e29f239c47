//! Joining: the agent is the member that it was before, or its node begins a new life.

use std::time::Duration;

use tenure_client::{Client, Consistency, Error as ClientError};
use tenure_core::{
    Attributes, Automation, Command, Created, Filter, Millis, Node, NodeId, NodeRef, Record,
    RecordKind, RejectCode,
};

use crate::config::Config;
use crate::error::Error;
use crate::state::{Folder, Identity};

/// The pauses between attempts: doubled each time.
const PAUSE_FIRST: Duration = Duration::from_millis(50);
const PAUSE_LONGEST: Duration = Duration::from_secs(1);

/// What a node weighs when the configuration says nothing.
const USUAL_WEIGHT: u32 = 100;

/// The member that the agent is.
pub(crate) struct Membership {
    pub(crate) identity: Identity,
    /// Whether its node has just begun this life.
    pub(crate) joined_now: bool,
}

/// Why an attempt to join failed.
enum Failure {
    /// Another may succeed.
    Again(String),
    /// No other can.
    Final(Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Invalid(_) => Self::Final(Error::Refused(error)),
            // Whatever is not known or was overtaken is read again.
            ClientError::Rejected(_)
            | ClientError::Refused { .. }
            | ClientError::Unreachable { .. }
            | ClientError::Deadline { .. }
            | ClientError::OutcomeUnknown { .. } => Self::Again(error.to_string()),
        }
    }
}

/// The member that the agent is. One that was started before in this boot of the machine goes on as what
/// it was, and needs no server for that; otherwise its node joins, for as long as that takes.
///
/// # Errors
/// [`Error`] when the folder or the cluster says that this is another node, or another cluster.
pub(crate) async fn identity(
    folder: &Folder,
    config: &Config,
    client: &Client,
    boot: String,
) -> Result<Membership, Error> {
    let known = Identity::read(folder, &config.cluster, config.node.as_str())?;
    if let Some(known) = known.as_ref().filter(|known| known.boot == boot) {
        tracing::info!(member = %known.member(), "goes on as the member that it was");
        return Ok(Membership {
            identity: known.clone(),
            joined_now: false,
        });
    }
    let mut pause = PAUSE_FIRST;
    let mut said = String::new();
    loop {
        match join(config, client, known.as_ref(), &boot).await {
            Ok(identity) => {
                identity.write(folder)?;
                tracing::info!(member = %identity.member(), node = %config.node, "joined");
                return Ok(Membership {
                    identity,
                    joined_now: true,
                });
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

async fn join(
    config: &Config,
    client: &Client,
    known: Option<&Identity>,
    boot: &str,
) -> Result<Identity, Failure> {
    let status = client.admin().status(Consistency::ANY_AGE).await?;
    if status.cluster != config.cluster {
        return Err(Failure::Final(Error::OtherCluster {
            found: status.cluster,
            expected: config.cluster.clone(),
        }));
    }
    let (nodes, automation) = look(client).await?;
    let node = find(config, known, &nodes)?;
    let (id, incarnation) = match node {
        Some(node) => {
            restate(config, client, node).await?;
            (node.id, node.incarnation)
        }
        None => (add(config, client).await?, tenure_core::Incarnation(0)),
    };
    let join = Command::JoinNode {
        node: NodeRef::Id(id),
        last: incarnation,
    };
    client.admin().execute(join).await?;
    let earlier = known.map_or(Millis(0), |known| known.lease);
    Ok(Identity {
        cluster: config.cluster.clone(),
        node: config.node.as_str().to_owned(),
        id,
        incarnation: incarnation.next(),
        boot: boot.to_owned(),
        lease: automation.longest_lease().max(earlier),
    })
}

async fn look(client: &Client) -> Result<(Vec<Node>, Automation), Failure> {
    let filter = Filter {
        kinds: [RecordKind::Node, RecordKind::Automation].into(),
        ..Filter::default()
    };
    let discovery = client.discovery();
    let listed = discovery.list(&filter, Consistency::Linearizable).await?;
    let (mut nodes, mut automation) = (Vec::new(), Automation::default());
    for record in listed.records {
        if let Record::Node(node) = record {
            nodes.push(node.as_ref().clone());
        } else if let Record::Automation(set) = record {
            automation = *set;
        }
    }
    Ok((nodes, automation))
}

/// The node of this agent, if the cluster has it.
fn find<'a>(
    config: &Config,
    known: Option<&Identity>,
    nodes: &'a [Node],
) -> Result<Option<&'a Node>, Failure> {
    let Some(known) = known else {
        let named = |node: &&Node| node.is_present() && node.name == config.node;
        return Ok(nodes.iter().find(named));
    };
    let node = nodes.iter().find(|node| node.id == known.id);
    if let Some(node) = node.filter(|node| node.is_present() && node.name == config.node) {
        return Ok(Some(node));
    }
    let (id, name, file) = (known.id, &config.node, config.state_dir.join("identity"));
    let what = match node {
        Some(node) if !node.is_present() => format!("was removed ({})", node.reason),
        Some(node) => format!("is another one there, {}", node.name),
        None => "is not known there: was the cluster set up anew?".to_owned(),
    };
    Err(Failure::Final(Error::NotThisNode(format!(
        "this was node {id}, {name}, of cluster {}, and {what}. To join as a new node of that name, \
         remove {}",
        config.cluster,
        file.display()
    ))))
}

async fn add(config: &Config, client: &Client) -> Result<NodeId, Failure> {
    let add = Command::AddNode {
        name: config.node.clone(),
        zone: config.zone.clone(),
        labels: config.labels.clone().unwrap_or_default(),
        weight: config.weight.unwrap_or(USUAL_WEIGHT),
    };
    match client.admin().execute(add).await?.created {
        Some(Created::Node(id)) => Ok(id),
        Some(Created::Client(_) | Created::Epoch(_)) | None => {
            Err(Failure::Again("the answer names no node".to_owned()))
        }
    }
}

/// Tells the cluster what the configuration says of the node; what it does not say stays.
async fn restate(config: &Config, client: &Client, node: &Node) -> Result<(), Failure> {
    let zone = config.zone.clone().or_else(|| node.zone.clone());
    let labels: Attributes = match &config.labels {
        Some(labels) => labels.clone(),
        None => node.labels.clone(),
    };
    let weight = config.weight.unwrap_or(node.weight);
    if (&zone, &labels, weight) == (&node.zone, &node.labels, node.weight) {
        return Ok(());
    }
    let update = Command::UpdateNode {
        node: NodeRef::Id(node.id),
        expected: node.modified,
        zone,
        labels,
        weight,
    };
    match client.admin().execute(update).await {
        Ok(_) => Ok(()),
        Err(ClientError::Rejected(reject)) if reject.code == RejectCode::Changed => {
            Err(Failure::Again(reject.to_string()))
        }
        Err(error) => Err(error.into()),
    }
}
