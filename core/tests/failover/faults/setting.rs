//! The world of a seed: its policy, its tempos, its size, and how its clocks run.

use crate::{
    failover::world::{Setup, World, policy},
    walk::dice::Dice,
};
use tenure_core::{
    Automation, ControlLoss, CopiesPolicy, LossPolicy, Millis, Policy, PrimaryPolicy,
    copies::repair::Limits,
};

/// One seed of so many in which clocks do what no clock may: what rests on them is not checked there.
const BROKEN_CLOCKS: u64 = 16;

pub fn has_broken_clocks(seed: u64) -> bool {
    seed.is_multiple_of(BROKEN_CLOCKS)
}

/// One seed of so many in which operators name the primary without a proof.
const NAMED_BY_HAND: u64 = 8;

pub fn is_named_by_hand(seed: u64) -> bool {
    seed % NAMED_BY_HAND == 3
}

/// One seed of so many ends with a cut that nobody mends.
const STAYS_CUT: u64 = 4;

pub fn stays_cut(seed: u64) -> bool {
    seed % STAYS_CUT == 1
}

pub fn setting(seed: u64) -> Setup {
    let mut dice = Dice::new(seed ^ 0x005e_7715_e771);
    let nodes = dice.pick([2, 3, 3, 3, 3, 4, 5, 6]).expect("there are some");
    let replicas = u32::try_from(nodes - 1).expect("it is small");
    let loss = match dice.below(20) {
        0..13 => LossPolicy::Never,
        13..16 => LossPolicy::Bounded(dice.below(200)),
        _ => LossPolicy::Available,
    };
    let of_first = PrimaryPolicy {
        replicas,
        write_acks: if replicas > 1 && dice.percent(30) {
            2
        } else {
            1
        },
        anti_flap_ms: Millis(if dice.percent(25) {
            dice.below(6_000)
        } else {
            0
        }),
        ..policy(loss)
    };
    let mut setup = Setup::of(seed, nodes, of_first);
    setup.automation = automation(&mut dice);
    if is_named_by_hand(seed) {
        // Whom an operator names is none of those that a primary asks for pledges.
        setup.automation.control_loss = ControlLoss::Fence;
    }
    for zone in &mut setup.zones {
        *zone = dice.pick(["a", "a", "b", "c"]).expect("there are some");
    }
    for (_, preference) in &mut setup.services[0].2 {
        *preference = u32::try_from(50 + dice.below(100)).expect("it is small");
    }
    if nodes > 2 && dice.percent(25) {
        let beside = PrimaryPolicy {
            replicas: 1,
            write_acks: 1,
            ..of_first
        };
        setup = setup.with("beside", Policy::Primary(beside), &[nodes, 1, 2]);
        // A client waits for as many replicas at both.
        setup.client_acks = 1;
        if let Policy::Primary(first) = &mut setup.services[0].1 {
            first.write_acks = 1;
        }
    }
    if dice.percent(20) {
        let equals = Policy::default_for(tenure_core::Kind::Peers);
        setup = setup.with("web-server", equals, &(1..=nodes).collect::<Vec<_>>());
    }
    let mut dice = Dice::new(seed ^ 0x0017_e375);
    if dice.percent(35) {
        let stored = Policy::Copies(stored(&mut dice, nodes));
        setup = setup.with("git-server", stored, &(1..=nodes).collect::<Vec<_>>());
    }
    setup
}

/// Of a service that stores copies of items.
fn stored(dice: &mut Dice, nodes: u64) -> CopiesPolicy {
    let copies = u32::try_from(1 + dice.below(nodes.min(3))).expect("it is small");
    CopiesPolicy {
        copies,
        write_min: u32::try_from(1 + dice.below(copies.into())).expect("it is small"),
        spread_zones: dice.percent(70),
        repair_grace_ms: Millis(dice.below(4_000)),
        transfers_per_node: u32::try_from(1 + dice.below(8)).expect("it is small"),
    }
}

/// Any that is permitted, around what a site would choose.
fn automation(dice: &mut Dice) -> Automation {
    let lease = dice.pick([300, 500, 1_000, 1_000, 1_000, 2_500]);
    let lease = lease.expect("there are some");
    let beat = lease / dice.pick([3, 5, 10]).expect("there are some");
    let drift = dice.pick([0, 2, 10, 10, 50]).expect("there are some");
    let storm = dice.percent(40);
    Automation {
        fast_heartbeat: Millis(beat),
        fast_lease: Millis(lease),
        drift_permille: drift,
        control_loss: if dice.percent(80) {
            ControlLoss::Pledge
        } else {
            ControlLoss::Fence
        },
        agent_grace: Millis(lease + dice.below(4_000)),
        replica_grace: Millis(lease + dice.below(3_000)),
        stuck_after: Millis(300 + dice.below(2_000)),
        survey: Millis(50 + dice.below(250)),
        switchover: Millis(200 + dice.below(1_300)),
        storm_window: Millis(1_000 + dice.below(9_000)),
        storm_budget: if storm { 1 } else { 2 },
        ..Automation::default()
    }
}

/// Clocks at the bound: the fastest gains on the slowest all that is permitted.
pub fn drift(world: &mut World) {
    let most = i64::from(world.state.automation().drift_permille);
    for node in world.node_ids() {
        world.node_mut(node).drift = world.dice.pick([0, most, most / 2]).expect("some");
    }
    for server in 1..=3 {
        world.server_mut(server).drift = world.dice.pick([0, most, most / 2]).expect("some");
    }
}

/// Within which everything has to be whole again once the faults have ended: whatever may have to pass one
/// after the other, each twice, and the longest that a proposal is waited for.
pub fn heals_within(world: &World) -> Millis {
    let automation = world.state.automation();
    let mut flap = 0;
    for service in world.state.services().values() {
        if let Policy::Primary(policy) = service.policy {
            flap = policy.anti_flap_ms.0.max(flap);
        }
    }
    let once = [
        automation.agent_grace.0,
        automation.replica_grace.0,
        automation.stuck_after.0,
        automation.switchover.0,
        automation.survey.0,
        automation.storm_window.0,
        4 * world.longest_lease.0,
        flap,
    ];
    Millis(15_000 + 2 * once.iter().sum::<u64>())
}

/// Within which all items have their copies again: a transfer that failed time and again waits for so long before the
/// next try, and lost nodes for their grace.
pub fn items_heal_within(world: &World) -> Millis {
    let mut grace = 0;
    for service in world.state.services().values() {
        if let Policy::Copies(policy) = service.policy {
            grace = policy.repair_grace_ms.0.max(grace);
        }
    }
    Millis(heals_within(world).0 + 2 * grace + 2 * Limits::default().backoff_max.0)
}
