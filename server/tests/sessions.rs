//! Sessions of members with three servers in one process: who is let in, what ends a session, and that
//! grants find their way to members through any server.
#![allow(missing_docs)]

mod support;

use support::member::{Member, Session, beat, hello, message};
use support::{Cluster, eventually};
use tenure_proto::refusal::refusal;
use tenure_proto::v1::{self, member_message::Kind, refusal::Reason};
use tonic::{Code, Status};

fn reason(status: &Status) -> Reason {
    refusal(status).expect("a typed refusal").reason()
}

fn api(cluster: &Cluster, server: u64) -> String {
    cluster.running[&server].api_addr().to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_say_who_it_is_is_refused_with_a_sentence() {
    let cluster = Cluster::formed(1).await;
    let api = api(&cluster, 1);
    let elsewhere = v1::Hello {
        cluster: "elsewhere".into(),
        ..hello(1, 7)
    };
    let nobody = v1::Hello {
        member: None,
        ..hello(1, 7)
    };
    let firsts = [
        (message(Kind::Hello(elsewhere)), "asks for \"elsewhere\""),
        (message(Kind::Hello(nobody)), "hello.member: is missing"),
        (message(Kind::Hello(hello(0, 7))), "hello.member.node is"),
        (message(Kind::Beat(beat(7, 1))), "must be a hello"),
        (v1::MemberMessage { kind: None }, "must be a hello"),
    ];
    for (first, says) in firsts {
        let refused = Session::open(&api, first).await.err().expect(says);
        assert!(refused.message().contains(says), "{refused}");
        assert_eq!(reason(&refused), Reason::Invalid);
    }
    let anywhere = v1::Hello {
        cluster: String::new(),
        ..hello(1, 7)
    };
    let (_session, welcome) = Session::welcomed(&api, anywhere).await;
    assert_eq!((welcome.cluster.as_str(), welcome.server), ("test", 1));
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_beat_that_cannot_be_right_ends_the_session_with_what_is_wrong() {
    let cluster = Cluster::formed(1).await;
    let api = api(&cluster, 1);
    let nonsense = v1::Sign {
        service: "No Name".into(),
        ..v1::Sign::default()
    };
    let nonsense = v1::Heartbeat {
        signs: vec![nonsense],
        ..beat(7, 1)
    };
    for (wrong, says) in [
        (nonsense, "beat.signs[0].service"),
        (beat(8, 1), "beat.session: is 8, and the hello says 7"),
    ] {
        let (mut session, _) = Session::welcomed(&api, hello(1, 7)).await;
        assert!(session.beat(wrong).await);
        let refused = session.refusal().await;
        assert!(refused.message().contains(says), "{refused}");
        assert_eq!(reason(&refused), Reason::Invalid);
    }
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_session_of_the_same_member_takes_the_place_of_the_older() {
    let cluster = Cluster::formed(1).await;
    let api = api(&cluster, 1);
    let (mut older, _) = Session::welcomed(&api, hello(1, 7)).await;
    let (mut another, _) = Session::welcomed(&api, hello(2, 7)).await;
    let (mut newer, _) = Session::welcomed(&api, hello(1, 8)).await;
    let refused = older.refusal().await;
    assert_eq!(refused.code(), Code::Aborted, "{refused}");
    assert!(refused.message().contains("a newer session of node 1"));
    // Those that stand end with the server, and not before.
    cluster.stop_all().await;
    for session in [&mut another, &mut newer] {
        let refused = session.refusal().await;
        assert_eq!(reason(&refused), Reason::ShuttingDown, "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_is_granted_through_the_session_with_the_leader() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let mut member = Member::join(&cluster, "a", &[1, 2, 3]).await;
    let (_, grant) = member.granted(|(_, grant)| grant.lease_ms > 0).await;
    assert_eq!(grant.server, leader);
    assert_eq!(grant.session, member.session);
    assert_eq!(grant.member.map(|member| member.node), Some(member.node));
    assert!(grant.answers > 0 && grant.answers <= member.sequence());
    let alone = member.granted(|(through, _)| *through == leader).await;
    assert_eq!(alone.1.term, grant.term);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_cut_off_from_the_leader_is_granted_through_followers() {
    let cluster = Cluster::formed(3).await;
    let leader = cluster.leader().await;
    let mut member = Member::join(&cluster, "a", &[1, 2, 3]).await;
    member.granted(|(_, grant)| grant.lease_ms > 0).await;
    member.cut(leader);
    let since = member.sequence();
    let relayed = |(_, grant): &(u64, v1::Grant)| grant.answers > since && grant.lease_ms > 0;
    let (through, grant) = member.granted(relayed).await;
    assert_ne!(through, leader);
    assert_eq!(grant.server, leader);
    // One of the two followers is enough, whichever.
    let other = (1..=3)
        .find(|id| *id != leader && *id != through)
        .expect("three");
    member.cut(through);
    let since = member.sequence();
    let relayed = |(_, grant): &(u64, v1::Grant)| grant.answers > since && grant.lease_ms > 0;
    let (through, _) = member.granted(relayed).await;
    assert_eq!(through, other);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_has_handed_over_grants_nothing_more() {
    let cluster = Cluster::formed(3).await;
    let mut member = Member::join(&cluster, "a", &[1, 2, 3]).await;
    member.granted(|(_, grant)| grant.lease_ms > 0).await;
    let ceded = eventually("leadership is handed over", || async {
        let old = cluster.consensus(cluster.leader().await);
        let term = old.group().term;
        old.transfer_leader(None).await.ok().map(|_| term)
    })
    .await;
    let since = member.sequence();
    let answered = |(_, grant): &(u64, v1::Grant)| {
        let late = grant.answers > since && grant.term <= ceded;
        assert!(!late, "server {} still grants", grant.server);
        grant.answers > since && grant.lease_ms > 0
    };
    let (_, after) = member.granted(answered).await;
    assert!(after.term > ceded);
    cluster.stop_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_leader_is_lost_another_grants() {
    let mut cluster = Cluster::formed(3).await;
    let old = cluster.leader().await;
    let mut member = Member::join(&cluster, "a", &[1, 2, 3]).await;
    let (_, before) = member.granted(|(_, grant)| grant.lease_ms > 0).await;
    drop(cluster.running.remove(&old));
    let (through, after) = member
        .granted(|(_, grant)| grant.term > before.term && grant.lease_ms > 0)
        .await;
    assert_ne!(through, old);
    assert_ne!(after.server, old);
    cluster.stop_all().await;
}
