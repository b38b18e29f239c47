//! A machine that is busy and stalls: nothing of that is a reason to move anything.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tenure_tests::failover::moment::Moment;
use tenure_tests::power_loss::chance::Chance;
use tenure_tests::process::Process;

use super::traffic::{Traffic, from_env};
use super::trial::{NODES, Trial, Wanted, run};

/// For how many seconds; the long form is 600.
const STRESS: &str = "TENURE_STRESS_S";
const STRESS_IN_GATE_S: u64 = 15;
/// Repeats the order of a run that printed this seed.
const SEED: &str = "TENURE_STRESS_SEED";
const STALL: Duration = Duration::from_millis(500);
const BETWEEN_STALLS: Duration = Duration::from_millis(1_500);

#[test]
fn busy_cores_and_stalls_of_leader_and_agents_move_nothing() {
    run(Wanted::default(), async |mut trial| {
        let service = trial.service();
        let settled = trial.settled(&service).await;
        let mut traffic = Traffic::start(&trial, &service).await;
        let seed = from_env(SEED).unwrap_or_else(any_seed);
        println!("{SEED}={seed}");
        let mut chance = Chance::new(seed);
        let length = Duration::from_secs(from_env(STRESS).unwrap_or(STRESS_IN_GATE_S));
        let dir = tempfile::tempdir().expect("a folder");
        let busy = occupy(dir.path());
        let begun = Moment::now();
        let mut stalls = 0;
        while Moment::now() < begun.plus(length) {
            stall(&mut trial, &mut chance).await;
            stalls += 1;
            tokio::time::sleep(BETWEEN_STALLS).await;
            traffic.acknowledged(1).await;
        }
        let ended = Moment::now();
        let now = trial.settled(&service).await;
        drop(busy);
        let seen = traffic.stop(&trial, &service).await;
        println!(
            "{length:?}, {stalls} stalls: {} acknowledged, longest gap {:.0} ms, refused {:?}, {} unknown, {} not replicated in time",
            seen.acks.len(),
            seen.longest_gap_ms(begun, ended),
            seen.refusals_since(begun),
            seen.unknown.len(),
            seen.unreplicated.len()
        );
        assert_eq!(now, settled, "nothing moved");
        trial.stop();
    });
}

/// Stops the leader or one of the agents for half a second.
async fn stall(trial: &mut Trial, chance: &mut Chance) {
    let leader = trial.leader().await;
    let process = match chance.up_to(NODES) {
        0 => &mut trial.servers[leader],
        agent => &mut trial.nodes[agent - 1].agent,
    };
    process.freeze().expect("stopped");
    tokio::time::sleep(STALL).await;
    process.thaw().expect("continued");
}

/// A process per core that never waits.
fn occupy(dir: &Path) -> Vec<Process> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut spinning = Vec::new();
    for core in 0..cores {
        let args = ["-c", "while :; do :; done"].map(str::to_owned).to_vec();
        let log = dir.join(format!("spinning-{core}.log"));
        let mut process = Process::new("a busy process", Path::new("sh"), args, log);
        process.start().expect("started");
        spinning.push(process);
    }
    spinning
}

fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.unwrap_or_default();
    now.as_secs() << 20 | u64::from(now.subsec_micros())
}
