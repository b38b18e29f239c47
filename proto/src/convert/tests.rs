//! Round trips of every kind, and refusals that name the field.

use crate::{ParseError, v1};
use prost::Message;
use sample::{commands, endpoint, labels, name, note, policies, records};
use std::{fmt::Debug, sync::Arc};
use tenure_core::{
    ClientId, Command, Created, Done, Epoch, Event, Finding, Key, Kind, NodeId, NodeName, NodeRef,
    Policy, PrimaryPolicy, Record, Reject, RejectCode, Report, RequestId, Revision, ServerId,
    ServiceName, Severity, Step, Topology, TopologyInstance, TopologyNode, TopologyService, Zone,
};

mod automation;
mod bad_input;
mod bad_session;
mod garbage;
mod operate;
mod sample;
mod session;

/// Through the message's bytes and back.
fn there_and_back<W, T>(value: &T) -> Result<T, ParseError>
where
    W: Message + Default + for<'a> TryFrom<&'a T, Error: Debug>,
    T: TryFrom<W, Error = ParseError>,
{
    let wire = W::try_from(value).expect("it has a place on the wire");
    let bytes = wire.encode_to_vec();
    T::try_from(W::decode(bytes.as_slice()).expect("what was encoded is decoded"))
}

/// What makes a message wrong, and the field that the refusal names.
type Wrong<W> = (fn(&mut W), &'static str);

/// Changes a message that is right, and names the field that is refused then.
fn refused<W, T>(value: &T, table: Vec<Wrong<W>>)
where
    W: for<'a> From<&'a T> + Debug,
    T: TryFrom<W, Error = ParseError> + Debug,
{
    for (change, field) in table {
        let mut wire = W::from(value);
        change(&mut wire);
        let told = format!("{wire:?}");
        let error = T::try_from(wire).unwrap_err();
        assert_eq!(error.field, field, "{error}: {told}");
    }
}

/// The elements, so many times over.
fn times<T: Clone>(elements: &[T], times: usize) -> Vec<T> {
    let all = elements.iter().cycle().take(elements.len() * times);
    all.cloned().collect()
}

#[test]
fn every_record_and_key_comes_back_as_it_was() {
    for record in records() {
        let key = record.key();
        assert_eq!(
            there_and_back::<v1::Record, _>(&record).as_ref(),
            Ok(&record)
        );
        assert_eq!(there_and_back::<v1::Key, _>(&key).as_ref(), Ok(&key));
        for after in [Some(record), None] {
            let event = Event {
                key: key.clone(),
                after,
            };
            assert_eq!(
                there_and_back::<v1::watch_response::Event, _>(&event),
                Ok(event)
            );
        }
    }
}

#[test]
fn every_command_comes_back_as_it_was() {
    for command in commands() {
        assert_eq!(
            there_and_back::<v1::Command, _>(&command).as_ref(),
            Ok(&command)
        );
        let step = Step {
            what: "do it".to_owned(),
            command,
        };
        assert_eq!(
            there_and_back::<v1::plan_response::Step, _>(&step).as_ref(),
            Ok(&step)
        );
    }
}

#[test]
fn what_servers_tell_each_other_has_no_message() {
    let admit = Command::AdmitServer {
        id: ServerId(1),
        raft: endpoint(),
        api: endpoint(),
    };
    let bind = Command::BindServer {
        id: ServerId(1),
        store: 1,
    };
    let promote = Command::Promote {
        service: sample::service(),
        to: sample::member(),
        succeeds: Epoch(1),
        in_sync: [NodeId(7)].into(),
        syncing: [].into(),
        account: operate::receipts().remove(0).account,
        reason: note("why"),
    };
    let members = Command::SetMembers {
        service: sample::service(),
        epoch: Epoch(1),
        expected: Revision(1),
        in_sync: [NodeId(7)].into(),
        syncing: [].into(),
    };
    let complete = Command::CompleteReceipt {
        service: sample::service(),
        epoch: Epoch(1),
        timeline: [].into(),
    };
    let noted = Command::NoteReturn {
        service: sample::service(),
        epoch: Epoch(1),
        returned: note("identical"),
    };
    let nested = Command::Batch(vec![Command::Batch(vec![])]);
    let hidden = Command::Batch(vec![Command::RetireServer { id: ServerId(1) }]);
    for command in [
        admit, bind, promote, members, complete, noted, nested, hidden,
    ] {
        assert!(v1::Command::try_from(&command).is_err(), "{command:?}");
    }
    let receipt = Key::Receipt(sample::service(), Epoch(1));
    for key in [Key::Client(ClientId(1)), receipt] {
        assert!(v1::Key::try_from(&key).is_err(), "{key}");
    }
    let receipt = Record::Receipt(Arc::new(operate::receipts().remove(0)));
    assert!(v1::Record::try_from(&receipt).is_err());
}

fn topology() -> Topology {
    let node = |zone| TopologyNode {
        zone,
        labels: labels(),
        weight: 5,
    };
    let instance = TopologyInstance {
        endpoint: endpoint(),
        preference: 100,
    };
    let services = policies().into_iter().enumerate().map(|(at, policy)| {
        let wanted = TopologyService {
            policy,
            instances: [(name(), instance.clone())].into(),
            first_primary: (at == 0).then(name),
        };
        (ServiceName::new(&format!("s{at}")).unwrap(), wanted)
    });
    Topology {
        nodes: [
            (name(), node(None)),
            (
                NodeName::new("b").unwrap(),
                node(Some(Zone::new("z").unwrap())),
            ),
        ]
        .into(),
        services: services.collect(),
    }
}

#[test]
fn a_topology_comes_back_as_it_was() {
    let topology = topology();
    assert_eq!(there_and_back::<v1::Topology, _>(&topology), Ok(topology));
}

#[test]
fn outcomes_findings_and_requests_come_back_as_they_were() {
    let things = [
        None,
        Some(Created::Node(NodeId(1))),
        Some(Created::Client(ClientId(2))),
        Some(Created::Epoch(Epoch(3))),
    ];
    for created in things {
        let done = Done {
            revision: Revision(9),
            created,
        };
        assert_eq!(Done::from(v1::ExecuteResponse::from(done)), done);
    }
    for code in RejectCode::ALL {
        let reject = Reject {
            code: *code,
            subject: note("node a"),
            expected: Some(0),
            actual: None,
            detail: note("x"),
        };
        assert_eq!(
            there_and_back::<v1::Reject, _>(&reject).as_ref(),
            Ok(&reject)
        );
    }
    for severity in [Severity::Ok, Severity::Warning, Severity::Critical] {
        let finding = Finding {
            severity,
            subject: "a".to_owned(),
            what: "b".to_owned(),
        };
        assert_eq!(there_and_back::<v1::Finding, _>(&finding), Ok(finding));
    }
    let request = RequestId {
        client: ClientId(1),
        sequence: 9,
        first_incomplete: 9,
    };
    assert_eq!(
        RequestId::try_from(v1::RequestId::from(request)),
        Ok(request)
    );
}
