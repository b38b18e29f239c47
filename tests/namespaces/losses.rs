//! Processes that die: servers, agents, primaries, several at once.

use std::time::Duration;

use tenure_core::{Automation, Cause, ControlLoss, FenceProof, Phase, ServiceName};
use tenure_tests::failover::moment::Moment;

use super::traffic::{Beside, NO_GAP_MS, Traffic, from_env};
use super::trial::{SERVERS, Trial, Wanted, run};

/// For how many seconds all servers are away.
const AWAY: &str = "TENURE_AWAY_S";
const AWAY_IN_GATE_S: u64 = 5;
/// The lease of one second, and half of one for an agent that is late on a busy machine.
const LEASE_OVER: Duration = Duration::from_millis(1_500);

/// In milliseconds: a lease, and the second after which a replica tries its link again.
const AT_RETURN_MS: f64 = 2_000.0;

#[test]
fn leader_and_primary_killed_in_the_same_moment() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let leader = trial.leader().await;
        let killed = Moment::now();
        trial.servers[leader].kill().expect("killed");
        trial.nodes[old].stores[0].kill().expect("killed");
        let (served, _) = traffic.moved(trial.address(old, &service), killed).await;
        traffic.acknowledged(500).await;
        trial.nodes[old].stores[0].start().expect("started");
        trial.start_servers();
        let (_, next) = trial.settled(&service).await;
        let receipt = trial.receipt(&service, next).await;
        println!(
            "served again after {:.0} ms; {:?}",
            served.ms_since(killed),
            receipt.account
        );
        assert_eq!(next.0, epoch.0 + 1, "one failover");
        assert_eq!(receipt.account.cause, Cause::Exited);
        traffic.stop(&trial, &service).await;
        trial.stop();
    });
}

#[test]
fn leader_and_primary_cut_off_in_the_same_moment() {
    run(Wanted::default(), async |trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let beside = Beside::start(&trial, old, &service).await;
        let leader = trial.leader().await;
        let cut = Moment::now();
        trial.network.cut(leader).expect("cut");
        trial.network.cut(SERVERS + old).expect("cut");
        let (served, _) = traffic.moved(trial.address(old, &service), cut).await;
        traffic.acknowledged(500).await;
        trial.network.heal(leader).expect("healed");
        trial.network.heal(SERVERS + old).expect("healed");
        let (_, next) = trial.settled(&service).await;
        let receipt = trial.receipt(&service, next).await;
        println!(
            "served again after {:.0} ms; {:?}",
            served.ms_since(cut),
            receipt.account
        );
        assert_eq!(next.0, epoch.0 + 1, "one failover");
        traffic.stop(&trial, &service).await;
        beside.stop(&trial, &service, Some(served)).await;
        trial.stop();
    });
}

fn away() -> Duration {
    Duration::from_secs(from_env(AWAY).unwrap_or(AWAY_IN_GATE_S))
}

#[test]
fn without_servers_a_primary_goes_on_by_pledges() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let settled = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let killed = Moment::now();
        trial.kill_servers();
        tokio::time::sleep(away()).await;
        trial.start_servers();
        let returned = Moment::now();
        assert_eq!(trial.settled(&service).await, settled);
        // Longer than a new leader takes to judge anybody.
        tokio::time::sleep(Duration::from_secs(5)).await;
        traffic.acknowledged(500).await;
        assert_eq!(trial.settled(&service).await, settled);
        let seen = traffic.stop(&trial, &service).await;
        let without = seen.longest_gap_ms(killed, returned);
        let after = seen.longest_gap_ms(returned, Moment::now());
        println!(
            "{:?} without servers: longest gap {without:.0} ms, {after:.0} ms after",
            away()
        );
        assert!(
            without.max(after) < NO_GAP_MS,
            "{without} ms and {after} ms without an acknowledgement"
        );
        trial.stop();
    });
}

#[test]
fn without_servers_a_primary_that_must_not_pledge_stops_when_its_lease_ends() {
    let automation = Automation {
        control_loss: ControlLoss::Fence,
        ..Automation::default()
    };
    let wanted = Wanted {
        automation,
        ..Wanted::default()
    };
    run(wanted, async |mut trial| {
        let service = trial.service();
        let (_, epoch) = trial.settled(&service).await;
        // Grants tell the agents of the setting: several are given meanwhile.
        let mut traffic = Traffic::start(&trial, &service).await;
        traffic.acknowledged(500).await;
        let killed = Moment::now();
        trial.kill_servers();
        tokio::time::sleep(away()).await;
        let returned = Moment::now();
        let seen = traffic.seen();
        trial.start_servers();
        traffic.acknowledged(500).await;
        let again = traffic.seen();
        let again = again
            .acks
            .iter()
            .find(|ack| ack.at > returned)
            .map(|ack| ack.at);
        let (_, next) = trial.settled(&service).await;
        let last = seen.acks.last().expect("it was at work").at;
        println!(
            "{:?} without servers: acknowledged for {:.0} ms, and again {:.0} ms after their return; epoch {epoch}, then {next}",
            away(),
            last.ms_since(killed),
            again.expect("it goes on").ms_since(returned)
        );
        assert!(
            last < killed.plus(LEASE_OVER),
            "acknowledged after the lease"
        );
        traffic.stop(&trial, &service).await;
        trial.stop();
    });
}

#[test]
fn an_agent_that_is_started_again_at_once_is_not_noticed() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let settled = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let killed = Moment::now();
        trial.nodes[settled.0].agent.kill().expect("killed");
        trial.nodes[settled.0].agent.start().expect("started");
        // Longer than any lease.
        tokio::time::sleep(Duration::from_secs(3)).await;
        traffic.acknowledged(500).await;
        assert_eq!(trial.settled(&service).await, settled);
        let seen = traffic.stop(&trial, &service).await;
        let gap = seen.longest_gap_ms(killed, Moment::now());
        let refused = seen.refusals_since(killed);
        println!("longest gap {gap:.0} ms, refused {refused:?}");
        assert!(gap < NO_GAP_MS, "{gap} ms without an acknowledgement");
        assert!(refused.is_empty(), "the service was touched: {refused:?}");
        trial.stop();
    });
}

/// Its lease has ended when it returns: by the design it fences first and asks afterwards, and the replicas find their
/// way back to the same primary.
#[test]
fn an_agent_that_returns_within_its_grace_costs_no_failover() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let settled = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let killed = Moment::now();
        trial.nodes[settled.0].agent.kill().expect("killed");
        // Longer than any lease, shorter than the grace.
        tokio::time::sleep(Duration::from_secs(4)).await;
        let returned = Moment::now();
        traffic.acknowledged(1).await;
        trial.nodes[settled.0].agent.start().expect("started");
        // Longer than what is left of the grace.
        tokio::time::sleep(Duration::from_secs(8)).await;
        traffic.acknowledged(500).await;
        assert_eq!(trial.settled(&service).await, settled);
        let seen = traffic.stop(&trial, &service).await;
        let away = seen.longest_gap_ms(killed, returned);
        let after = seen.longest_gap_ms(returned, Moment::now());
        let refused = seen.refusals_since(killed);
        println!(
            "longest gap {away:.0} ms while away, {after:.0} ms at the return, refused {refused:?}"
        );
        assert!(away < NO_GAP_MS, "{away} ms without an acknowledgement");
        assert!(
            after < AT_RETURN_MS,
            "{after} ms without an acknowledgement"
        );
        trial.stop();
    });
}

#[test]
fn an_agent_that_stays_away_costs_its_instance_the_role() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let (old, epoch) = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let beside = Beside::start(&trial, old, &service).await;
        let killed = Moment::now();
        trial.nodes[old].agent.kill().expect("killed");
        let (served, _) = traffic.moved(trial.address(old, &service), killed).await;
        traffic.acknowledged(500).await;
        trial.nodes[old].agent.start().expect("started");
        let (_, next) = trial.settled(&service).await;
        let receipt = trial.receipt(&service, next).await;
        let gap = traffic.seen().longest_gap_ms(killed, Moment::now());
        println!(
            "served again after {:.0} ms, longest gap {gap:.0} ms; {:?}",
            served.ms_since(killed),
            receipt.account
        );
        let silent = receipt.account.timeline[&Phase::Detected];
        assert!(
            silent >= Automation::default().agent_grace,
            "it has its grace"
        );
        assert_eq!(next.0, epoch.0 + 1, "one failover");
        assert_eq!(receipt.account.cause, Cause::AgentLost);
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
fn ten_services_lose_the_node_of_their_primaries_together() {
    let wanted = Wanted {
        services: 10,
        ..Wanted::default()
    };
    run(wanted, async |trial| {
        let mut before = Vec::new();
        let mut writers = Vec::new();
        for service in &trial.services {
            let (primary, epoch) = trial.settled(service).await;
            assert_eq!(primary, 0, "all begin on one node");
            before.push((service.clone(), epoch));
            writers.push(Traffic::start(&trial, service).await);
        }
        let cut = Moment::now();
        trial.network.cut(SERVERS).expect("cut");
        let mut served = Vec::new();
        for (traffic, (service, _)) in writers.iter_mut().zip(&before) {
            let (at, _) = traffic.moved(trial.address(0, service), cut).await;
            served.push(at.ms_since(cut));
        }
        served.sort_by(f64::total_cmp);
        println!("served again after, in ms: {served:.0?}");
        for traffic in &mut writers {
            traffic.acknowledged(100).await;
        }
        trial.network.heal(SERVERS).expect("healed");
        for (traffic, (service, epoch)) in writers.into_iter().zip(before) {
            one_receipt(&trial, &service, epoch).await;
            traffic.stop(&trial, &service).await;
        }
        trial.stop();
    });
}

/// One failover since `epoch`, proven lossless.
async fn one_receipt(trial: &Trial, service: &ServiceName, epoch: tenure_core::Epoch) {
    let (_, next) = trial.settled(service).await;
    let receipt = trial.receipt(service, next).await;
    println!("{service}: {:?}", receipt.account.timeline);
    assert_eq!(next.0, epoch.0 + 1, "one failover of {service}");
    assert_eq!(receipt.account.cause, Cause::NodeLost);
    assert!(receipt.account.completeness.is_lossless());
}
