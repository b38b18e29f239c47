//! Rejects: committed, but changed nothing, with the reason as data.

use crate::Note;
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $text:literal;)*) => {
        /// Why a command was rejected. The numbers are part of the formats on disk and on the wire.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum RejectCode {
            $($(#[$doc])* $name = $number,)*
        }

        impl RejectCode {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code under which it is stored and sent.
            #[must_use]
            pub fn number(self) -> u32 {
                self as u32
            }

            /// The code with this number, if there is one.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                match number {
                    $($number => Some(Self::$name),)*
                    _ => None,
                }
            }

            fn sentence(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

codes! {
    /// What the command speaks of is not there.
    NotFound = 1, "does not exist";
    /// What the command would add is there already.
    AlreadyExists = 2, "exists already";
    /// The record was changed since the caller read it; read again and decide anew.
    Changed = 3, "was changed in the meantime";
    /// The service's epoch is not the one that the caller decided on.
    WrongEpoch = 4, "is at another epoch";
    /// The report comes from another life of the node.
    WrongIncarnation = 5, "is in another incarnation";
    /// A value is out of its range or contradicts another.
    Invalid = 6, "is not valid";
    /// A bound of the cluster would be passed.
    LimitReached = 7, "would pass a limit";
    /// The lifecycle has no such step.
    TransitionNotAllowed = 8, "cannot go there from where it stands";
    /// The node still has instances.
    NodeHasInstances = 9, "still has instances";
    /// The node is primary of something.
    NodeHoldsPrimary = 10, "is primary of something";
    /// The node takes no new roles or instances.
    NodeNotPlaceable = 11, "takes no new roles";
    /// An operator pinned the node down.
    NodePinnedDown = 12, "is pinned down";
    /// The service still has instances.
    ServiceHasInstances = 13, "still has instances";
    /// The instance is the primary.
    InstanceIsPrimary = 14, "is the primary";
    /// The service has no primary by its kind.
    NotAPrimaryService = 15, "is not a service with a primary";
    /// The kind of a service never changes.
    KindIsFixed = 16, "has another kind";
    /// The candidate is not known to hold every acknowledged write.
    NotInSync = 17, "is not known to hold every acknowledged write";
    /// The candidate is primary already.
    AlreadyPrimary = 18, "is primary already";
    /// The candidate's preference is 0: never.
    NeverPrimary = 19, "is never to be primary (preference 0)";
    /// The in-sync set is not made of instances, or lacks the primary.
    BadInSyncSet = 20, "has no such in-sync set";
    /// The server's id belonged to a removed server.
    ServerIdUsed = 21, "was removed, and ids of servers are never used again";
    /// The server's data folder is not the one it came with before.
    StoreMismatch = 22, "came with another data folder";
    /// The client's registration is not known (any more): whether an earlier try was applied is unknown.
    UnknownClient = 23, "is not registered (any more)";
    /// The client itself said that this request was answered.
    RequestSettled = 24, "was settled before";
    /// Too many requests of this client are under way.
    RequestWindowFull = 25, "has too many requests under way";
    /// Not every server understands this command yet.
    FeatureLevelTooLow = 26, "needs a higher feature level";
    /// Batches do not nest, and registrations do not come in batches.
    NotInBatch = 27, "cannot stand in a batch";
    /// The policy forbids losing acknowledged writes.
    LossForbidden = 28, "may not lose acknowledged writes by its policy";
    /// The change rests on no fence proof that fits.
    NotFenced = 29, "is not proven to be fenced";
    /// Those heard from do not prove that nothing acknowledged is missing.
    NotProven = 30, "is not proven to hold every acknowledged write";
    /// Agents speak of the service: who is primary and who acknowledges is decided with them, not beside them.
    KeptByAgents = 31, "is kept by agents";
    /// Items would be left with too few fresh copies; the detail names the first of them.
    CopiesNeeded = 32, "holds copies that are needed";
    /// Copies on the node are still known.
    StoreHoldsCopies = 33, "still holds copies";
    /// The service still has items.
    ServiceHasItems = 34, "still has items";
    /// The service does not store copies of items by its kind.
    NotACopiesService = 35, "is not a service that stores copies of items";
}

/// Committed, but nothing changed: the reason, with the values that disagree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[must_use]
pub struct Reject {
    /// Why.
    pub code: RejectCode,
    /// What the reason is about, such as `node db-1`.
    pub subject: Note,
    /// What the caller took for the fact.
    pub expected: Option<u64>,
    /// What the fact is.
    pub actual: Option<u64>,
    /// More, such as what stands in the way or what to do.
    pub detail: Note,
}

/// Cuts a text to what a note holds; control characters become spaces.
pub(crate) fn note(text: &str) -> Note {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let mut kept = String::new();
    for c in text.chars().map(clean) {
        if kept.len().saturating_add(c.len_utf8()) > crate::limits::NOTE_BYTES_MAX {
            break;
        }
        kept.push(c);
    }
    Note::new(&kept).unwrap_or_default()
}

impl Reject {
    pub(crate) fn new(code: RejectCode, subject: impl fmt::Display) -> Self {
        Self {
            code,
            subject: note(&subject.to_string()),
            expected: None,
            actual: None,
            detail: Note::default(),
        }
    }

    pub(crate) fn values(self, expected: u64, actual: u64) -> Self {
        Self {
            expected: Some(expected),
            actual: Some(actual),
            ..self
        }
    }

    pub(crate) fn detail(self, detail: impl fmt::Display) -> Self {
        Self {
            detail: note(&detail.to_string()),
            ..self
        }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.code.sentence())?;
        if let (Some(expected), Some(actual)) = (self.expected, self.actual) {
            write!(f, " (expected {expected}, is {actual})")?;
        }
        if self.detail.as_str().is_empty() {
            Ok(())
        } else {
            write!(f, ": {}", self.detail)
        }
    }
}

impl std::error::Error for Reject {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_number_of_its_own() {
        for code in RejectCode::ALL {
            assert_eq!(RejectCode::from_number(code.number()), Some(*code));
        }
        assert_eq!(RejectCode::from_number(0), None);
    }

    #[test]
    fn a_reject_reads_as_a_sentence() {
        let reject = Reject::new(RejectCode::WrongEpoch, "service redis-server").values(3, 4);
        assert_eq!(
            reject.to_string(),
            "service redis-server is at another epoch (expected 3, is 4)"
        );
    }
}
