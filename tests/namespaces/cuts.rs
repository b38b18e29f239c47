//! Nodes and servers that do not hear one another.

use std::time::Duration;

use tenure_core::{Automation, Cause, FenceProof, Millis};
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::network::Place;

use super::traffic::{Beside, NO_GAP_MS, Traffic};
use super::trial::{NODES, SERVERS, Trial, Wanted, nodes, run, servers};

/// The default lease of one second, twice: for a fence that was late because the machine was busy.
const FENCED_BY: Duration = Duration::from_secs(2);

#[test]
fn a_primary_cut_off_from_everybody_is_replaced_and_acknowledges_nothing_more() {
    run(Wanted::default(), async |trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let beside = Beside::start(&trial, old, &service).await;
        let cut = Moment::now();
        trial.network.cut(SERVERS + old).expect("cut");
        let (served, _) = traffic.moved(trial.address(old, &service), cut).await;
        traffic.acknowledged(500).await;
        trial.network.heal(SERVERS + old).expect("healed");
        let (new, next) = trial.settled(&service).await;
        traffic.acknowledged(500).await;
        let receipt = trial.receipt(&service, next).await;
        println!(
            "served again after {:.0} ms, last beside the old one after {:.0} ms; {:?}",
            served.ms_since(cut),
            beside.last().ms_since(cut),
            receipt.account
        );
        assert!(
            new != old && next.0 == epoch.0 + 1,
            "one failover: {epoch} to {next}"
        );
        assert_eq!(receipt.account.cause, Cause::NodeLost);
        assert!(matches!(
            receipt.account.fence,
            FenceProof::LeaseOver { .. }
        ));
        assert!(receipt.account.completeness.is_lossless());
        traffic.stop(&trial, &service).await;
        beside.stop(&trial, &service, Some(served)).await;
        trial.stop();
    });
}

#[test]
fn a_primary_cut_off_with_one_of_two_replicas_stops_in_time() {
    run(Wanted::default(), async |trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let beside = Beside::start(&trial, old, &service).await;
        let island = nodes([old, (old + 1) % NODES]);
        let mut mainland = servers(0..SERVERS);
        mainland.extend(nodes([(old + 2) % NODES]));
        mainland.push(Place::Hub);
        trial.network.silence(&island, &mainland).expect("cut");
        trial.network.silence(&mainland, &island).expect("cut");
        let cut = Moment::now();
        tokio::time::sleep(FENCED_BY).await;
        let stopped = beside.last();
        // How long the cut lasts.
        tokio::time::sleep(Duration::from_secs(6)).await;
        println!(
            "acknowledged for {:.0} ms on its island; {}",
            stopped.ms_since(cut),
            trial.explained(&service).await
        );
        let (_, explained) = trial
            .client
            .admin()
            .explain(&service)
            .await
            .expect("explained");
        assert!(
            explained.decision.is_err(),
            "held under policy never: {explained:?}"
        );
        assert_eq!(beside.last(), stopped, "it stops when its lease ends");
        trial.network.let_hear(&island, &mainland).expect("healed");
        trial.network.let_hear(&mainland, &island).expect("healed");
        let healed = Moment::now();
        traffic.acknowledged(500).await;
        let (_, next) = trial.settled(&service).await;
        let seen = traffic.stop(&trial, &service).await;
        let again = seen
            .acks
            .iter()
            .find(|ack| ack.at >= healed)
            .map(|ack| ack.at);
        let again = again.expect("it goes on").ms_since(healed);
        println!("epoch {epoch}, then {next}; acknowledged again {again:.0} ms after healing");
        beside.stop(&trial, &service, None).await;
        trial.stop();
    });
}

#[test]
fn a_primary_cut_from_the_leader_alone_is_not_noticed() {
    run(Wanted::default(), async |trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let leader = servers([trial.leader().await]);
        let cut = Moment::now();
        trial.network.silence(&leader, &nodes([old])).expect("cut");
        trial.network.silence(&nodes([old]), &leader).expect("cut");
        // How long the cut lasts.
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(trial.settled(&service).await, (old, epoch));
        trial
            .network
            .let_hear(&leader, &nodes([old]))
            .expect("healed");
        trial
            .network
            .let_hear(&nodes([old]), &leader)
            .expect("healed");
        traffic.acknowledged(500).await;
        assert_eq!(trial.settled(&service).await, (old, epoch));
        let seen = traffic.stop(&trial, &service).await;
        let gap = seen.longest_gap_ms(cut, Moment::now());
        println!("longest gap {gap:.0} ms");
        assert!(gap < NO_GAP_MS, "{gap} ms without an acknowledgement");
        trial.stop();
    });
}

/// What of a primary's node is cut.
#[derive(Clone, Copy)]
enum OneWay {
    /// It sends and does not hear.
    Deaf,
    /// It hears and is not heard.
    Mute,
}

async fn one_way(trial: Trial, way: OneWay, others: &[Place]) {
    let service = trial.service();
    let (old, epoch) = trial.settled(&service).await;
    let mut traffic = Traffic::start(&trial, &service).await;
    let beside = Beside::start(&trial, old, &service).await;
    let (from, to) = match way {
        OneWay::Deaf => (others.to_vec(), nodes([old])),
        OneWay::Mute => (nodes([old]), others.to_vec()),
    };
    let cut = Moment::now();
    trial.network.silence(&from, &to).expect("cut");
    let (served, _) = traffic.moved(trial.address(old, &service), cut).await;
    traffic.acknowledged(500).await;
    let last = beside.last();
    trial.network.let_hear(&from, &to).expect("healed");
    let (_, next) = trial.settled(&service).await;
    traffic.acknowledged(500).await;
    let receipt = trial.receipt(&service, next).await;
    let gap = traffic.seen().longest_gap_ms(cut, Moment::now());
    println!(
        "served again after {:.0} ms, longest gap {gap:.0} ms, last beside the old one after {:.0} ms; {:?}",
        served.ms_since(cut),
        last.ms_since(cut),
        receipt.account
    );
    assert_eq!(next.0, epoch.0 + 1, "one failover");
    traffic.stop(&trial, &service).await;
    beside.stop(&trial, &service, Some(served)).await;
    trial.stop();
}

/// Everybody but the first node, which holds the primary.
fn all_others() -> Vec<Place> {
    let mut others = servers(0..SERVERS);
    others.extend(nodes(1..NODES));
    others.push(Place::Hub);
    others
}

/// Replicas still hear such a primary: it has the grace of its agent, which is shorter here than by default.
fn with_short_grace() -> Wanted {
    let automation = Automation {
        agent_grace: Millis(4_000),
        ..Automation::default()
    };
    Wanted {
        automation,
        ..Wanted::default()
    }
}

#[test]
fn a_primary_that_does_not_hear_the_servers_is_replaced() {
    run(with_short_grace(), async |trial| {
        one_way(trial, OneWay::Deaf, &servers(0..SERVERS)).await;
    });
}

#[test]
fn a_primary_that_the_servers_do_not_hear_is_replaced() {
    run(with_short_grace(), async |trial| {
        one_way(trial, OneWay::Mute, &servers(0..SERVERS)).await;
    });
}

#[test]
fn a_primary_that_hears_nobody_is_replaced() {
    run(Wanted::default(), async |trial| {
        one_way(trial, OneWay::Deaf, &all_others()).await
    });
}

#[test]
fn a_primary_that_nobody_hears_is_replaced() {
    run(Wanted::default(), async |trial| {
        one_way(trial, OneWay::Mute, &all_others()).await
    });
}
