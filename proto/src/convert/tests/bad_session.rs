//! Heartbeats, grants and pledge requests that must not get through, and the field that is named.

use super::{
    refused,
    session::{beat, grant, pledge, quiet, telling},
    times,
};
use crate::v1;
use tenure_core::{ControlLoss, Directive, Heartbeat};

#[test]
fn bad_heartbeats_are_refused_with_the_field() {
    let plain = Heartbeat {
        signs: vec![quiet()],
        ..beat()
    };
    refused::<v1::Heartbeat, _>(
        &plain,
        vec![
            (|beat| beat.agent = "nowhere".to_owned(), "agent"),
            (|beat| beat.signs = times(&beat.signs, 2), "signs[1]"),
            (|beat| beat.signs = times(&beat.signs, 10_001), "signs"),
            (
                |beat| beat.signs[0].service = "A".to_owned(),
                "signs[0].service",
            ),
        ],
    );
}

#[test]
fn bad_signs_are_refused_with_the_field() {
    refused::<v1::Sign, _>(
        &telling(),
        vec![
            (|sign| sign.service.clear(), "service"),
            (|sign| sign.report = None, "report"),
            (
                |sign| sign.report = Some(worse(v1::Report::default())),
                "report.health",
            ),
            (|sign| sign.presence = 0, "presence"),
            (|sign| sign.presence = 4, "presence"),
            (|sign| sign.standing = None, "standing"),
            (
                |sign| sign.standing = Some(v1::Standing { kind: None }),
                "standing.kind",
            ),
            (|sign| sign.permits = vec![1, 2, 0], "permits[2]"),
            (|sign| sign.permits = vec![1; 1_025], "permits"),
            (
                |sign| {
                    sign.surveyed = Some(v1::Surveyed {
                        position: Some(v1::Position {
                            history: "\u{7}".to_owned(),
                            offset: 1,
                        }),
                        ..v1::Surveyed::default()
                    });
                },
                "surveyed.position.history",
            ),
            (
                |sign| sign.returned = Some(v1::Returned::default()),
                "returned.rejoin",
            ),
            (
                |sign| {
                    sign.returned = Some(v1::Returned {
                        tail: "x".repeat(513),
                        rejoin: v1::Rejoin::Ahead.into(),
                        epoch: 1,
                    });
                },
                "returned.tail",
            ),
        ],
    );
}

fn worse(report: v1::Report) -> v1::Report {
    v1::Report {
        health: 99,
        ..report
    }
}

#[test]
fn bad_grants_are_refused_with_the_field() {
    refused::<v1::Grant, _>(
        &grant(ControlLoss::Pledge),
        vec![
            (|grant| grant.server = 0, "server"),
            (|grant| grant.member = None, "member"),
            (
                |grant| grant.member = Some(v1::Member::default()),
                "member.node",
            ),
            (|grant| grant.control_loss = 0, "control_loss"),
            (|grant| grant.control_loss = 3, "control_loss"),
            (
                |grant| grant.directives = times(&grant.directives, 2),
                "directives[5]",
            ),
            (
                |grant| grant.directives = times(&grant.directives, 2_001),
                "directives",
            ),
            (
                |grant| grant.directives[3].wanted = None,
                "directives[3].wanted",
            ),
            (
                |grant| grant.directives[4].service = "-".to_owned(),
                "directives[4].service",
            ),
        ],
    );
}

type Fellows = Vec<v1::directive::Fellow>;

fn primary(change: fn(&mut v1::directive::Primary)) -> v1::directive::Wanted {
    let fellow = |node| v1::directive::Fellow {
        node,
        instance: "a:1".to_owned(),
        agent: String::new(),
    };
    let mut primary = v1::directive::Primary {
        write_acks: 1,
        strict: true,
        members: (8..=9).map(fellow).collect::<Fellows>(),
        detached: vec![9],
    };
    change(&mut primary);
    v1::directive::Wanted::Primary(primary)
}

#[test]
fn bad_wishes_are_refused_with_the_field() {
    let replica = |primary, endpoint: &str| {
        v1::directive::Wanted::Replica(v1::directive::Replica {
            primary,
            endpoint: endpoint.to_owned(),
        })
    };
    for (wanted, field) in [
        (
            primary(|m| m.members[1].node = 0),
            "primary.members[1].node",
        ),
        (primary(|m| m.members[1].node = 8), "primary.members[1]"),
        (
            primary(|m| m.members[0].instance.clear()),
            "primary.members[0].instance",
        ),
        (
            primary(|m| m.members[0].agent = "a".to_owned()),
            "primary.members[0].agent",
        ),
        (
            primary(|m| m.members = times(&m.members, 513)),
            "primary.members",
        ),
        (primary(|m| m.detached = vec![0]), "primary.detached[0]"),
        (primary(|m| m.detached = vec![9; 1_025]), "primary.detached"),
        (primary(|m| m.detached = vec![8, 10]), "primary.detached"),
        (replica(0, "a:1"), "replica.primary"),
        (replica(7, "a"), "replica.endpoint"),
    ] {
        let wire = v1::Directive {
            service: "s".to_owned(),
            epoch: 1,
            wanted: Some(wanted),
            ..v1::Directive::default()
        };
        let error = Directive::try_from(wire).unwrap_err();
        assert_eq!(error.field, field, "{error}");
    }
}

#[test]
fn bad_pledge_requests_are_refused_with_the_field() {
    refused::<v1::PledgeRequest, _>(
        &pledge(),
        vec![
            (|asked| asked.service.clear(), "service"),
            (|asked| asked.holder = None, "holder"),
            (
                |asked| asked.holder = Some(v1::Member::default()),
                "holder.node",
            ),
        ],
    );
}
