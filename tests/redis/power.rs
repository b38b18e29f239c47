//! Every copy is cut off its power at once, and comes back with what its disk has.

use std::net::SocketAddr;
use std::time::Duration;

use tenure_client::FailoverOptions;
use tenure_core::controller::HoldCode;
use tenure_core::{Completeness, Epoch, LossPolicy, Note, Scope};
use tenure_tests::failover::link::Info;

use super::looks::node;
use super::site::{Plan, Site, eventually, service};

/// What is stored outlives the process.
const DURABLE: Plan = Plan {
    redis: "appendonly yes",
    first: None,
};

impl Site {
    /// Takes every process away at once, the primary last: nobody is left who could take over.
    fn cut_power(&mut self, primary: u64) {
        let others = (1..=3).filter(|id| *id != primary);
        for id in others.chain([primary]) {
            self.stores[&id].shoot();
        }
        for id in 1..=3 {
            self.kill_store(id);
        }
    }

    /// Waits until the files have what the processes have: one that was given all data anew has them in its
    /// append-only file once that is written anew.
    async fn is_stored(&self) {
        for id in 1..=3 {
            let address = SocketAddr::from(([127, 0, 0, 1], self.port(id)));
            eventually("the append-only file", || async {
                let info = Info::of(address, "persistence").await.ok()?;
                let idle = ["aof_rewrite_in_progress", "aof_rewrite_scheduled"];
                idle.iter()
                    .all(|field| info.get(field) == "0")
                    .then_some(())
            })
            .await;
        }
    }

    /// Why a failover that an operator asked for was refused.
    async fn failover_refused(&self, accept_loss: bool) -> String {
        let options = FailoverOptions {
            accept_loss,
            ..FailoverOptions::default()
        };
        let service = service();
        let moved = self.client.admin().failover(&service, options).await;
        moved.expect_err("refused").to_string()
    }
}

/// The old primary is back with what it had acknowledged, which nobody can prove: Redis forgets which history it
/// was in. Once loss is allowed it goes on where it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_of_every_copy_is_held_until_an_operator_allows_loss() {
    let mut site = Site::of(DURABLE).await;
    let mut writer = site.writer();
    writer.acknowledged(500).await;
    site.is_stored().await;
    let (primary, epoch) = site.primary().await;
    site.cut_power(primary);
    for id in 1..=3 {
        site.start_store(id);
    }
    let hold = site.held(|hold| hold.code == HoldCode::NotProven).await;
    println!("{hold}");
    assert!(hold.why.contains("started anew"), "{hold}");
    let verb = "`tenure service update redis-server --loss available`";
    assert!(hold.why.contains(verb), "{hold}");
    assert_eq!(site.assignment().await.epoch, epoch, "nobody was promoted");
    let before = writer.count();
    site.allow_loss(LossPolicy::Available).await;
    let after = writer.acknowledged(200).await;
    assert!(after > before);
    println!("{:?}, epoch {epoch} before", site.primary().await);
    assert_eq!(site.primary().await.0, primary, "it has the most");
    site.allow_loss(LossPolicy::Never).await;
    site.whole().await;
    writer.stop().await;
    assert_eq!(site.lost(&writer).await, Vec::<u64>::new());
    site.stop(Duration::from_secs(10)).await;
}

/// The old primary stays away: another takes its place when that is said in so many words.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_power_cut_another_takes_over_where_loss_is_accepted() {
    let mut site = Site::of(DURABLE).await;
    let mut writer = site.writer();
    writer.acknowledged(500).await;
    let (primary, epoch) = site.primary().await;
    site.cut_power(primary);
    let others = [primary % 3 + 1, (primary + 1) % 3 + 1];
    for id in others {
        site.start_store(id);
    }
    site.held(|hold| hold.code == HoldCode::NotProven).await;
    let why = site.failover_refused(true).await;
    println!("{why}");
    assert!(why.contains("--loss available"), "{why}");
    assert_eq!(site.assignment().await.epoch, epoch, "nobody was promoted");

    let unmoved = site.assignment().await.loss;
    // Somebody has looked, and knows better than the leader who has the most.
    let scope = Scope::Service(service());
    let admin = site.client.admin();
    let paused = admin.pause(scope.clone(), None, None, Note::default());
    let paused = paused.await.expect("paused");
    site.allow_loss(LossPolicy::Available).await;
    let options = FailoverOptions {
        to: Some(node(others[1])),
        accept_loss: true,
        ..FailoverOptions::default()
    };
    let moved = admin.failover(&service(), options).await;
    assert_eq!(moved.expect("moved").node.0, others[1]);
    let resumed = admin.resume(scope, paused.revision).await;
    resumed.expect("resumed");
    let (_, next) = site.serves_after(epoch).await;
    assert_eq!(next, Epoch(epoch.0 + 1));
    let receipt = site.receipt(next).await;
    assert_eq!(receipt.account.completeness, Completeness::Unknown);
    assert!(site.assignment().await.loss > unmoved, "it is counted");
    writer.acknowledged(200).await;
    site.allow_loss(LossPolicy::Never).await;
    site.start_store(primary);
    site.whole().await;
    let said = site.returned(next).await;
    println!("{said}");
    assert!(said.starts_with("diverged: all its data"), "{said}");
    writer.acknowledged(200).await;
    writer.stop().await;
    site.stop(Duration::from_secs(10)).await;
}
