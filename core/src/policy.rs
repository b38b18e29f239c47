//! What an operator wants of a service. One policy per kind, so that no setting is there that means nothing.

use crate::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The three kinds of service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One primary, the others follow it.
    Primary,
    /// Equals; load is spread over them.
    Peers,
    /// Data items, each kept on several nodes.
    Copies,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Primary => "primary",
            Self::Peers => "peers",
            Self::Copies => "copies",
        })
    }
}

/// Whether a change of primary may lose acknowledged writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LossPolicy {
    /// Only an instance proven to hold every acknowledged write takes over; else the service is held.
    Never,
    /// An instance may take over that lacks at most this many bytes (or transactions) of position.
    Bounded(u64),
    /// Whoever is most complete takes over.
    Available,
}

impl fmt::Display for LossPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.pad("never"),
            Self::Bounded(lag) => write!(f, "bounded({lag})"),
            Self::Available => f.pad("available"),
        }
    }
}

/// Policy of a service with one primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrimaryPolicy {
    /// Whether acknowledged writes may be lost.
    pub loss: LossPolicy,
    /// How many replicas there should be; fewer is a warning. 0 to 64.
    pub replicas: u32,
    /// How many replicas must have a write before it is acknowledged; 0 to `replicas`.
    pub write_acks: u32,
    /// How long after a failover no further automatic one happens; up to a day.
    pub anti_flap_ms: Millis,
}

impl Default for PrimaryPolicy {
    fn default() -> Self {
        Self {
            loss: LossPolicy::Never,
            replicas: 1,
            write_acks: 1,
            anti_flap_ms: Millis(60_000),
        }
    }
}

/// Policy of a service of equals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeersPolicy {
    /// Fewer healthy peers than this is critical; 0 to 10,000.
    pub healthy_min: u32,
}

impl Default for PeersPolicy {
    fn default() -> Self {
        Self { healthy_min: 1 }
    }
}

/// Policy of a service that stores copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CopiesPolicy {
    /// How many fresh copies each item should have; 1 to 16.
    pub copies: u32,
    /// How many copies a write must reach; 1 to `copies`.
    pub write_min: u32,
    /// Whether copies go to distinct zones where there are enough.
    pub spread_zones: bool,
    /// How long a lost node is waited for before its copies are replaced; up to a week. Items with one fresh copy left, or
    /// fewer than a write must reach, do not wait.
    pub repair_grace_ms: Millis,
    /// Transfers that one node sends at a time, and as many that it receives; 1 to 128.
    pub transfers_per_node: u32,
}

impl Default for CopiesPolicy {
    fn default() -> Self {
        Self {
            copies: 3,
            write_min: 2,
            spread_zones: true,
            repair_grace_ms: Millis(600_000),
            transfers_per_node: 16,
        }
    }
}

/// What an operator wants of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Policy {
    /// For one with a primary.
    Primary(PrimaryPolicy),
    /// For one of equals.
    Peers(PeersPolicy),
    /// For one that stores copies.
    Copies(CopiesPolicy),
}

/// A setting that is out of its range or contradicts another, as a sentence with the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError(pub String);

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PolicyError {}

pub(crate) fn within(name: &str, value: u64, least: u64, most: u64) -> Result<(), PolicyError> {
    if (least..=most).contains(&value) {
        Ok(())
    } else {
        Err(PolicyError(format!(
            "{name} ({value}) must be from {least} to {most}"
        )))
    }
}

fn at_most(name: &str, value: u32, of: &str, most: u32) -> Result<(), PolicyError> {
    if value <= most {
        Ok(())
    } else {
        Err(PolicyError(format!(
            "{name} ({value}) must be at most {of} ({most})"
        )))
    }
}

impl Policy {
    /// The defaults for a kind.
    #[must_use]
    pub fn default_for(kind: Kind) -> Self {
        match kind {
            Kind::Primary => Self::Primary(PrimaryPolicy::default()),
            Kind::Peers => Self::Peers(PeersPolicy::default()),
            Kind::Copies => Self::Copies(CopiesPolicy::default()),
        }
    }

    /// The kind of service that this is for.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Primary(_) => Kind::Primary,
            Self::Peers(_) => Kind::Peers,
            Self::Copies(_) => Kind::Copies,
        }
    }

    /// Checks ranges and the relations between settings.
    ///
    /// # Errors
    /// [`PolicyError`] with a sentence for the person who set it; a retry cannot help.
    pub fn validate(&self) -> Result<(), PolicyError> {
        match self {
            Self::Primary(p) => {
                within("replicas", p.replicas.into(), 0, 64)?;
                within("anti_flap_ms", p.anti_flap_ms.0, 0, 86_400_000)?;
                at_most("write_acks", p.write_acks, "replicas", p.replicas)
            }
            Self::Peers(p) => within("healthy_min", p.healthy_min.into(), 0, 10_000),
            Self::Copies(p) => {
                within("copies", p.copies.into(), 1, 16)?;
                within("write_min", p.write_min.into(), 1, 16)?;
                within("repair_grace_ms", p.repair_grace_ms.0, 0, 604_800_000)?;
                within("transfers_per_node", p.transfers_per_node.into(), 1, 128)?;
                at_most("write_min", p.write_min, "copies", p.copies)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contradictions_are_refused_with_a_sentence() {
        let primary = PrimaryPolicy {
            write_acks: 2,
            ..PrimaryPolicy::default()
        };
        let copies = CopiesPolicy {
            write_min: 4,
            ..CopiesPolicy::default()
        };
        let table = [
            (
                Policy::Primary(primary),
                "write_acks (2) must be at most replicas (1)",
            ),
            (
                Policy::Copies(copies),
                "write_min (4) must be at most copies (3)",
            ),
            (
                Policy::Peers(PeersPolicy {
                    healthy_min: 10_001,
                }),
                "healthy_min (10001) must be from 0 to 10000",
            ),
        ];
        for (policy, sentence) in table {
            assert_eq!(policy.validate(), Err(PolicyError(sentence.to_owned())));
        }
        for kind in [Kind::Primary, Kind::Peers, Kind::Copies] {
            assert_eq!(Policy::default_for(kind).validate(), Ok(()));
            assert_eq!(Policy::default_for(kind).kind(), kind);
        }
    }
}
