//! Commands for the wire. Those that servers give each other have no message there.

use super::{
    assignment::{nodes_to_wire, until_to_wire},
    field,
};
use crate::{NotOnWire, v1, v1::command::Kind};
use std::collections::{BTreeMap, BTreeSet};
use tenure_core::{
    Attributes, Automation, ClientId, Command, Endpoint, Epoch, Incarnation, Lifecycle, Member,
    NodeId, NodeName, NodeRef, Note, PinKind, Policy, Report, Revision, Scope, ServiceName, Zone,
};

impl TryFrom<&Command> for v1::Command {
    type Error = NotOnWire;

    fn try_from(asked: &Command) -> Result<Self, NotOnWire> {
        let kind = if let Command::Batch(commands) = asked {
            let commands = commands
                .iter()
                .map(|one| kind(one).map(|kind| Self { kind: Some(kind) }));
            Kind::Batch(v1::Batch {
                commands: commands.collect::<Result<_, _>>()?,
            })
        } else {
            kind(asked)?
        };
        Ok(Self { kind: Some(kind) })
    }
}

/// Matches commands whose messages have the same names and fields, and then the arms that are left.
macro_rules! same_fields {
    (
        $asked:expr,
        { $($name:ident { $($field:ident),* })* },
        $($pattern:pat => $value:expr),* $(,)?
    ) => {
        match $asked {
            $(Command::$name { $($field),* } => Ok(Kind::$name(v1::$name {
                $($field: $field.to_wire()),*
            })),)*
            $($pattern => $value,)*
        }
    };
}

fn kind(asked: &Command) -> Result<Kind, NotOnWire> {
    same_fields!(
        asked,
        {
            OpenClient {}
            CloseClient { client }
            SetSettings { expected, history_max, clients_max }
            RaiseFeatureLevel { from, to }
            AddNode { name, zone, labels, weight }
            UpdateNode { node, expected, zone, labels, weight }
            JoinNode { node, last }
            SetLifecycle { node, expected, to, reason, accept_loss }
            RemoveNode { node, expected, reason }
            AddService { name, policy }
            UpdateService { name, expected, policy }
            RemoveService { name, expected }
            AddInstance { service, node, endpoint, preference }
            UpdateInstance { service, node, expected, endpoint, preference }
            RemoveInstance { service, node, expected }
            ReportInstance { service, member, expected, report }
            SetPrimary { service, to, succeeds, accept_loss, reason }
            SetInSync { service, epoch, expected, in_sync }
            RemovePin { node, expected }
            SetAutomation { expected, automation }
            RemovePause { scope, expected }
            Acknowledge { service, epoch }
        },
        Command::SetPin { node, expected, kind, until, reason } => Ok(Kind::SetPin(v1::SetPin {
            node: node.to_wire(),
            expected: expected.to_wire(),
            kind: kind.to_wire(),
            until_ms: until_to_wire(*until),
            reason: reason.to_wire(),
        })),
        Command::SetPause { scope, expected, until, reason } => Ok(Kind::SetPause(v1::SetPause {
            scope: scope.to_wire(),
            expected: expected.to_wire(),
            until_ms: until_to_wire(*until),
            reason: reason.to_wire(),
        })),
        Command::Promote { .. } => Err(NotOnWire("the command that promotes on evidence")),
        Command::SetMembers { .. } => Err(NotOnWire("the command that states who may acknowledge")),
        Command::CompleteReceipt { .. } => Err(NotOnWire("the command that completes a receipt")),
        Command::NoteReturn { .. } => Err(NotOnWire("the command that notes a return")),
        Command::AdmitServer { .. } => Err(NotOnWire("the command that admits a server")),
        Command::BindServer { .. } => Err(NotOnWire("the command that binds a server to its folder")),
        Command::RetireServer { .. } => Err(NotOnWire("the command that retires a server")),
        Command::Copies { .. } => Err(NotOnWire("a command on copies, which has calls of its own")),
        Command::Batch(_) => Err(NotOnWire("a batch in a batch")),
    )
}

/// A field of a command as its message holds it.
trait ToWire {
    type Wire;

    fn to_wire(&self) -> Self::Wire;
}

macro_rules! to_wire {
    ($($core:ty => $wire:ty: |$value:ident| $how:expr;)*) => {
        $(impl ToWire for $core {
            type Wire = $wire;

            fn to_wire(&self) -> $wire {
                let $value = self;
                $how
            }
        })*
    };
}

to_wire! {
    u32 => u32: |number| *number;
    bool => bool: |word| *word;
    ClientId => u64: |id| id.0;
    Revision => u64: |revision| revision.0;
    Option<Revision> => Option<u64>: |revision| revision.map(|revision| revision.0);
    Epoch => u64: |epoch| epoch.0;
    Incarnation => u64: |incarnation| incarnation.0;
    BTreeSet<NodeId> => Vec<u64>: |nodes| nodes_to_wire(nodes);
    NodeName => String: |name| name.as_str().to_owned();
    ServiceName => String: |name| name.as_str().to_owned();
    Option<Zone> => String: |zone| field::zone_to_wire(zone.as_ref());
    Note => String: |note| note.as_str().to_owned();
    Endpoint => String: |endpoint| endpoint.as_str().to_owned();
    Attributes => BTreeMap<String, String>: |attributes| field::attributes_to_wire(attributes);
    NodeRef => Option<v1::NodeRef>: |node| Some(node.into());
    Member => Option<v1::Member>: |member| Some((*member).into());
    Automation => Option<v1::Automation>: |automation| Some(automation.into());
    Scope => Option<v1::Scope>: |scope| Some(scope.into());
    Policy => Option<v1::Policy>: |policy| Some(policy.into());
    Report => Option<v1::Report>: |report| Some(report.into());
    Lifecycle => i32: |lifecycle| v1::Lifecycle::from(*lifecycle).into();
    PinKind => i32: |kind| v1::PinKind::from(*kind).into();
}
