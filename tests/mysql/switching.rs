//! Switchovers: under load, with something in the way, and those that come to nothing.

use tenure_core::Completeness;
use tenure_core::controller::HoldCode;
use tenure_tests::failover::moment::Moment;
use tenure_tests::mariadb::config::{KEEPER, OPERATOR, WRITER};
use tenure_tests::mariadb::link;

use super::sessions::Session;
use super::site::{Site, rounds};
use super::tally::Tally;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switchover_under_load_fails_no_commit() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("a switchover under load");
    let load = site.load().await;
    load.acknowledged(300).await;
    let begun = Moment::now();
    for _ in 0..rounds(3) {
        let (_, epoch) = site.primary().await;
        let before = Moment::now();
        let next = site.switchover(None).await.expect("moved");
        assert!(next > epoch);
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        assert_eq!(receipt.account.completeness, Completeness::Equal);
        site.whole().await;
        // The new primary writes down that an epoch begins before the old one is looked at.
        assert_eq!(
            site.returned(next).await,
            "behind: it has nothing of its own"
        );
    }
    assert_eq!(
        load.unknown_since(begun),
        0,
        "a client that waits sees no commit fail"
    );
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_transaction_in_the_way_is_ended() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("a long transaction in the way of a switchover");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, _) = site.primary().await;
        let long = Session::open(site.address(primary), WRITER).await;
        long.tell("BEGIN").await;
        long.tell("INSERT INTO app.writes (writer, number) VALUES ('long', 1)")
            .await;
        let before = Moment::now();
        let moved = site.switchover(None).await;
        let next = moved.expect("moved past a long transaction");
        load.acknowledged(200).await;
        tally.moved(&*site.receipt(next).await);
        tally.gap(&load, before);
        println!("{}", long.refused("COMMIT").await);
        site.whole().await;
        let (primary, epoch) = site.primary().await;
        assert_eq!(epoch, next);
        let there: Vec<u64> = link::ask(
            site.address(primary),
            OPERATOR,
            "SELECT number FROM app.writes WHERE writer = 'long'",
        )
        .await
        .expect("it answers");
        assert_eq!(there, [0u64; 0], "what was not committed is nowhere");
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

/// Somebody's backup holds the global read lock: nothing is written while it does, so the primary is stuck, and is
/// moved.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_lock_in_the_way_is_ended() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("FLUSH TABLES WITH READ LOCK at the primary");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let backup = Session::open(site.address(primary), KEEPER).await;
        let before = Moment::now();
        backup.tell("FLUSH TABLES WITH READ LOCK").await;
        let (_, next) = site.serves_after(epoch).await;
        load.acknowledged(200).await;
        let receipt = site.receipt(next).await;
        tally.moved(&receipt);
        tally.gap(&load, before);
        println!("{:?}", receipt.account.evidence);
        assert!(receipt.account.completeness.is_lossless(), "{receipt:?}");
        site.whole().await;
        println!("it returned: {}", site.returned(next).await);
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_candidate_does_not_catch_up_is_taken_back() {
    let mut site = Site::start().await;
    let mut tally = Tally::of("the candidate of a switchover does not catch up");
    let load = site.load().await;
    load.acknowledged(300).await;
    for _ in 0..rounds(1) {
        let (primary, epoch) = site.primary().await;
        let candidate = primary % 3 + 1;
        let begun = Moment::now();
        // What is received there cannot be applied.
        let lock = Session::open(site.address(candidate), KEEPER).await;
        lock.tell("LOCK TABLES app.writes READ").await;
        load.acknowledged(50).await;
        let (code, why) = site.switchover_refused(candidate).await;
        println!("{code:?}: {why}");
        tally.decided(code);
        assert!(
            matches!(code, HoldCode::Aborted | HoldCode::NotThatOne),
            "{why}"
        );
        let name = super::site::name(candidate);
        assert!(why.contains(name.as_str()), "{why}");
        load.acknowledged(200).await;
        tally.gap(&load, begun);
        assert_eq!(site.primary().await, (primary, epoch));
        assert_eq!(
            load.unknown_since(begun),
            0,
            "a client that waits sees no commit fail"
        );
        drop(lock);
        site.whole().await;
        super::site::eventually("the switchover", || async {
            site.switchover(Some(candidate)).await.ok()
        })
        .await;
        load.acknowledged(200).await;
        site.whole().await;
    }
    site.nothing_lost(load).await;
    site.all_alike().await;
    site.stop().await;
}
