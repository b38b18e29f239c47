//! Correspondence between the core's commands and their messages.

use tenure_core::{ClientId, Command, Envelope, RequestId, Revision, ServerId, Timestamp};

use super::v1::command as msg;
use super::v1::command::Kind;
use super::{FormatError, codec};

impl From<&Envelope> for msg::Envelope {
    fn from(envelope: &Envelope) -> Self {
        Self {
            request: envelope.request.map(|request| msg::Request {
                client: request.client.0,
                sequence: request.sequence,
                first_incomplete: request.first_incomplete,
            }),
            actor: codec::actor::encode(&envelope.actor),
            stamp: envelope.stamp.0,
            command: Some(encode(&envelope.command)),
        }
    }
}

impl TryFrom<msg::Envelope> for Envelope {
    type Error = FormatError;

    fn try_from(found: msg::Envelope) -> Result<Self, FormatError> {
        Ok(Self {
            request: found.request.map(|request| RequestId {
                client: ClientId(request.client),
                sequence: request.sequence,
                first_incomplete: request.first_incomplete,
            }),
            actor: codec::actor::decode(found.actor)?,
            stamp: Timestamp(found.stamp),
            command: decode(found.command.ok_or(FormatError::Missing("command"))?)?,
        })
    }
}

fn lifecycle(found: msg::SetLifecycle, accept_loss: bool) -> Result<Command, FormatError> {
    Ok(Command::SetLifecycle {
        node: codec::node_ref::decode(found.node)?,
        expected: Revision(found.expected),
        to: codec::lifecycle::decode(found.to)?,
        reason: codec::reason::decode(found.reason)?,
        accept_loss,
    })
}

/// One line per kind of command whose message has its fields under the same names.
macro_rules! commands {
    ($($kind:ident { $($field:ident: $codec:ident),* $(,)? })*) => {
        fn encode(command: &Command) -> msg::Command {
            let kind = match command {
                $(Command::$kind { $($field),* } => Kind::$kind(msg::$kind {
                    $($field: codec::$codec::encode($field),)*
                }),)*
                Command::SetLifecycle { node, expected, to, reason, accept_loss } => {
                    let message = msg::SetLifecycle {
                        node: codec::node_ref::encode(node),
                        expected: expected.0,
                        to: codec::lifecycle::encode(to),
                        reason: codec::reason::encode(reason),
                    };
                    if *accept_loss {
                        Kind::SetLifecycleAcceptingLoss(message)
                    } else {
                        Kind::SetLifecycle(message)
                    }
                }
                Command::OpenClient => Kind::OpenClient(msg::Nothing {}),
                Command::CloseClient { client } => Kind::CloseClient(client.0),
                Command::RetireServer { id } => Kind::RetireServer(id.0),
                Command::Batch(commands) => Kind::Batch(msg::Batch {
                    commands: commands.iter().map(encode_batched).collect(),
                }),
            };
            msg::Command { kind: Some(kind) }
        }

        fn decode(found: msg::Command) -> Result<Command, FormatError> {
            Ok(match found.kind.ok_or(FormatError::UnknownCommand)? {
                $(Kind::$kind(found) => Command::$kind {
                    $($field: codec::$codec::decode(found.$field)?,)*
                },)*
                Kind::SetLifecycle(found) => lifecycle(found, false)?,
                Kind::SetLifecycleAcceptingLoss(found) => lifecycle(found, true)?,
                Kind::OpenClient(msg::Nothing {}) => Command::OpenClient,
                Kind::CloseClient(id) => Command::CloseClient { client: ClientId(id) },
                Kind::RetireServer(id) => Command::RetireServer { id: ServerId(id) },
                Kind::Batch(found) => Command::Batch(
                    found.commands.into_iter().map(decode).collect::<Result<_, _>>()?,
                ),
            })
        }
    };
}

commands! {
    SetSettings { expected: revision, history_max: plain, clients_max: plain }
    RaiseFeatureLevel { from: plain, to: plain }
    AdmitServer { id: server, raft: raft_address, api: api_address }
    BindServer { id: server, store: store }
    AddNode { name: node_name, zone: zone, labels: attributes, weight: plain }
    UpdateNode {
        node: node_ref, expected: revision, zone: zone, labels: attributes, weight: plain,
    }
    JoinNode { node: node_ref, last: incarnation }
    Copies { service: service_name, what: copies_command }
    RemoveNode { node: node_ref, expected: revision, reason: reason }
    AddService { name: service_name, policy: policy }
    UpdateService { name: service_name, expected: revision, policy: policy }
    RemoveService { name: service_name, expected: revision }
    AddInstance { service: service_name, node: node_ref, endpoint: endpoint, preference: plain }
    UpdateInstance {
        service: service_name, node: node_ref, expected: revision, endpoint: endpoint,
        preference: plain,
    }
    RemoveInstance { service: service_name, node: node_ref, expected: revision }
    ReportInstance {
        service: service_name, member: member, expected: maybe_revision, report: report,
    }
    SetPrimary {
        service: service_name, to: node_ref, succeeds: epoch, accept_loss: plain, reason: reason,
    }
    SetInSync { service: service_name, epoch: epoch, expected: revision, in_sync: node_set }
    SetPin {
        node: node_ref, expected: maybe_revision, kind: pin_kind, until: maybe_stamp,
        reason: reason,
    }
    RemovePin { node: node_ref, expected: revision }
    SetAutomation { expected: revision, automation: automation }
    SetPause { scope: scope, expected: maybe_revision, until: maybe_stamp, reason: reason }
    RemovePause { scope: scope, expected: revision }
    Promote {
        service: service_name, to: member, succeeds: epoch, in_sync: node_set, syncing: node_set,
        account: account, reason: reason,
    }
    SetMembers {
        service: service_name, epoch: epoch, expected: revision, in_sync: node_set,
        syncing: node_set,
    }
    CompleteReceipt { service: service_name, epoch: epoch, timeline: timeline }
    NoteReturn { service: service_name, epoch: epoch, returned: returned }
    Acknowledge { service: service_name, epoch: epoch }
}

fn encode_batched(command: &Command) -> msg::Command {
    if matches!(command, Command::Batch(_)) {
        encode(&Command::Batch(Vec::new()))
    } else {
        encode(command)
    }
}
