//! Heartbeats, grants and pledges: round trips of every kind.

use super::{
    sample::{endpoint, member, note, reports, service},
    there_and_back,
};
use crate::v1;
use tenure_core::{
    ControlLoss, CopyOrder, Directive, Endpoint, Epoch, Fellow, Grant, Heartbeat, Held, Millis,
    NodeId, OrderKind, OrderProgress, OrderReport, PledgeRequest, Position, Presence, Rejoin,
    Report, Returned, ServerId, ServiceName, Sign, Source, Standing, StoreSign, Surveyed, Wanted,
    copies::{Checksum, ItemName},
};

fn named(at: usize) -> ServiceName {
    ServiceName::new(&format!("s{at}")).unwrap()
}

fn position() -> Position {
    Position {
        history: note("8d3c"),
        offset: 1 << 40,
    }
}

pub(super) fn quiet() -> Sign {
    Sign {
        service: service(),
        report: Report::default(),
        presence: Presence::Unknown,
        standing: Standing::Idle(Epoch(0)),
        permits: vec![],
        linked: false,
        whole: false,
        stalled: Millis(0),
        sees_primary: None,
        surveyed: None,
        returned: None,
        store: None,
    }
}

fn item(name: &str) -> ItemName {
    ItemName::new(name).unwrap()
}

pub(super) fn store() -> StoreSign {
    let held = Held {
        version: 7,
        checksum: Checksum::new(&[1, 2, 3]).ok(),
        size: 9,
    };
    let bare = Held {
        checksum: None,
        ..held
    };
    let come_to = [
        OrderProgress::Waiting,
        OrderProgress::Moved(5),
        OrderProgress::Held(held),
        OrderProgress::Held(bare),
        OrderProgress::Missing,
        OrderProgress::Failed("the disk is full".to_owned()),
    ];
    let kinds = [OrderKind::Fetch, OrderKind::Drop, OrderKind::Verify];
    let report = |(at, progress)| OrderReport {
        kind: kinds[at % 3],
        item: item(&format!("item {at}")),
        version: 7,
        progress,
    };
    StoreSign {
        folder: 1 << 63,
        free: Some(0),
        total: Some(1 << 50),
        load: 1_500,
        orders: come_to.into_iter().enumerate().map(report).collect(),
    }
}

pub(super) fn orders() -> Vec<CopyOrder> {
    let order = |kind, from| CopyOrder {
        kind,
        item: item("repo/1"),
        version: 8,
        checksum: Checksum::new(&[7; 32]).ok(),
        size: 1 << 40,
        from,
    };
    let source = Source {
        node: NodeId(4),
        endpoint: endpoint(),
    };
    vec![
        order(OrderKind::Fetch, Some(source)),
        CopyOrder {
            checksum: None,
            ..order(OrderKind::Drop, None)
        },
        order(OrderKind::Verify, None),
    ]
}

pub(super) fn telling() -> Sign {
    Sign {
        service: service(),
        report: reports().remove(1),
        presence: Presence::Running,
        standing: Standing::Primary(Epoch(4)),
        permits: vec![NodeId(9), NodeId(8)],
        linked: true,
        whole: true,
        stalled: Millis(3),
        sees_primary: Some(false),
        surveyed: Some(Surveyed {
            ballot: 5,
            position: Some(position()),
            pledged: Millis(6),
        }),
        returned: Some(Returned {
            epoch: Epoch(7),
            rejoin: Rejoin::Diverged,
            tail: note("tail.resp"),
        }),
        store: Some(store()),
    }
}

fn signs() -> Vec<Sign> {
    let mut all = vec![quiet(), telling()];
    for presence in [Presence::Running, Presence::Exited, Presence::Unknown] {
        all.push(Sign {
            presence,
            ..telling()
        });
    }
    for standing in [Standing::Idle, Standing::Primary, Standing::Quiesced] {
        for epoch in [Epoch(0), Epoch(9)] {
            all.push(Sign {
                standing: standing(epoch),
                ..telling()
            });
        }
    }
    let rejoins = [
        Rejoin::Identical,
        Rejoin::Behind,
        Rejoin::Ahead,
        Rejoin::Diverged,
    ];
    for rejoin in rejoins {
        all.push(Sign {
            surveyed: Some(Surveyed {
                ballot: 0,
                position: None,
                pledged: Millis(0),
            }),
            returned: Some(Returned {
                epoch: Epoch(0),
                rejoin,
                tail: note(""),
            }),
            sees_primary: Some(true),
            ..quiet()
        });
    }
    all
}

pub(super) fn beat() -> Heartbeat {
    let signs = signs().into_iter().enumerate();
    Heartbeat {
        session: u64::MAX,
        sequence: 2,
        heard: (3, 4),
        agent: Some(endpoint()),
        leaving: true,
        signs: signs
            .map(|(at, sign)| Sign {
                service: named(at),
                ..sign
            })
            .collect(),
    }
}

fn wishes() -> Vec<Wanted> {
    let fellow = |agent: Option<Endpoint>| Fellow {
        instance: endpoint(),
        agent,
    };
    vec![
        Wanted::Primary {
            write_acks: 1,
            strict: true,
            members: [
                (NodeId(8), fellow(None)),
                (NodeId(9), fellow(Some(endpoint()))),
            ]
            .into(),
            detached: [NodeId(9)].into(),
        },
        Wanted::Primary {
            write_acks: 0,
            strict: false,
            members: [].into(),
            detached: [].into(),
        },
        Wanted::Replica {
            primary: NodeId(7),
            endpoint: endpoint(),
        },
        Wanted::Standby,
        Wanted::Peer,
    ]
}

pub(super) fn grant(control_loss: ControlLoss) -> Grant {
    let wishes = wishes().into_iter().enumerate();
    let directive = |(at, wanted)| Directive {
        service: named(at),
        epoch: Epoch(4),
        wanted,
        quiesce: (at == 0).then_some(Millis(0)),
        survey: (at == 1).then_some(0),
        probe: at == 2,
        orders: orders(),
    };
    Grant {
        server: ServerId(1),
        term: 2,
        number: 3,
        member: member(),
        session: 4,
        answers: 5,
        lease: Millis(6),
        heartbeat: Millis(7),
        drift_permille: 8,
        control_loss,
        directives: wishes.map(directive).collect(),
    }
}

pub(super) fn pledge() -> PledgeRequest {
    PledgeRequest {
        service: service(),
        of: NodeId(6),
        holder: member(),
        epoch: Epoch(4),
        lasting: Millis(1_000),
    }
}

#[test]
fn what_members_and_leaders_say_comes_back_as_it_was() {
    for sign in signs() {
        assert_eq!(
            there_and_back::<v1::Sign, _>(&sign).as_ref(),
            Ok(&sign),
            "{sign:?}"
        );
    }
    let silent = Heartbeat {
        heard: (0, 0),
        agent: None,
        leaving: false,
        signs: vec![],
        ..beat()
    };
    for beat in [beat(), silent] {
        assert_eq!(
            there_and_back::<v1::Heartbeat, _>(&beat).as_ref(),
            Ok(&beat)
        );
    }
    for loss in [ControlLoss::Pledge, ControlLoss::Fence] {
        let grant = grant(loss);
        assert_eq!(there_and_back::<v1::Grant, _>(&grant).as_ref(), Ok(&grant));
    }
    let pledge = pledge();
    assert_eq!(there_and_back::<v1::PledgeRequest, _>(&pledge), Ok(pledge));
}
