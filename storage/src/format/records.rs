//! Correspondence between the core's records and their messages.

use std::sync::Arc;

use tenure_core::{Key, Record};

use super::v1::copies;
use super::v1::record as msg;
use super::{FormatError, codec, open, seal};

/// The value of a row, without its key.
#[must_use]
pub fn encode_record(record: &Record) -> Vec<u8> {
    match record {
        Record::Settings(record) => seal(&msg::Settings::from(&**record)),
        Record::Server(record) => seal(&msg::Server::from(&**record)),
        Record::Node(record) => seal(&msg::Node::from(&**record)),
        Record::Service(record) => seal(&msg::Service::from(&**record)),
        Record::Assignment(record) => seal(&msg::Assignment::from(&**record)),
        Record::Instance(record) => seal(&msg::Instance::from(&**record)),
        Record::Pin(record) => seal(&msg::Pin::from(&**record)),
        Record::History(record) => seal(&msg::History::from(&**record)),
        Record::Client(record) => seal(&msg::Client::from(&**record)),
        Record::Automation(record) => seal(&msg::Automation::from(&**record)),
        Record::Pause(record) => seal(&msg::Pause::from(&**record)),
        Record::Receipt(record) => seal(&msg::Receipt::from(&**record)),
        Record::Store(record) => seal(&copies::Store::from(&**record)),
        Record::Rebalance(record) => seal(&copies::Rebalance::from(&**record)),
        Record::Item(record) => seal(&copies::Item::from(&**record)),
    }
}

/// Reads the value of the row under `key`.
///
/// # Errors
/// [`FormatError`] when it is not the record of that key, whole and valid.
pub fn decode_record(key: &Key, bytes: &[u8]) -> Result<Record, FormatError> {
    let record = match key {
        Key::Settings => Record::Settings(Arc::new(open::<msg::Settings, _>(bytes)?)),
        Key::Server(_) => Record::Server(Arc::new(open::<msg::Server, _>(bytes)?)),
        Key::Node(_) => Record::Node(Arc::new(open::<msg::Node, _>(bytes)?)),
        Key::Service(_) => Record::Service(Arc::new(open::<msg::Service, _>(bytes)?)),
        Key::Assignment(_) => Record::Assignment(Arc::new(open::<msg::Assignment, _>(bytes)?)),
        Key::Instance(..) => Record::Instance(Arc::new(open::<msg::Instance, _>(bytes)?)),
        Key::Pin(_) => Record::Pin(Arc::new(open::<msg::Pin, _>(bytes)?)),
        Key::History(_) => Record::History(Arc::new(open::<msg::History, _>(bytes)?)),
        Key::Client(_) => Record::Client(Arc::new(open::<msg::Client, _>(bytes)?)),
        Key::Automation => Record::Automation(Arc::new(open::<msg::Automation, _>(bytes)?)),
        Key::Pause(_) => Record::Pause(Arc::new(open::<msg::Pause, _>(bytes)?)),
        Key::Receipt(..) => Record::Receipt(Arc::new(open::<msg::Receipt, _>(bytes)?)),
        Key::Store(..) => Record::Store(Arc::new(open::<copies::Store, _>(bytes)?)),
        Key::Rebalance(_) => Record::Rebalance(Arc::new(open::<copies::Rebalance, _>(bytes)?)),
        Key::Item(..) => Record::Item(Arc::new(open::<copies::Item, _>(bytes)?)),
    };
    if record.key() == *key {
        Ok(record)
    } else {
        Err(FormatError::invalid(
            "row",
            format!("its value is the {}", record.key()),
        ))
    }
}

/// One line per kind of record whose message has its fields under the same names.
macro_rules! records {
    ($($message:ident as $core:ident { $($field:ident: $codec:ident),* $(,)? })*) => {
        $(
            impl From<&tenure_core::$core> for msg::$message {
                fn from(record: &tenure_core::$core) -> Self {
                    Self { $($field: codec::$codec::encode(&record.$field),)* }
                }
            }

            impl TryFrom<msg::$message> for tenure_core::$core {
                type Error = FormatError;

                fn try_from(found: msg::$message) -> Result<Self, FormatError> {
                    Ok(Self { $($field: codec::$codec::decode(found.$field)?,)* })
                }
            }
        )*
    };
}

records! {
    Settings as Settings {
        history_max: plain, clients_max: plain, feature_level: plain, modified: revision,
    }
    Server as ServerRecord {
        id: server, raft: raft_address, api: api_address, store: maybe_store,
        status: server_status, modified: revision,
    }
    Node as Node {
        id: node, name: node_name, zone: zone, labels: attributes, weight: plain,
        incarnation: incarnation, lifecycle: lifecycle, reason: reason, created: revision,
        modified: revision,
    }
    Service as Service {
        name: service_name, policy: policy, created: revision, modified: revision,
    }
    Assignment as Assignment {
        service: service_name, primary: maybe_member, epoch: epoch, loss: loss, in_sync: node_set,
        reason: reason, modified: revision, syncing: node_set,
    }
    Instance as Instance {
        service: service_name, node: node, endpoint: endpoint, preference: plain, report: report,
        reported_in: incarnation, created: revision, modified: revision,
    }
    Pin as Pin {
        node: node, kind: pin_kind, until: maybe_stamp, reason: reason, modified: revision,
    }
    History as HistoryEntry { revision: revision, stamp: stamp, actor: actor, what: what }
    Client as Client {
        id: client, last_active: index, first_incomplete: plain, answers: answers,
    }
    Automation as Automation {
        fast_heartbeat: millis, fast_lease: millis, slow_heartbeat: millis, slow_lease: millis,
        drift_permille: plain, control_loss: control_loss, agent_grace: millis,
        replica_grace: millis, stuck_after: millis, survey: millis, switchover: millis,
        storm_window: millis, storm_budget: plain, modified: revision, earlier_lease: millis,
    }
    Pause as Pause { scope: scope, until: maybe_stamp, reason: reason, modified: revision }
    Receipt as Receipt {
        service: service_name, epoch: epoch, from: maybe_member, to: member, account: account,
        stamp: stamp, acknowledged: plain, returned: returned,
    }
}
