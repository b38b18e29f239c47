//! Records and keys of any kind, and the events that are made of them.

use super::{cluster::server_id, field, node::node_id};
use crate::{NotOnWire, ParseError, v1};
use std::sync::Arc;
use tenure_core::{Event, Key, Record, Revision, Scope, Settings};

const REGISTRATION: NotOnWire = NotOnWire("a client's registration");
/// Receipts are asked for by themselves, and are no records to those who watch.
const RECEIPT: NotOnWire = NotOnWire("a receipt among records");
/// Watchers are told of services, nodes and instances; items are asked for.
const COPIES: NotOnWire = NotOnWire("an item among records");

impl TryFrom<v1::Record> for Record {
    type Error = ParseError;

    fn try_from(wire: v1::Record) -> Result<Self, ParseError> {
        use v1::record::Kind;
        let kind = wire.kind.ok_or_else(field::no_kind)?;
        Ok(match kind {
            Kind::Settings(wire) => Self::Settings(Arc::new(Settings::from(wire))),
            Kind::Server(wire) => Self::Server(shared("server", wire)?),
            Kind::Node(wire) => Self::Node(shared("node", wire)?),
            Kind::Service(wire) => Self::Service(shared("service", wire)?),
            Kind::Assignment(wire) => Self::Assignment(shared("assignment", wire)?),
            Kind::Instance(wire) => Self::Instance(shared("instance", wire)?),
            Kind::Pin(wire) => Self::Pin(shared("pin", wire)?),
            Kind::History(wire) => Self::History(shared("history", wire)?),
            Kind::Automation(wire) => Self::Automation(shared("automation", wire)?),
            Kind::Pause(wire) => Self::Pause(shared("pause", wire)?),
        })
    }
}

fn shared<W, T: TryFrom<W, Error = ParseError>>(
    field: &str,
    wire: W,
) -> Result<Arc<T>, ParseError> {
    T::try_from(wire)
        .map(Arc::new)
        .map_err(|error| error.within(field))
}

impl TryFrom<&Record> for v1::Record {
    type Error = NotOnWire;

    fn try_from(record: &Record) -> Result<Self, NotOnWire> {
        use v1::record::Kind;
        let kind = match record {
            Record::Settings(settings) => Kind::Settings(settings.as_ref().into()),
            Record::Server(server) => Kind::Server(server.as_ref().into()),
            Record::Node(node) => Kind::Node(node.as_ref().into()),
            Record::Service(service) => Kind::Service(service.as_ref().into()),
            Record::Assignment(assignment) => Kind::Assignment(assignment.as_ref().into()),
            Record::Instance(instance) => Kind::Instance(instance.as_ref().into()),
            Record::Pin(pin) => Kind::Pin(pin.as_ref().into()),
            Record::History(entry) => Kind::History(entry.as_ref().into()),
            Record::Automation(automation) => Kind::Automation(automation.as_ref().into()),
            Record::Pause(pause) => Kind::Pause(pause.as_ref().into()),
            Record::Client(_) => return Err(REGISTRATION),
            Record::Receipt(_) => return Err(RECEIPT),
            Record::Store(_) | Record::Rebalance(_) | Record::Item(_) => return Err(COPIES),
        };
        Ok(Self { kind: Some(kind) })
    }
}

impl TryFrom<v1::Key> for Key {
    type Error = ParseError;

    fn try_from(wire: v1::Key) -> Result<Self, ParseError> {
        use v1::key::Kind;
        let kind = wire.kind.ok_or_else(field::no_kind)?;
        Ok(match kind {
            Kind::Settings(_) => Self::Settings,
            Kind::Server(id) => Self::Server(server_id("server", id)?),
            Kind::Node(id) => Self::Node(node_id("node", id)?),
            Kind::Service(name) => Self::Service(field::service_name("service", &name)?),
            Kind::Assignment(name) => Self::Assignment(field::service_name("assignment", &name)?),
            Kind::Instance(key) => Self::Instance(
                field::service_name("instance.service", &key.service)?,
                node_id("instance.node", key.node)?,
            ),
            Kind::Pin(node) => Self::Pin(node_id("pin", node)?),
            Kind::History(revision) => Self::History(Revision(revision)),
            Kind::Automation(_) => Self::Automation,
            Kind::Pause(scope) => {
                Self::Pause(Scope::try_from(scope).map_err(|error| error.within("pause"))?)
            }
        })
    }
}

impl TryFrom<&Key> for v1::Key {
    type Error = NotOnWire;

    fn try_from(key: &Key) -> Result<Self, NotOnWire> {
        use v1::key::Kind;
        let kind = match key {
            Key::Settings => Kind::Settings(true),
            Key::Server(id) => Kind::Server(id.0),
            Key::Node(id) => Kind::Node(id.0),
            Key::Service(name) => Kind::Service(name.as_str().to_owned()),
            Key::Assignment(name) => Kind::Assignment(name.as_str().to_owned()),
            Key::Instance(service, node) => Kind::Instance(v1::InstanceKey {
                service: service.as_str().to_owned(),
                node: node.0,
            }),
            Key::Pin(node) => Kind::Pin(node.0),
            Key::History(revision) => Kind::History(revision.0),
            Key::Automation => Kind::Automation(true),
            Key::Pause(scope) => Kind::Pause(scope.into()),
            Key::Client(_) => return Err(REGISTRATION),
            Key::Receipt(..) => return Err(RECEIPT),
            Key::Store(..) | Key::Rebalance(_) | Key::Item(..) => return Err(COPIES),
        };
        Ok(Self { kind: Some(kind) })
    }
}

impl TryFrom<v1::watch_response::Event> for Event {
    type Error = ParseError;

    fn try_from(wire: v1::watch_response::Event) -> Result<Self, ParseError> {
        let key: Key = field::message("key", wire.key)?;
        let after: Option<Record> = field::optional("after", wire.after)?;
        if let Some(record) = &after
            && record.key() != key
        {
            let why = format!("is {}, and the key says {key}", record.key());
            return Err(ParseError::new("after", why));
        }
        Ok(Self { key, after })
    }
}

impl TryFrom<&Event> for v1::watch_response::Event {
    type Error = NotOnWire;

    fn try_from(event: &Event) -> Result<Self, NotOnWire> {
        Ok(Self {
            key: Some((&event.key).try_into()?),
            after: event.after.as_ref().map(TryInto::try_into).transpose()?,
        })
    }
}
