//! Keys of rows: a byte for the kind, then what tells its records apart. No key is the beginning of
//! another one, and keys sort as the core's keys do.

use tenure_core::{ClientId, Epoch, Key, NodeId, Revision, Scope, ServerId, ServiceName};

use super::FormatError;

const SETTINGS: u8 = 1;
const SERVER: u8 = 2;
const NODE: u8 = 3;
const SERVICE: u8 = 4;
const ASSIGNMENT: u8 = 5;
const INSTANCE: u8 = 6;
const PIN: u8 = 7;
const HISTORY: u8 = 8;
const CLIENT: u8 = 9;
const AUTOMATION: u8 = 10;
const PAUSE: u8 = 11;
const RECEIPT: u8 = 12;
const STORE: u8 = 13;
const REBALANCE: u8 = 14;
const ITEM: u8 = 15;

/// What a pause is for, in the order of the core's scopes.
const CLUSTER: u8 = 1;
const OF_SERVICE: u8 = 2;
const OF_NODE: u8 = 3;

/// Ends a name; no name contains it.
const END: u8 = 0;

/// The key of a row.
#[must_use]
pub fn encode_key(key: &Key) -> Vec<u8> {
    match key {
        Key::Settings => vec![SETTINGS],
        Key::Server(id) => number(SERVER, id.0),
        Key::Node(id) => number(NODE, id.0),
        Key::Service(name) => named(SERVICE, name),
        Key::Assignment(name) => named(ASSIGNMENT, name),
        Key::Instance(service, node) => numbered(INSTANCE, service, node.0),
        Key::Pin(node) => number(PIN, node.0),
        Key::History(revision) => number(HISTORY, revision.0),
        Key::Client(id) => number(CLIENT, id.0),
        Key::Automation => vec![AUTOMATION],
        Key::Pause(scope) => [vec![PAUSE], encode_scope(scope)].concat(),
        Key::Receipt(service, epoch) => numbered(RECEIPT, service, epoch.0),
        Key::Store(service, node) => numbered(STORE, service, node.0),
        Key::Rebalance(service) => named(REBALANCE, service),
        Key::Item(service, item) => {
            let mut bytes = named(ITEM, service);
            bytes.extend_from_slice(item.as_str().as_bytes());
            bytes.push(END);
            bytes
        }
    }
}

fn encode_scope(scope: &Scope) -> Vec<u8> {
    match scope {
        Scope::Cluster => vec![CLUSTER],
        Scope::Service(name) => named(OF_SERVICE, name),
        Scope::Node(id) => number(OF_NODE, id.0),
    }
}

/// Reads the key of a row from the beginning of `bytes`, and returns what follows it.
///
/// # Errors
/// [`FormatError`] when no key stands there.
pub fn decode_key(bytes: &[u8]) -> Result<(Key, &[u8]), FormatError> {
    let (kind, rest) = bytes.split_first().ok_or(FormatError::Empty)?;
    match *kind {
        SETTINGS => Ok((Key::Settings, rest)),
        SERVER => read_number(rest).map(|(id, rest)| (Key::Server(ServerId(id)), rest)),
        NODE => read_number(rest).map(|(id, rest)| (Key::Node(NodeId(id)), rest)),
        SERVICE => read_name(rest).map(|(name, rest)| (Key::Service(name), rest)),
        ASSIGNMENT => read_name(rest).map(|(name, rest)| (Key::Assignment(name), rest)),
        INSTANCE => {
            let (service, rest) = read_name(rest)?;
            let (node, rest) = read_number(rest)?;
            Ok((Key::Instance(service, NodeId(node)), rest))
        }
        PIN => read_number(rest).map(|(id, rest)| (Key::Pin(NodeId(id)), rest)),
        HISTORY => read_number(rest).map(|(at, rest)| (Key::History(Revision(at)), rest)),
        CLIENT => read_number(rest).map(|(id, rest)| (Key::Client(ClientId(id)), rest)),
        AUTOMATION => Ok((Key::Automation, rest)),
        PAUSE => read_scope(rest).map(|(scope, rest)| (Key::Pause(scope), rest)),
        RECEIPT => {
            let (service, rest) = read_name(rest)?;
            let (epoch, rest) = read_number(rest)?;
            Ok((Key::Receipt(service, Epoch(epoch)), rest))
        }
        STORE => {
            let (service, rest) = read_name(rest)?;
            let (node, rest) = read_number(rest)?;
            Ok((Key::Store(service, NodeId(node)), rest))
        }
        REBALANCE => read_name(rest).map(|(name, rest)| (Key::Rebalance(name), rest)),
        ITEM => {
            let (service, rest) = read_name(rest)?;
            let (item, rest) = read_text(rest)?;
            Ok((Key::Item(service, super::copies::name(item)?), rest))
        }
        other => Err(FormatError::UnknownRecord(other)),
    }
}

fn read_scope(bytes: &[u8]) -> Result<(Scope, &[u8]), FormatError> {
    let missing = FormatError::Missing("scope in a key");
    let (kind, rest) = bytes.split_first().ok_or(missing)?;
    match *kind {
        CLUSTER => Ok((Scope::Cluster, rest)),
        OF_SERVICE => read_name(rest).map(|(name, rest)| (Scope::Service(name), rest)),
        OF_NODE => read_number(rest).map(|(id, rest)| (Scope::Node(NodeId(id)), rest)),
        other => Err(FormatError::UnknownValue {
            what: "scope in a key",
            number: other.into(),
        }),
    }
}

fn number(kind: u8, number: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(9);
    bytes.push(kind);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

fn named(kind: u8, name: &ServiceName) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(10 + name.as_str().len());
    bytes.push(kind);
    bytes.extend_from_slice(name.as_str().as_bytes());
    bytes.push(END);
    bytes
}

fn numbered(kind: u8, name: &ServiceName, number: u64) -> Vec<u8> {
    let mut bytes = named(kind, name);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

fn read_number(bytes: &[u8]) -> Result<(u64, &[u8]), FormatError> {
    let (number, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(FormatError::Missing("number in a key"))?;
    Ok((u64::from_be_bytes(*number), rest))
}

fn read_name(bytes: &[u8]) -> Result<(ServiceName, &[u8]), FormatError> {
    let (text, rest) = read_text(bytes)?;
    let name = ServiceName::new(text).map_err(|e| FormatError::invalid("name in a key", e))?;
    Ok((name, rest))
}

fn read_text(bytes: &[u8]) -> Result<(&str, &[u8]), FormatError> {
    let at = bytes
        .iter()
        .position(|byte| *byte == END)
        .ok_or(FormatError::Missing("end of a name in a key"))?;
    let text = std::str::from_utf8(&bytes[..at]);
    let text = text.map_err(|e| FormatError::invalid("name in a key", e))?;
    Ok((text, &bytes[at + 1..]))
}
