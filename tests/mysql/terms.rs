//! The policy of a service that runs is changed: its primary goes by what the policy says now, or by nothing.

use tenure_core::{Command, LossPolicy, Policy, PrimaryPolicy};
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::writer::prepare;

use super::setup::shown;
use super::site::{Plan, Site, eventually, service};

const TWO: &str =
    "write_acks is 2, and MariaDB's semi-synchronous replication waits for one replica and no more";

impl Site {
    async fn policy(&self, change: impl Fn(&mut PrimaryPolicy)) {
        let resolved = eventually("the service", || self.resolved()).await;
        let Policy::Primary(mut policy) = resolved.service.policy else {
            panic!("it has a primary");
        };
        change(&mut policy);
        self.execute(Command::UpdateService {
            name: service(),
            expected: resolved.service.modified,
            policy: Policy::Primary(policy),
        })
        .await;
    }

    /// Waits until `explain` says this of somebody.
    async fn explains(&self, what: &str) -> String {
        self.until("it is explained", || async {
            let mut facts = self.explained().await.facts.into_iter();
            facts.find(|fact| fact.contains(what))
        })
        .await
    }

    async fn waits(&self, primary: u64) -> bool {
        shown(self, primary, "STATUS LIKE 'Rpl_semi_sync_master_status'").await == "ON"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_acknowledgements_than_mariadb_waits_for_are_refused_and_that_is_explained() {
    let mut site = Site::empty(Plan::default()).await;
    site.policy(|policy| policy.write_acks = 2).await;
    site.choose_first().await;
    println!("{}", site.explains(TWO).await);
    assert_eq!(shown(&site, 1, "VARIABLES LIKE 'read_only'").await, "ON");
    site.policy(|policy| policy.write_acks = 1).await;
    site.whole().await;
    let primary = site.primary_now().await;
    prepare(primary, OPERATOR).await.expect("a table");

    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    site.policy(|policy| policy.write_acks = 2).await;
    println!("{}", site.explains(TWO).await);
    site.until("it takes no writes", || async {
        let read_only = shown(&site, primary, "VARIABLES LIKE 'read_only'").await;
        (read_only == "ON").then_some(())
    })
    .await;
    let before = Moment::now();
    site.policy(|policy| policy.write_acks = 1).await;
    load.acknowledged(200).await;
    println!("longest gap {:.0} ms", load.longest_gap_ms(before));
    site.whole().await;
    assert_eq!(site.primary().await, (primary, epoch), "nobody took over");
    assert!(site.waits(primary).await);
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_serves_goes_over_to_a_policy_of_no_loss() {
    let mut site = Site::empty(Plan::default()).await;
    site.policy(|policy| policy.loss = LossPolicy::Available)
        .await;
    site.serving().await;
    let load = site.load().await;
    load.acknowledged(300).await;
    let (primary, epoch) = site.primary().await;
    assert!(!site.waits(primary).await, "nothing was asked for");
    let before = Moment::now();
    site.policy(|policy| policy.loss = LossPolicy::Never).await;
    site.until("its commits wait for replicas", || async {
        site.waits(primary).await.then_some(())
    })
    .await;
    load.acknowledged(200).await;
    println!("longest gap {:.0} ms", load.longest_gap_ms(before));
    assert_eq!(load.unknown_since(before), 0, "no commit fails");
    assert_eq!(load.refused_since(before), 0, "none is refused");
    site.whole().await;
    assert_eq!(site.primary().await, (primary, epoch));

    site.kill(primary);
    let (_, next) = site.serves_after(epoch).await;
    load.acknowledged(200).await;
    let receipt = site.receipt(next).await;
    assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
    site.start_store(primary);
    site.whole().await;
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
