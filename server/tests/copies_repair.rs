//! Copies that are lost, wanted elsewhere, or not what they should be: orders to members that carry them out in memory, over
//! three servers in one process.
#![allow(missing_docs)]

mod support;

use std::collections::BTreeMap;
use support::holder::{Disks, WELL, Way, hold};
use support::site::{
    SERVICE, commit, copies, locate, place, policy, reports, service, site, sum, wrote,
};
use support::{Cluster, eventually, payload};
use tenure_core::{
    Command, Endpoint, Lifecycle, NodeId, NodeRef, Note, Outcome, RejectCode, Revision,
};
use tenure_proto::v1;
use tokio::sync::watch;
use tokio::task::JoinHandle;

struct World {
    cluster: Cluster,
    disks: Disks,
    ways: BTreeMap<u64, watch::Sender<Way>>,
    tasks: Vec<JoinHandle<()>>,
    items: Vec<String>,
}

impl World {
    /// So many nodes, and items that are written to all of their copies.
    async fn new(nodes: u64, copies_each: u32, items: usize) -> World {
        let cluster = Cluster::formed(3).await;
        let members = site(&cluster, nodes, policy(copies_each, 0)).await;
        let disks = Disks::default();
        let mut world = World {
            cluster,
            disks,
            ways: BTreeMap::new(),
            tasks: Vec::new(),
            items: (0..items).map(|n| format!("repo/{n}")).collect(),
        };
        for member in members {
            let node = member.node;
            let (way, task) = hold(member, world.disks.clone());
            world.ways.insert(node, way);
            world.tasks.push(task);
        }
        world.write().await;
        world
    }

    fn names(&self) -> Vec<&str> {
        self.items.iter().map(String::as_str).collect()
    }

    async fn write(&self) {
        let mut leader = copies(&self.cluster).await;
        let placed = leader.place(place(&self.names())).await.expect("placed");
        let placed = placed.into_inner().items;
        let mut written = Vec::new();
        for (name, at) in self.items.iter().zip(&placed) {
            let item = wrote(name, 0, &at.writable);
            let mut disks = self.disks.lock().expect("not poisoned");
            for node in &at.writable {
                disks.insert((*node, name.clone()), (1, item.checksum.to_vec()));
            }
            written.push(item);
        }
        let told = leader.report(reports(written)).await.expect("reported");
        for answer in told.into_inner().items {
            assert!(answer.refusal.is_none(), "{answer:?}");
        }
    }

    async fn located(&self) -> Option<Vec<v1::Located>> {
        let mut leader = copies(&self.cluster).await;
        let located = leader.locate(locate(&self.names())).await.ok()?;
        Some(located.into_inner().items)
    }

    async fn status(&self) -> Option<v1::CopiesStatusResponse> {
        let mut leader = copies(&self.cluster).await;
        let status = v1::CopiesStatusRequest {
            service: SERVICE.into(),
            consistency: None,
        };
        Some(leader.status(status).await.ok()?.into_inner())
    }

    /// Every item has its fresh copies, none of them on these nodes, and nothing else is left anywhere.
    async fn whole(&self, copies: usize, without: &[u64]) {
        eventually("every item is whole", || async {
            let status = self.status().await?;
            if status.under_replicated > 0 || status.spare > 0 {
                return None;
            }
            let located = self.located().await?;
            let fits = |at: &v1::Located| {
                at.fresh.len() == copies && !at.fresh.iter().any(|node| without.contains(node))
            };
            located.iter().all(fits).then_some(())
        })
        .await;
        let located = self.located().await.expect("located");
        let disks = self.disks.lock().expect("not poisoned");
        for (name, at) in self.items.iter().zip(&located) {
            for node in &at.fresh {
                let on_disk = disks.get(&(*node, name.clone()));
                let known = (at.version, at.checksum.to_vec());
                assert_eq!(on_disk, Some(&known), "{name} on {node}");
            }
        }
    }

    fn set(&self, node: u64, way: Way) {
        self.ways[&node].send_replace(way);
    }

    fn node(&self, node: u64) -> tenure_core::Node {
        let reader = self.cluster.running.values().next().expect("runs");
        let node = reader
            .consensus()
            .reader()
            .read(|state| state.nodes()[&NodeId(node)].clone());
        node.as_ref().clone()
    }

    async fn lifecycle(&self, node: u64, to: Lifecycle) -> Result<(), RejectCode> {
        eventually("a decision", || async {
            let leader = self.cluster.consensus(self.cluster.leader().await);
            let expected = leader
                .reader()
                .read(|state| state.nodes().get(&NodeId(node)).map(|it| it.modified))?;
            match leader.propose(payload(set(node, expected, to))).await {
                Ok(Outcome::Rejected(reject)) => Some(Err(reject.code)),
                Ok(Outcome::Done(_) | Outcome::Answered { .. }) => Some(Ok(())),
                Err(_) => None,
            }
        })
        .await
    }

    async fn end(mut self) {
        self.ways.clear();
        for task in std::mem::take(&mut self.tasks) {
            task.await.expect("ends well");
        }
        self.cluster.stop_all().await;
    }
}

fn set(node: u64, expected: Revision, to: Lifecycle) -> Command {
    Command::SetLifecycle {
        node: NodeRef::Id(NodeId(node)),
        expected,
        to,
        reason: Note::default(),
        accept_loss: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_is_gone_is_made_up_for_and_tidied_away_when_it_returns() {
    let world = World::new(5, 3, 200).await;
    world.whole(3, &[]).await;
    world.set(
        2,
        Way {
            runs: false,
            ..WELL
        },
    );
    world.whole(3, &[2]).await;
    world.set(2, WELL);
    eventually("it is back", || async {
        let status = world.status().await?;
        let stores = status.stores.iter();
        let lost = stores.filter(|store| store.lost).count();
        (lost == 0).then_some(())
    })
    .await;
    world.whole(3, &[]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_is_emptied_and_one_too_many_is_refused_with_the_items() {
    let world = World::new(4, 3, 60).await;
    world.whole(3, &[]).await;
    assert_eq!(world.lifecycle(1, Lifecycle::Draining).await, Ok(()));
    eventually("the node is empty", || async {
        let status = world.status().await?;
        let store = status.stores.iter().find(|store| store.node == 1)?;
        (store.items == 0).then_some(())
    })
    .await;
    world.whole(3, &[1]).await;
    assert!(
        world
            .disks
            .lock()
            .expect("not poisoned")
            .keys()
            .all(|(node, _)| *node != 1)
    );
    let refused = world.lifecycle(2, Lifecycle::Draining).await;
    assert_eq!(refused, Err(RejectCode::CopiesNeeded));
    let mut leader = copies(&world.cluster).await;
    let obstacles = v1::ObstaclesRequest {
        node: Some(v1::NodeRef {
            id: 2,
            name: String::new(),
        }),
        service: String::new(),
        limit: 3,
    };
    let told = leader
        .obstacles(obstacles)
        .await
        .expect("told")
        .into_inner();
    assert_eq!(told.services[0].drain, 60);
    assert_eq!(told.services[0].drain_items.len(), 3);
    let gone = world.node(1);
    let remove = Command::RemoveInstance {
        service: service(),
        node: NodeRef::Id(gone.id),
        expected: world
            .cluster
            .consensus(world.cluster.leader().await)
            .reader()
            .read(|state| state.instance(&service(), gone.id).map(|it| it.modified))
            .expect("an instance"),
    };
    commit(&world.cluster, remove).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_rots_is_found_by_verification_and_made_anew() {
    let world = World::new(4, 3, 40).await;
    let at = world.located().await.expect("located")[7].fresh[0];
    let rotten = (1, sum("rot", 1));
    let key = (at, world.items[7].clone());
    world
        .disks
        .lock()
        .expect("not poisoned")
        .insert(key, rotten);
    let gone = world.located().await.expect("located")[8].fresh[1];
    let key = (gone, world.items[8].clone());
    world.disks.lock().expect("not poisoned").remove(&key);
    let mut leader = copies(&world.cluster).await;
    let verify = v1::VerifyRequest {
        service: SERVICE.into(),
        ..v1::VerifyRequest::default()
    };
    let begun = leader.verify(verify).await.expect("begins").into_inner();
    assert_eq!(begun.copies, 120);
    let verify = eventually("the verification ends", || async {
        let verify = world.status().await?.verify?;
        (!verify.running).then_some(verify)
    })
    .await;
    assert_eq!((verify.compared, verify.differ, verify.unread), (120, 2, 0));
    assert_eq!(verify.differing.len(), 2);
    world.whole(3, &[]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_claims_what_it_has_not_got_is_not_believed() {
    let world = World::new(4, 3, 20).await;
    world.whole(3, &[]).await;
    let spare = (1..=4).collect::<Vec<u64>>();
    for node in &spare {
        world.set(*node, Way { lies: true, ..WELL });
    }
    world.set(
        1,
        Way {
            runs: false,
            ..WELL
        },
    );
    eventually("claims were refused", || async {
        let repair = world.status().await?.repair?;
        (repair.failed > 0).then_some(())
    })
    .await;
    let lacking = world.status().await.expect("numbers").under_replicated;
    assert!(lacking > 0, "nothing that was claimed counts");
    for node in &spare[1..] {
        world.set(*node, WELL);
    }
    world.whole(3, &[1]).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_returns_with_another_disk_is_filled_again() {
    let world = World::new(3, 3, 30).await;
    let known = |folders: [u64; 3]| {
        let world = &world;
        eventually("the folders are known", move || async move {
            let leader = world.cluster.leader().await;
            let reader = world.cluster.consensus(leader).reader();
            reader.read(|state| {
                let stores = state.ledger(&service())?.stores();
                stores
                    .map(tenure_core::copies::Store::folder)
                    .eq(folders)
                    .then_some(())
            })
        })
    };
    known([1, 1, 1]).await;
    let keep = |(node, _): &(u64, String), _: &mut (u64, Vec<u8>)| *node != 3;
    world.disks.lock().expect("not poisoned").retain(keep);
    world.set(3, Way { folder: 2, ..WELL });
    known([1, 1, 2]).await;
    world.whole(3, &[]).await;
    let disks = world.disks.lock().expect("not poisoned").len();
    assert_eq!(disks, 90);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebalance_fills_a_node_that_joined_and_ends_also_when_its_leader_does() {
    let mut world = World::new(4, 2, 300).await;
    world.whole(2, &[]).await;
    let more = support::member::Member::join(&world.cluster, "git-5", &[1, 2, 3]).await;
    let add = Command::AddInstance {
        service: service(),
        node: NodeRef::Id(NodeId(more.node)),
        endpoint: Endpoint::new("127.0.0.1:1005").expect("one"),
        preference: 100,
    };
    commit(&world.cluster, add).await;
    let (way, task) = hold(more, world.disks.clone());
    world.ways.insert(5, way);
    world.tasks.push(task);
    let ask = |action: v1::rebalance_request::Action| v1::RebalanceRequest {
        service: SERVICE.into(),
        action: action.into(),
        actor: "test".into(),
    };
    use v1::rebalance_request::Action;
    let mut leader = copies(&world.cluster).await;
    let dry = leader
        .rebalance(ask(Action::DryRun))
        .await
        .expect("told")
        .into_inner();
    assert!(
        (80..=160).contains(&dry.moves),
        "a fifth of 600 copies: {dry:?}"
    );
    leader.rebalance(ask(Action::Start)).await.expect("starts");
    let led = world.cluster.leader().await;
    eventually("it moves", || async {
        let status = world.status().await?;
        let store = status.stores.iter().find(|store| store.node == 5)?;
        (store.fresh > 0).then_some(())
    })
    .await;
    world.cluster.stop(led).await;
    eventually("it has ended", || async {
        let status = world.status().await?;
        let store = status.stores.iter().find(|store| store.node == 5)?;
        (status.rebalance.is_none() && store.fresh == dry.moves).then_some(())
    })
    .await;
    world.whole(2, &[]).await;
    world.end().await;
}
