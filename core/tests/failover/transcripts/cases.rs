//! What befalls the worlds of the transcripts.

use super::Case;
use crate::failover::world::{Place, Setup, World, policy, service};
use tenure_core::{
    Automation, Command, ControlLoss, Lifecycle, LossPolicy, Millis, NodeId, NodeRef, Note,
    agent::Input,
};

fn strict() -> Setup {
    Setup::new(1, LossPolicy::Never)
}

fn lenient() -> Setup {
    Setup::new(1, LossPolicy::Available)
}

fn fencing() -> Setup {
    let mut setup = strict();
    setup.automation = Automation {
        control_loss: ControlLoss::Fence,
        ..Automation::default()
    };
    setup
}

/// Both replicas in the zone that is lost with the primary; another service is lost with them.
fn storm() -> Setup {
    let mut setup = Setup::of(1, 4, policy(LossPolicy::Available));
    setup.zones = vec!["a", "a", "b", "b"];
    setup.automation = Automation {
        storm_budget: 1,
        ..Automation::default()
    };
    setup
}

fn befalls(world: &mut World, what: &str) {
    world.tell("!", what);
}

fn moves(world: &mut World, within: u64, epoch: u64) {
    world.run_until(Millis(within), |world| world.moved_to(epoch));
    world.run(Millis(50));
    world.tell_receipt();
}

fn heals(world: &mut World) {
    world.run_until(Millis(10_000), World::is_whole);
    befalls(world, "everybody follows in sync");
}

fn held(world: &mut World) {
    let held = world.held().expect("it is held").to_string();
    world.tell("=", &format!("explain: {held}"));
}

pub const ALL: &[Case] = &[
    Case {
        name: "exited",
        title: "The primary's process exits: its agent sees it go, and says so at once.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's process is killed");
            world.kill_store(1);
            moves(world, 100, 2);
            befalls(world, "n1's process is started again");
            world.restart_store(1);
            heals(world);
        },
    },
    Case {
        name: "node-lost",
        title: "The primary's node is cut off: it stops by itself before its lease is over for the leader.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1 is cut off from everybody");
            world.isolate(1);
            moves(world, 2_000, 2);
            befalls(world, "the cut is mended");
            world.mend();
            heals(world);
        },
    },
    Case {
        name: "unheard-by-the-leader",
        title: "The leader alone does not hear the primary: the other servers relay, and nothing happens.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1 and s1 are cut from each other");
            world.net.cut_both(Place::Node(1), Place::Server(1));
            world.run(Millis(5_000));
            assert_eq!(world.epoch(), 1);
            befalls(world, "five seconds later");
        },
    },
    Case {
        name: "agent-lost-and-back",
        title: "The primary's agent dies while its process serves: it has its grace.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's agent is killed");
            world.kill_agent(1);
            world.run(Millis(5_000));
            held(world);
            befalls(world, "n1's agent is started again");
            world.start_agent(1);
            heals(world);
        },
    },
    Case {
        name: "agent-lost-for-good",
        title: "The primary's agent does not come back within its grace.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's agent is killed");
            world.kill_agent(1);
            moves(world, 15_000, 2);
        },
    },
    Case {
        name: "stuck",
        title: "The primary answers and its writes make no progress: a switchover is tried first.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's disk is full: writes hang");
            world.jam_store(1);
            moves(world, 6_000, 2);
        },
    },
    Case {
        name: "frozen",
        title: "The primary's process is frozen under a living agent: no fence is answered, so its lease has to run out.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's process is stopped");
            world.freeze_store(1);
            moves(world, 8_000, 2);
            befalls(world, "n1's process goes on");
            world.thaw_store(1);
            heals(world);
        },
    },
    Case {
        name: "deaf",
        title: "The primary is heard and hears nothing: it fences itself, says so, and is replaced.",
        setup: strict,
        happens: |world| {
            befalls(world, "nothing reaches n1 any more");
            for server in 1..=3 {
                world.net.cut(Place::Server(server), Place::Node(1));
            }
            for other in [2, 3] {
                world.net.cut(Place::Node(other), Place::Node(1));
            }
            moves(world, 5_000, 2);
        },
    },
    Case {
        name: "replica-lost",
        title: "A replica is lost: the in-sync set is committed smaller after it was detached, and larger when it is back.",
        setup: strict,
        happens: |world| {
            befalls(world, "n3's process is killed");
            world.kill_store(3);
            let without = |world: &World| !world.assignment().in_sync.contains(&NodeId(3));
            world.run_until(Millis(10_000), without);
            befalls(world, "n3's process is started again");
            world.restart_store(3);
            heals(world);
        },
    },
    Case {
        name: "storm",
        title: "A zone is lost: more than its budget. What is not provably complete is held until an operator accepts.",
        setup: storm,
        happens: |world| {
            befalls(world, "zone a loses its power: n1 and n2");
            world.power_off(1);
            world.power_off(2);
            world.run(Millis(4_000));
            held(world);
            befalls(world, "an operator accepts that something may be lost");
            world.checks.forgiven = true;
            world.failover(None, true, false);
            moves(world, 2_000, 2);
        },
    },
    Case {
        name: "leader-stalled",
        title: "The leader itself stands still (self-doubt): it, and whoever follows it, judges nobody by what was missed.",
        setup: strict,
        happens: |world| {
            befalls(world, "s1 stands still for half a second");
            world.stall_server(1, Millis(500));
            world.run(Millis(3_000));
            assert_eq!(world.epoch(), 1);
            befalls(world, "three seconds later");
        },
    },
    Case {
        name: "leader-and-primary-lost",
        title: "Leader and primary die together.",
        setup: strict,
        happens: |world| {
            befalls(world, "s1 and n1's process are killed");
            world.kill_server(1);
            world.kill_store(1);
            moves(world, 2_000, 2);
        },
    },
    Case {
        name: "all-servers-lost-pledge",
        title: "All servers are lost under `pledge`: the primary goes on while everybody pledges.",
        setup: strict,
        happens: |world| {
            befalls(world, "all servers are killed");
            for server in [3, 2, 1] {
                world.kill_server(server);
            }
            world.run(Millis(10_000));
            befalls(world, "all servers are started again");
            for server in 1..=3 {
                world.start_server(server);
            }
            world.run(Millis(3_000));
            assert_eq!(world.epoch(), 1);
        },
    },
    Case {
        name: "all-servers-lost-fence",
        title: "All servers are lost under `fence`: the primary stops when its lease is over.",
        setup: fencing,
        happens: |world| {
            befalls(world, "all servers are killed");
            for server in [3, 2, 1] {
                world.kill_server(server);
            }
            world.run(Millis(3_000));
            befalls(world, "all servers are started again");
            for server in 1..=3 {
                world.start_server(server);
            }
            heals(world);
        },
    },
    Case {
        name: "cut-off-with-a-replica",
        title: "The primary is cut off with one of two replicas: it stops in time, and the other side holds.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1 and n2 are cut from the servers and from n3");
            for node in [1, 2] {
                world.cut_from_servers(node);
                world.net.cut_both(Place::Node(node), Place::Node(3));
            }
            world.run(Millis(4_000));
            held(world);
            befalls(world, "the cut is mended");
            world.mend();
            heals(world);
        },
    },
    Case {
        name: "switchover",
        title: "An operator moves the primary.",
        setup: strict,
        happens: |world| {
            befalls(world, "an operator asks for a switchover to n3");
            world.switchover(Some(3));
            moves(world, 500, 2);
            heals(world);
        },
    },
    Case {
        name: "switchover-taken-back",
        title: "The candidate of a switchover stalls: it is taken back to the old primary, in the same epoch.",
        setup: strict,
        happens: |world| {
            befalls(
                world,
                "an operator asks for a switchover to n2, which stands still",
            );
            let ask = world.switchover(Some(2));
            world.stall_node(2, Millis(1_900));
            let answer = world.answer(ask, Millis(1_500)).expect_err("it stalls");
            world.tell("=", &format!("the operator is told: {answer}"));
            heals(world);
        },
    },
    Case {
        name: "drain",
        title: "The primary's node is drained: it hands over first.",
        setup: strict,
        happens: |world| {
            befalls(world, "an operator drains n1");
            let command = Command::SetLifecycle {
                node: NodeRef::Id(NodeId(1)),
                expected: world.revision_of(1),
                to: Lifecycle::Draining,
                reason: Note::default(),
                accept_loss: false,
            };
            world.must(command);
            moves(world, 500, 2);
        },
    },
    Case {
        name: "leaving",
        title: "The primary's node is shut down: its agent waits until it has handed over.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1's agent is told to stop");
            world.tell_agent(1, Input::Leave);
            moves(world, 500, 2);
        },
    },
    Case {
        name: "failover-vouched-for",
        title: "The primary's node and one replica are off: an operator vouches for the fence, and accepts the loss.",
        setup: lenient,
        happens: |world| {
            befalls(world, "n1 and n2 lose their power");
            world.power_off(1);
            world.power_off(2);
            world.checks.forgiven = true;
            befalls(
                world,
                "an operator vouches that n1 is off, and accepts that something may be lost",
            );
            world.failover(None, true, true);
            moves(world, 3_000, 2);
        },
    },
    Case {
        name: "return-diverged",
        title: "The old primary returns with writes that nobody else has: the verdict is in the receipt.",
        setup: strict,
        happens: |world| {
            befalls(world, "n1 is cut off from everybody");
            world.isolate(1);
            moves(world, 2_000, 2);
            world.run(Millis(500));
            befalls(world, "the cut is mended");
            world.mend();
            heals(world);
            let returned = world.receipt().returned;
            assert!(!returned.as_str().is_empty(), "{}", service());
            world.tell_receipt();
        },
    },
];
