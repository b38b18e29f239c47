//! Receipts, wishes, holds, explanations and forecasts: round trips, and what must not get through.

use super::{
    Wrong, refused,
    sample::{member, name, note, service},
    there_and_back, times,
};
use crate::v1;
use tenure_core::{
    Account, Cause, Completeness, Considered, Epoch, FenceProof, Incarnation, Member, Millis,
    NodeId, NodeRef, Phase, Position, Receipt, Timestamp,
    controller::{Explanation, Forecast, Hold, HoldCode, Wish},
};

fn receipt() -> Receipt {
    let considered = |position| Considered {
        node: NodeId(8),
        position,
        verdict: note("chosen"),
    };
    let position = Position {
        history: note("8d3c"),
        offset: 9,
    };
    Receipt {
        service: service(),
        epoch: Epoch(4),
        from: Some(member()),
        to: Member {
            node: NodeId(8),
            incarnation: Incarnation(1),
        },
        account: Account {
            cause: Cause::NodeLost,
            fence: FenceProof::LeaseOver { silent: Millis(0) },
            completeness: Completeness::Proven {
                heard: [NodeId(8), NodeId(9)].into(),
            },
            evidence: vec![note("silent at 3 of 3 servers"), note("")],
            considered: vec![considered(Some(position)), considered(None)],
            timeline: [(Phase::Detected, Millis(0)), (Phase::Committed, Millis(7))].into(),
        },
        stamp: Timestamp(5),
        acknowledged: true,
        returned: note("diverged; tail in tail.resp"),
    }
}

/// Every variant of each part, and each step of the timeline missing once.
pub(super) fn receipts() -> Vec<Receipt> {
    let with = |change: &dyn Fn(&mut Account)| {
        let mut one = receipt();
        change(&mut one.account);
        one
    };
    let mut all = vec![receipt()];
    all.extend(Cause::ALL.map(|cause| with(&|account| account.cause = cause)));
    let proofs = [
        FenceProof::Nobody,
        FenceProof::Confirmed,
        FenceProof::Exited,
        FenceProof::LeaseOver { silent: Millis(9) },
        FenceProof::Operator,
    ];
    all.extend(proofs.map(|fence| with(&|account| account.fence = fence)));
    let known = [
        Completeness::First,
        Completeness::Equal,
        Completeness::Proven { heard: [].into() },
        Completeness::Bounded { lacks: 0 },
        Completeness::Unknown,
    ];
    all.extend(known.map(|known| with(&|account| account.completeness = known.clone())));
    for missing in Phase::ALL {
        let steps = Phase::ALL.into_iter().zip((1..).map(Millis));
        let steps: Vec<_> = steps.filter(|(phase, _)| *phase != missing).collect();
        all.push(with(&|account| {
            account.timeline = steps.iter().copied().collect();
        }));
    }
    all.push(Receipt {
        from: None,
        acknowledged: false,
        returned: note(""),
        ..with(&|account| {
            account.evidence.clear();
            account.considered.clear();
            account.timeline.clear();
        })
    });
    all
}

#[test]
fn every_receipt_comes_back_as_it_was() {
    for receipt in receipts() {
        assert_eq!(
            there_and_back::<v1::Receipt, _>(&receipt).as_ref(),
            Ok(&receipt)
        );
    }
    let timeless = v1::Receipt {
        timeline: None,
        ..v1::Receipt::from(&receipt())
    };
    let steps = Receipt::try_from(timeless).unwrap().account.timeline;
    assert!(steps.is_empty(), "{steps:?}");
}

#[test]
fn bad_receipts_are_refused_with_the_field() {
    let table: Vec<Wrong<v1::Receipt>> = vec![
        (|wire| wire.service = "A".to_owned(), "service"),
        (|wire| wire.from = Some(v1::Member::default()), "from.node"),
        (|wire| wire.to = None, "to"),
        (|wire| wire.cause = 0, "cause"),
        (|wire| wire.cause = 10, "cause"),
        (|wire| wire.fence = None, "fence"),
        (
            |wire| wire.fence = Some(v1::FenceProof { kind: None }),
            "fence.kind",
        ),
        (|wire| wire.completeness = None, "completeness"),
        (
            |wire| wire.completeness = Some(v1::Completeness { kind: None }),
            "completeness.kind",
        ),
        (
            |wire| wire.completeness = Some(heard(vec![1, 0])),
            "completeness.proven.nodes[1]",
        ),
        (
            |wire| wire.completeness = Some(heard(vec![1; 1_025])),
            "completeness.proven.nodes",
        ),
        (|wire| wire.evidence[1] = "a\nb".to_owned(), "evidence[1]"),
        (|wire| wire.evidence = vec![String::new(); 17], "evidence"),
        (|wire| wire.considered[1].node = 0, "considered[1].node"),
        (
            |wire| wire.considered[0].verdict = "x".repeat(513),
            "considered[0].verdict",
        ),
        (
            |wire| wire.considered = times(&wire.considered, 17),
            "considered",
        ),
        (|wire| wire.returned = "\0".to_owned(), "returned"),
    ];
    refused(&receipt(), table);
}

fn heard(nodes: Vec<u64>) -> v1::Completeness {
    use v1::completeness::{Heard, Kind};
    v1::Completeness {
        kind: Some(Kind::Proven(Heard { nodes })),
    }
}

#[test]
fn holds_explanations_and_forecasts_come_back_as_they_were() {
    for code in HoldCode::ALL {
        let hold = Hold::new(*code, "node 3\nis missing");
        assert_eq!(there_and_back::<v1::Hold, _>(&hold).as_ref(), Ok(&hold));
        for decision in [Ok("watches".to_owned()), Err(hold.clone())] {
            let explanation = Explanation {
                decision,
                facts: vec!["a".to_owned(), String::new()],
            };
            assert_eq!(
                there_and_back::<v1::ExplainResponse, _>(&explanation).as_ref(),
                Ok(&explanation)
            );
        }
        for (decision, outage_ms) in [(Ok(NodeId(8)), Some((0, 0))), (Err(hold), None)] {
            let forecast = Forecast {
                service: service(),
                decision,
                facts: vec![],
                outage_ms,
            };
            assert_eq!(
                there_and_back::<v1::what_if_response::Forecast, _>(&forecast).as_ref(),
                Ok(&forecast)
            );
        }
    }
}

#[test]
fn a_decision_and_a_hold_exclude_one_another() {
    let hold = || v1::Hold::from(&Hold::new(HoldCode::Busy, "later"));
    let newer = v1::Hold {
        code: 9_999,
        ..hold()
    };
    for (decision, hold, field) in [
        ("", None, "hold"),
        ("promotes", Some(hold()), "hold"),
        ("", Some(newer), "hold.code"),
    ] {
        let wire = v1::ExplainResponse {
            decision: decision.to_owned(),
            hold: hold.clone(),
            ..v1::ExplainResponse::default()
        };
        assert_eq!(Explanation::try_from(wire).unwrap_err().field, field);
        let wire = v1::what_if_response::Forecast {
            service: "s".to_owned(),
            node: u64::from(!decision.is_empty()),
            hold,
            ..v1::what_if_response::Forecast::default()
        };
        assert_eq!(Forecast::try_from(wire).unwrap_err().field, field);
    }
    let long = v1::ExplainResponse {
        decision: "promotes".to_owned(),
        facts: vec![String::new(); 10_001],
        ..v1::ExplainResponse::default()
    };
    assert_eq!(Explanation::try_from(long).unwrap_err().field, "facts");
    for (least, most, field) in [
        (Some(2), Some(1), "outage_most_ms"),
        (Some(2), None, "outage_most_ms"),
        (None, Some(1), "outage_least_ms"),
    ] {
        let wire = v1::what_if_response::Forecast {
            service: "s".to_owned(),
            node: 1,
            outage_least_ms: least,
            outage_most_ms: most,
            ..v1::what_if_response::Forecast::default()
        };
        assert_eq!(Forecast::try_from(wire).unwrap_err().field, field);
    }
}

#[test]
fn wishes_are_parsed_and_refused_with_the_field() {
    let (to, reason) = (Some(NodeRef::Name(name())), note("why"));
    let switchover = |service: &str, to, reason: &str| {
        Wish::try_from(v1::SwitchoverRequest {
            service: service.to_owned(),
            to,
            reason: reason.to_owned(),
            actor: "ops".to_owned(),
        })
    };
    let failover = |service: &str, to, reason: &str| {
        Wish::try_from(v1::FailoverRequest {
            service: service.to_owned(),
            to,
            accept_loss: true,
            fenced: false,
            reason: reason.to_owned(),
            actor: "ops".to_owned(),
        })
    };
    let db_1 = || to.as_ref().map(v1::NodeRef::from);
    assert_eq!(
        switchover("redis-server", db_1(), "why"),
        Ok(Wish::Switchover {
            service: service(),
            to: to.clone(),
            reason: reason.clone(),
        })
    );
    assert_eq!(
        failover("redis-server", None, "why"),
        Ok(Wish::Failover {
            service: service(),
            to: None,
            accept_loss: true,
            fenced: false,
            reason,
        })
    );
    for (service, to, reason, field) in [
        ("", db_1(), "", "service"),
        ("s", Some(v1::NodeRef::default()), "", "to"),
        ("s", None, "\0", "reason"),
    ] {
        let errors = [
            switchover(service, to.clone(), reason),
            failover(service, to, reason),
        ];
        for refused in errors {
            assert_eq!(refused.unwrap_err().field, field);
        }
    }
}
