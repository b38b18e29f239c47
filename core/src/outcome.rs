//! What came of a command.

use crate::copies::{Accepted, Refusal};
use crate::{ClientId, Epoch, Event, Key, NodeId, Reject, Revision};
use serde::{Deserialize, Serialize};

/// Something that a command brought into being and named.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Created {
    /// A node.
    Node(NodeId),
    /// A registration of a client.
    Client(ClientId),
    /// A change of primary, by its epoch.
    Epoch(Epoch),
}

/// A command that was carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The state's revision after it. Unchanged when the command asked for what already was.
    pub revision: Revision,
    /// What it created, if it names something.
    pub created: Option<Created>,
}

/// What came of a committed command: the same on every server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub enum Outcome {
    /// It was carried out.
    Done(Done),
    /// A batch of items was taken: what each came to, in its order. It is never kept for a client.
    #[serde(skip)]
    Answered {
        /// The state's revision after it.
        revision: Revision,
        /// Of each item.
        answers: Vec<Result<Accepted, Refusal>>,
    },
    /// It changed nothing, for this reason.
    Rejected(Reject),
}

impl Outcome {
    /// How much text it holds, in bytes.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Done(_) | Self::Answered { .. } => 0,
            Self::Rejected(reject) => {
                let (subject, detail) = (reject.subject.as_str(), reject.detail.as_str());
                subject.len().saturating_add(detail.len())
            }
        }
    }

    /// The outcome as a result.
    ///
    /// # Errors
    /// The [`Reject`], when it was rejected.
    pub fn into_result(self) -> Result<Done, Reject> {
        match self {
            Self::Done(done) => Ok(done),
            Self::Answered { revision, .. } => Ok(Done {
                revision,
                created: None,
            }),
            Self::Rejected(reject) => Err(reject),
        }
    }
}

/// Everything that applying one entry gave.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Applied {
    /// The answer for whoever asked.
    pub outcome: Outcome,
    /// How the visible state differs from before, in key order. Empty when it does not.
    pub events: Vec<Event>,
    /// Keys of records that changed without being visible to watchers; they too must reach the disk.
    pub hidden: Vec<Key>,
}
