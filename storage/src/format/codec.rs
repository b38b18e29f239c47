//! How single fields correspond: for each kind of field a module with `encode` and `decode`, named
//! in the tables of commands and records, so that both directions come from one line.

use super::FormatError;
use super::v1::values as msg;
use super::values;

macro_rules! numbers {
    ($($name:ident: $core:ident;)*) => {
        $(pub(super) mod $name {
            use super::FormatError;
            use tenure_core::$core;

            pub(in crate::format) fn encode(value: &$core) -> u64 {
                value.0
            }

            pub(in crate::format) fn decode(number: u64) -> Result<$core, FormatError> {
                Ok($core(number))
            }
        })*
    };
}

numbers! {
    client: ClientId;
    epoch: Epoch;
    incarnation: Incarnation;
    index: LogIndex;
    loss: Loss;
    millis: Millis;
    node: NodeId;
    revision: Revision;
    server: ServerId;
    stamp: Timestamp;
}

macro_rules! optional_numbers {
    ($($name:ident: $core:ident;)*) => {
        $(pub(super) mod $name {
            use super::FormatError;
            use tenure_core::$core;

            pub(in crate::format) fn encode(value: &Option<$core>) -> Option<u64> {
                value.map(|value| value.0)
            }

            pub(in crate::format) fn decode(
                number: Option<u64>,
            ) -> Result<Option<$core>, FormatError> {
                Ok(number.map($core))
            }
        })*
    };
}

optional_numbers! {
    maybe_revision: Revision;
    maybe_stamp: Timestamp;
}

macro_rules! choices {
    ($($name:ident: $choice:ident;)*) => {
        $(pub(super) mod $name {
            use super::{FormatError, msg};
            use tenure_core::$choice;

            pub(in crate::format) fn encode(value: &$choice) -> i32 {
                msg::$choice::of(*value)
            }

            pub(in crate::format) fn decode(number: i32) -> Result<$choice, FormatError> {
                msg::$choice::core(number)
            }
        })*
    };
}

choices! {
    cause: Cause;
    control_loss: ControlLoss;
    lifecycle: Lifecycle;
    phase: Phase;
    pin_kind: PinKind;
    server_status: ServerStatus;
}

macro_rules! texts {
    ($($name:ident: $core:ident, $what:literal;)*) => {
        $(pub(super) mod $name {
            use super::FormatError;
            use tenure_core::$core;

            pub(in crate::format) fn encode(value: &$core) -> String {
                value.as_str().to_owned()
            }

            pub(in crate::format) fn decode(text: String) -> Result<$core, FormatError> {
                $core::new(&text).map_err(|e| FormatError::invalid($what, e))
            }
        })*
    };
}

texts! {
    actor: Note, "actor";
    api_address: Endpoint, "API address";
    detail: Note, "detail";
    endpoint: Endpoint, "endpoint";
    evidence: Note, "piece of evidence";
    node_name: NodeName, "name of a node";
    raft_address: Endpoint, "Raft address";
    reason: Note, "reason";
    returned: Note, "note on a return";
    service_name: ServiceName, "name of a service";
    subject: Note, "subject";
    verdict: Note, "verdict on a candidate";
    what: Note, "sentence of the history";
    zone_name: Zone, "zone";
}

/// Numbers and truth values that are stored as they are.
pub(super) mod plain {
    use super::FormatError;

    pub(in crate::format) fn encode<T: Copy>(value: &T) -> T {
        *value
    }

    pub(in crate::format) fn decode<T>(value: T) -> Result<T, FormatError> {
        Ok(value)
    }
}

/// A zone, or none.
pub(super) mod zone {
    use super::{FormatError, zone_name};
    use tenure_core::Zone;

    pub(in crate::format) fn encode(value: &Option<Zone>) -> Option<String> {
        value.as_ref().map(zone_name::encode)
    }

    pub(in crate::format) fn decode(text: Option<String>) -> Result<Option<Zone>, FormatError> {
        text.map(zone_name::decode).transpose()
    }
}

/// Labels or attributes; none are a missing field.
pub(super) mod attributes {
    pub(in crate::format) use super::values::{attributes as decode, attributes_message as encode};
}

/// A node by id or name.
pub(super) mod node_ref {
    use super::msg;
    use tenure_core::NodeRef;

    pub(in crate::format) use super::values::node_ref as decode;

    pub(in crate::format) fn encode(value: &NodeRef) -> Option<msg::NodeRef> {
        Some(value.into())
    }
}

/// A policy.
pub(super) mod policy {
    use super::msg;
    use tenure_core::Policy;

    pub(in crate::format) use super::values::policy as decode;

    pub(in crate::format) fn encode(value: &Policy) -> Option<msg::Policy> {
        Some(value.into())
    }
}

/// A report.
pub(super) mod report {
    use super::msg;
    use tenure_core::Report;

    pub(in crate::format) use super::values::report as decode;

    pub(in crate::format) fn encode(value: &Report) -> Option<msg::Report> {
        Some(value.into())
    }
}

/// A member.
pub(super) mod member {
    use super::{FormatError, maybe_member, msg};
    use tenure_core::Member;

    pub(in crate::format) fn message(value: Member) -> msg::Member {
        maybe_member::message(value)
    }

    pub(in crate::format) fn encode(value: &Member) -> Option<msg::Member> {
        Some(message(*value))
    }

    pub(in crate::format) fn decode(found: Option<msg::Member>) -> Result<Member, FormatError> {
        maybe_member::decode(found)?.ok_or(FormatError::Missing("member"))
    }
}

/// A member, or none.
pub(super) mod maybe_member {
    use super::{FormatError, msg};
    use tenure_core::{Incarnation, Member, NodeId};

    pub(in crate::format) fn encode(value: &Option<Member>) -> Option<msg::Member> {
        value.map(message)
    }

    pub(in crate::format) fn message(member: Member) -> msg::Member {
        msg::Member {
            node: member.node.0,
            incarnation: member.incarnation.0,
        }
    }

    pub(in crate::format) fn decode(
        found: Option<msg::Member>,
    ) -> Result<Option<Member>, FormatError> {
        Ok(found.map(|found| Member {
            node: NodeId(found.node),
            incarnation: Incarnation(found.incarnation),
        }))
    }
}

/// A set of nodes, in order.
pub(super) mod node_set {
    use super::FormatError;
    use std::collections::BTreeSet;
    use tenure_core::NodeId;

    pub(in crate::format) fn encode(value: &BTreeSet<NodeId>) -> Vec<u64> {
        value.iter().map(|node| node.0).collect()
    }

    pub(in crate::format) fn decode(ids: Vec<u64>) -> Result<BTreeSet<NodeId>, FormatError> {
        if ids.is_sorted_by(|a, b| a < b) {
            Ok(ids.into_iter().map(NodeId).collect())
        } else {
            Err(FormatError::invalid("set of nodes", "not in order"))
        }
    }
}

/// The random id of a data folder.
pub(super) mod store {
    use super::FormatError;

    pub(in crate::format) fn encode(value: &u128) -> Vec<u8> {
        value.to_le_bytes().to_vec()
    }

    pub(in crate::format) fn decode(bytes: Vec<u8>) -> Result<u128, FormatError> {
        let length = bytes.len();
        let bytes = bytes
            .try_into()
            .map_err(|_| FormatError::invalid("id of a data folder", format!("{length} bytes")))?;
        Ok(u128::from_le_bytes(bytes))
    }
}

/// The random id of a data folder, or none.
pub(super) mod maybe_store {
    use super::{FormatError, store};

    pub(in crate::format) fn encode(value: &Option<u128>) -> Option<Vec<u8>> {
        value.as_ref().map(store::encode)
    }

    pub(in crate::format) fn decode(bytes: Option<Vec<u8>>) -> Result<Option<u128>, FormatError> {
        bytes.map(store::decode).transpose()
    }
}

/// How far an instance has got, or nothing.
pub(super) mod maybe_position {
    use super::{FormatError, msg, values};
    use tenure_core::Position;

    pub(in crate::format) fn encode(value: &Option<Position>) -> Option<msg::Position> {
        value.as_ref().map(Into::into)
    }

    pub(in crate::format) fn decode(
        found: Option<msg::Position>,
    ) -> Result<Option<Position>, FormatError> {
        found.map(values::position).transpose()
    }
}

/// How the cluster decides by itself.
pub(super) mod automation {
    use super::FormatError;
    use crate::format::v1::automation as msg;
    use tenure_core::Automation;

    pub(in crate::format) fn encode(value: &Automation) -> Option<msg::Automation> {
        Some(value.into())
    }

    pub(in crate::format) fn decode(
        found: Option<msg::Automation>,
    ) -> Result<Automation, FormatError> {
        Automation::try_from(found.ok_or(FormatError::Missing("automation"))?)
    }
}

/// For what a pause is.
pub(super) mod scope {
    use crate::format::v1::automation as msg;
    use tenure_core::Scope;

    pub(in crate::format) use super::values::scope as decode;

    pub(in crate::format) fn encode(value: &Scope) -> Option<msg::Scope> {
        Some(value.into())
    }
}

/// What a change of primary rested on.
pub(super) mod account {
    pub(in crate::format) use crate::format::receipts::{
        decode_account as decode, encode_account as encode,
    };
}

/// When the steps of a change of primary were done.
pub(super) mod timeline {
    pub(in crate::format) use crate::format::receipts::{
        decode_timeline as decode, encode_timeline as encode,
    };
}

/// What is asked of copies.
pub(super) mod copies_command {
    pub(in crate::format) use crate::format::copies::{
        decode_command as decode, encode_command as encode,
    };
}

/// Answers by sequence.
pub(super) mod answers {
    pub(in crate::format) use crate::format::outcomes::{
        decode_answers as decode, encode_answers as encode,
    };
}
