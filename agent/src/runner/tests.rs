//! The runner with a real machine, a store that a test drives, and servers that say what a test has
//! them say.

mod rig;
mod store;

use std::time::Duration;

use rig::{Rig, Setup, member, primary, replica, service};
use tenure_client::pledge::{self, Asker};
use tenure_core::agent::{Action, Kept, KeptService, Observed};
use tenure_core::{
    ControlLoss, Endpoint, Epoch, Millis, Moment, NodeId, PledgeRequest, Presence, Role, Standing,
};

use crate::clock;

const LEASE: Millis = Millis(1_000);
const BOUND: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_primary_is_promoted_by_a_grant_and_fenced_when_it_ends() {
    let mut rig = Rig::start(Setup::default());
    let idle = rig.beat(|sign| sign.presence == Presence::Running).await;
    assert_eq!(idle.standing, Standing::Idle(Epoch(0)));
    rig.grant(LEASE, primary(Epoch(1)));
    let holds = |kept: &KeptService| kept.holds == Some(Epoch(1));
    rig.acts(|action| {
        matches!(
            action,
            Action::Promote {
                epoch: Epoch(1),
                ..
            }
        )
    })
    .await;
    assert!(
        rig.kept_when_promoted().is_some_and(|kept| holds(&kept)),
        "what it holds is kept before it holds it"
    );
    let serves = rig.beat(|sign| sign.report.role.is_some()).await;
    assert_eq!(serves.report.role, Some((Role::Primary, Epoch(1))));
    assert_eq!(serves.standing, Standing::Primary(Epoch(1)));
    // Nobody grants any more.
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    let fenced = rig
        .beat(|sign| matches!(sign.standing, Standing::Idle(_)))
        .await;
    assert_eq!(fenced.standing, Standing::Idle(Epoch(1)));
    assert_eq!(rig.store().role, Observed::Fenced);
    rig.stop().await;
}

#[tokio::test]
async fn an_action_that_hangs_is_given_up_for_a_fence() {
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.hang(|action| matches!(action, Action::Promote { .. }));
    rig.grant(LEASE, primary(Epoch(1)));
    rig.acts(|action| matches!(action, Action::Promote { .. }))
        .await;
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    rig.beat(|sign| sign.standing == Standing::Idle(Epoch(1)))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn a_look_that_hangs_holds_no_fence_up() {
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.promoted(LEASE, primary(Epoch(1))).await;
    rig.hang_looks();
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    rig.beat(|sign| sign.standing == Standing::Idle(Epoch(1)))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn an_exit_is_told_at_once_whatever_is_under_way() {
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.promoted(Millis(60_000), primary(Epoch(1))).await;
    rig.hang_looks();
    rig.exit();
    let gone = rig.beat(|sign| sign.presence == Presence::Exited).await;
    assert_eq!(gone.standing, Standing::Idle(Epoch(1)));
    assert_eq!(gone.report.role, None);
    rig.stop().await;
}

#[tokio::test]
async fn what_an_earlier_process_held_goes_on() {
    let held = KeptService {
        epoch: Epoch(3),
        holds: Some(Epoch(3)),
        held: Some(Epoch(3)),
        run: 1,
        whole: true,
        leased_until: clock::now().after(Millis(60_000)),
        ..KeptService::default()
    };
    let kept = Kept {
        services: [(service(), held)].into(),
        ..Kept::default()
    };
    let mut rig = Rig::start(Setup {
        kept,
        ..Setup::default()
    });
    let goes_on = rig.beat(|sign| sign.presence == Presence::Running).await;
    assert_eq!(goes_on.standing, Standing::Primary(Epoch(3)));
    assert_eq!(rig.actions(), [], "the service was not touched");
    rig.stop().await;
}

#[tokio::test]
async fn another_agent_is_answered() {
    let questions = pledge::serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let there = Endpoint::new(&questions.address().to_string()).unwrap();
    let mut rig = Rig::start(Setup {
        questions: Some(questions),
        ..Setup::default()
    });
    rig.beat(|sign| sign.presence == Presence::Running).await;
    let asker = Asker::new();
    let request = |epoch| PledgeRequest {
        service: service(),
        of: NodeId(1),
        holder: member(9),
        epoch: Epoch(epoch),
        lasting: Millis(500),
    };
    assert!(
        !asker.ask(&there, &request(2), BOUND).await,
        "it was never told of the service's epoch"
    );
    rig.grant(LEASE, replica(Epoch(2), NodeId(9)));
    rig.acts(|action| matches!(action, Action::Follow { .. }))
        .await;
    assert!(asker.ask(&there, &request(2), BOUND).await);
    let kept = rig.kept().unwrap();
    assert!(
        kept.pledged_until > clock::now(),
        "it is remembered: {kept:?}"
    );
    rig.stop().await;
}

#[tokio::test]
async fn a_primary_asks_for_pledges_when_no_leader_speaks() {
    let mut questions = pledge::serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let there = Endpoint::new(&questions.address().to_string()).unwrap();
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.control_loss = ControlLoss::Pledge;
    let mut directive = primary(Epoch(1));
    rig::with_fellow(&mut directive, NodeId(2), &there);
    rig.promoted(LEASE, directive).await;
    let pledging = tokio::spawn(async move {
        while let Some(question) = questions.next().await {
            assert_eq!(question.request.holder, member(1));
            question.answer(true);
        }
    });
    // Long after its lease has ended.
    let late = clock::now().after(Millis(LEASE.0 * 3));
    while clock::now() < late {
        rig.beat(|_| true).await;
        assert!(rig.primary_now(), "it was pledged to");
    }
    pledging.abort();
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    rig.stop().await;
}

#[tokio::test]
async fn roles_are_handed_over_before_the_node_is_left() {
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.promoted(Millis(60_000), primary(Epoch(1))).await;
    rig.leave().await;
    rig.leaving_beat().await;
    assert!(!rig.has_left(), "it still holds the role");
    rig.grant(Millis(60_000), replica(Epoch(2), NodeId(9)));
    rig.left().await;
    rig.stop().await;
}

#[tokio::test]
async fn a_full_disk_keeps_it_from_promising_but_not_from_fencing() {
    let questions = pledge::serve("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let there = Endpoint::new(&questions.address().to_string()).unwrap();
    let mut rig = Rig::start(Setup {
        questions: Some(questions),
        full_disk: true,
        ..Setup::default()
    });
    rig.show(Observed::Writable);
    rig.grant(LEASE, replica(Epoch(2), NodeId(9)));
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    let request = PledgeRequest {
        service: service(),
        of: NodeId(1),
        holder: member(9),
        epoch: Epoch(2),
        lasting: Millis(500),
    };
    let asker = Asker::new();
    assert!(!asker.ask(&there, &request, BOUND).await);
    let follows = |action: &Action| matches!(action, Action::Follow { .. });
    assert!(!rig.actions().iter().any(follows), "{:?}", rig.actions());
    assert!(rig.trouble().is_some_and(|why| why.contains("full")));
    rig.stop().await;
}

#[tokio::test]
async fn a_full_disk_stops_no_primary_that_is_granted_to() {
    let mut rig = Rig::start(Setup::default());
    rig.beat(|sign| sign.presence == Presence::Running).await;
    rig.promoted(LEASE, primary(Epoch(1))).await;
    rig.fill_disk();
    let late = clock::now().after(Millis(LEASE.0 * 3));
    while clock::now() < late {
        rig.grant(LEASE, primary(Epoch(1)));
        let sign = rig.beat(|_| true).await;
        assert_eq!(sign.standing, Standing::Primary(Epoch(1)));
    }
    assert!(rig.trouble().is_some_and(|why| why.contains("full")));
    rig.acts(|action| matches!(action, Action::Fence { .. }))
        .await;
    assert_eq!(rig.store().role, Observed::Fenced);
    rig.stop().await;
}

#[tokio::test]
async fn an_order_that_is_overtaken_by_the_clock_is_not_begun() {
    let rig = Rig::start(Setup::default());
    let why = rig.order(Moment(1), 1).await.unwrap_err();
    assert!(why.contains("was over"), "{why}");
    assert_eq!(rig.actions(), []);
    rig.stop().await;
}

#[tokio::test]
async fn an_order_for_a_process_that_is_no_more_is_not_begun() {
    let rig = Rig::start(Setup::default());
    let late = clock::now().after(Millis(60_000));
    let why = rig.order(late, 2).await.unwrap_err();
    assert!(why.contains("another process"), "{why}");
    assert_eq!(rig.actions(), []);
    rig.order(late, 1).await.expect("it is the one");
    rig.stop().await;
}
