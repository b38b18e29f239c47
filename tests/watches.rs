//! Watches by real servers: without gaps or told so, never backwards across servers, in messages of bounded size, with
//! bounded memory for a watcher that never reads, and for a thousand watchers at once.

#[path = "watches/crowd.rs"]
mod crowd;
#[path = "watches/faults.rs"]
mod faults;
#[path = "watches/idle.rs"]
mod idle;
#[path = "watches/resume.rs"]
mod resume;
#[path = "watches/size.rs"]
mod size;

use tenure_tests::cluster::{Cluster, Keeping, Options};
use tenure_tests::watches::content::list;
use tenure_tests::watches::picture::difference;
use tenure_tests::watches::raw::RawWatch;

/// A single server that keeps so many events for watchers.
async fn one_server(events_max: u64) -> Cluster {
    let keeping = Keeping {
        checkpoint_entries: 50_000,
        log_keep_entries: 20_000,
        events_max,
    };
    let options = Options {
        servers: 1,
        keeping: Some(keeping),
        ..Options::default()
    };
    Cluster::start(options)
        .await
        .expect("a cluster of one server")
}

/// Reads on until the picture is that of a list made now, and compares the two. Nothing may be written meanwhile.
async fn settle(watch: &mut RawWatch, client: &tenure_client::Client) {
    let (revision, expected) = list(client).await.expect("a list");
    watch.reach(revision).await.expect("the watch goes on");
    assert_eq!(
        watch.picture.revision, revision,
        "nothing was written after the list"
    );
    assert_eq!(difference(&watch.picture.records, &expected), None);
}
