use super::*;
use tenure_core::{Incarnation, NodeId};

const OWN: ServerId = ServerId(2);
const OTHER: ServerId = ServerId(1);

fn member(node: u64) -> Member {
    Member {
        node: NodeId(node),
        incarnation: Incarnation(1),
    }
}

fn beat(sequence: u64) -> Heartbeat {
    Heartbeat {
        session: 7,
        sequence,
        heard: (0, 0),
        agent: None,
        leaving: false,
        signs: Vec::new(),
    }
}

fn grant(number: u64) -> v1::Grant {
    v1::Grant {
        number,
        ..v1::Grant::default()
    }
}

/// Server and sequence of beats, server alone of ears.
fn taken(exchange: &Exchange) -> Vec<(ServerId, Option<u64>)> {
    let told = exchange.heard.take().into_iter();
    told.map(|(source, input)| match (source, input) {
        (Source::Session(_), Input::Beat { via: OWN, beat, .. }) => (OWN, Some(beat.sequence)),
        (Source::Relay(from, _), Input::Beat { via, beat, .. }) if from == via => {
            (via, Some(beat.sequence))
        }
        (Source::Ear(from), Input::Ear(of)) if from == of => (of, None),
        other => panic!("{other:?}"),
    })
    .collect()
}

#[tokio::test]
async fn the_latest_beat_of_each_way_comes_before_the_ears() {
    let exchange = Exchange::new(OWN);
    exchange.beat(member(1), beat(1));
    assert!(!exchange.heard.ready().await, "closed, and ready");
    exchange.heard.open();
    exchange.ear(OTHER);
    exchange.relayed(OTHER, member(1), beat(2));
    exchange.beat(member(1), beat(2));
    exchange.beat(member(1), beat(3));
    assert!(exchange.heard.ready().await);
    let expected = vec![(OWN, Some(3)), (OTHER, Some(2)), (OTHER, None)];
    assert_eq!(taken(&exchange), expected);
    assert!(exchange.outbox.take().is_empty(), "no relay is up");
}

#[tokio::test]
async fn a_follower_that_dials_anew_carries_from_then_on() {
    let exchange = Exchange::new(OWN);
    exchange.grant(OTHER, member(1), grant(1));
    let first = exchange.carrier(OTHER);
    let second = exchange.carrier(OTHER);
    assert!(!first.ready().await, "the earlier relay goes on");
    exchange.put_down(OTHER, &first);
    exchange.grant(OTHER, member(1), grant(2));
    exchange.grant(OTHER, member(1), grant(3));
    let carried: Vec<u64> = second.take().values().map(|grant| grant.number).collect();
    assert_eq!(carried, [3]);
    exchange.put_down(OTHER, &second);
    assert!(!second.ready().await);
}
