//! Messages as a broken or ill-disposed sender may make them: refused with the field, or understood as something
//! that says the same when it is sent on.

use super::{
    automation, operate,
    sample::{commands, records},
    session,
};
use crate::{ParseError, filter_to_wire, parse_filter, v1};
use proptest::prelude::*;
use prost::Message;
use std::fmt::Debug;
use tenure_core::{
    Command, ControlLoss, Event, Grant, Heartbeat, Key, PledgeRequest, Receipt, Record, Reject,
    RejectCode, Step,
    controller::{Explanation, Hold, HoldCode},
};
use tenure_garble::{frugally, garbled};

/// Decodes and parses some bytes, both without taking memory that they are not worth. What is accepted comes back
/// as it is; what is refused names its field.
fn parsed<W, T>(bytes: &[u8])
where
    W: Message + Default + for<'a> TryFrom<&'a T, Error: Debug>,
    T: TryFrom<W, Error = ParseError> + PartialEq + Debug,
{
    let Ok(wire) = frugally(bytes.len(), || W::decode(bytes)) else {
        return;
    };
    match frugally(bytes.len(), || T::try_from(wire)) {
        Ok(value) => assert_eq!(super::there_and_back::<W, T>(&value), Ok(value)),
        Err(refused) => {
            assert!(!refused.field.is_empty(), "{refused}");
            assert!(refused.to_string().len() < 2_000, "{refused}");
        }
    }
}

fn any_of<W, T>(values: Vec<T>) -> BoxedStrategy<Vec<u8>>
where
    W: Message + for<'a> TryFrom<&'a T, Error: Debug>,
{
    let encoded = values.iter().map(|value| {
        let wire = W::try_from(value).expect("it has a place on the wire");
        wire.encode_to_vec()
    });
    let encoded: Vec<_> = encoded.collect();
    garbled(prop::sample::select(encoded).boxed()).boxed()
}

fn keys() -> Vec<Key> {
    records().iter().map(Record::key).collect()
}

fn events() -> Vec<Event> {
    let event = |record: Record| Event {
        key: record.key(),
        after: Some(record),
    };
    records().into_iter().map(event).collect()
}

fn rejects() -> Vec<Reject> {
    let reject = |code: &RejectCode| Reject {
        code: *code,
        subject: super::note("node a"),
        expected: Some(u64::MAX),
        actual: None,
        detail: super::note("x"),
    };
    RejectCode::ALL.iter().map(reject).collect()
}

fn holds() -> Vec<Hold> {
    let hold = |code: &HoldCode| Hold::new(*code, "node 3\nis missing");
    HoldCode::ALL.iter().map(hold).collect()
}

fn steps() -> Vec<Step> {
    let step = |command| Step {
        what: "do it".to_owned(),
        command,
    };
    commands().into_iter().map(step).collect()
}

fn grants() -> Vec<Grant> {
    [ControlLoss::Pledge, ControlLoss::Fence]
        .map(session::grant)
        .into()
}

proptest! {
    #[test]
    fn commands_of_operators(bytes in any_of::<v1::Command, Command>(commands())) {
        parsed::<v1::Command, Command>(&bytes);
    }

    #[test]
    fn commands_on_automation(bytes in any_of::<v1::Command, Command>(automation::commands())) {
        parsed::<v1::Command, Command>(&bytes);
    }

    #[test]
    fn heartbeats(bytes in any_of::<v1::Heartbeat, Heartbeat>(vec![session::beat()])) {
        parsed::<v1::Heartbeat, Heartbeat>(&bytes);
    }

    #[test]
    fn grants_of_leaders(bytes in any_of::<v1::Grant, Grant>(grants())) {
        parsed::<v1::Grant, Grant>(&bytes);
    }

    #[test]
    fn pledges(bytes in any_of::<v1::PledgeRequest, PledgeRequest>(vec![session::pledge()])) {
        parsed::<v1::PledgeRequest, PledgeRequest>(&bytes);
    }

    #[test]
    fn records_of_servers(bytes in any_of::<v1::Record, Record>(records())) {
        parsed::<v1::Record, Record>(&bytes);
    }

    #[test]
    fn keys_and_events(
        key in any_of::<v1::Key, Key>(keys()),
        event in any_of::<v1::watch_response::Event, Event>(events()),
    ) {
        parsed::<v1::Key, Key>(&key);
        parsed::<v1::watch_response::Event, Event>(&event);
    }

    #[test]
    fn receipts(bytes in any_of::<v1::Receipt, Receipt>(operate::receipts())) {
        parsed::<v1::Receipt, Receipt>(&bytes);
    }

    #[test]
    fn every_no(
        reject in any_of::<v1::Reject, Reject>(rejects()),
        hold in any_of::<v1::Hold, Hold>(holds()),
    ) {
        parsed::<v1::Reject, Reject>(&reject);
        parsed::<v1::Hold, Hold>(&hold);
        // A message of one kind in the place of another.
        parsed::<v1::Hold, Hold>(&reject);
        parsed::<v1::ExplainResponse, Explanation>(&hold);
    }

    #[test]
    fn plans(bytes in any_of::<v1::plan_response::Step, Step>(steps())) {
        parsed::<v1::plan_response::Step, Step>(&bytes);
    }

    #[test]
    fn topologies(bytes in any_of::<v1::Topology, _>(vec![super::topology()])) {
        parsed::<v1::Topology, tenure_core::Topology>(&bytes);
    }

    #[test]
    fn filters(kinds: Vec<i32>, few in prop::collection::vec(-1..14_i32, 0..5), services in prop::collection::vec("[a-z-]{0,4}", 0..4)) {
        for kinds in [kinds, few] {
            match parse_filter(&kinds, &services) {
                Ok(filter) => {
                    let (kinds, services) = filter_to_wire(&filter);
                    prop_assert_eq!(parse_filter(&kinds, &services).ok(), Some(filter));
                }
                Err(refused) => prop_assert!(!refused.field.is_empty()),
            }
        }
    }

    #[test]
    fn the_details_of_a_status(bytes in garbled(prop::sample::select(rejects()).prop_map(|it| {
        let status = crate::refusal::status(tonic::Code::Aborted, crate::refusal::rejected(&it));
        status.details().to_vec()
    }).boxed())) {
        let length = bytes.len();
        let status = tonic::Status::with_details(tonic::Code::Aborted, "", bytes.into());
        drop(frugally(length, || crate::refusal::refusal(&status)));
    }
}
