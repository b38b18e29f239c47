//! Damage to the image of the state: made anew from the log where that is complete, refused where it is not.

use std::fs;
use std::path::Path;

use tenure_tests::cluster::registers::add_node;
use tenure_tests::cluster::{Cluster, Keeping, Options};
use tenure_tests::watches::content::{execute, list, patient};

use crate::attempt::{CRITICAL, attempt, copy};

/// Changes after which every server has written a checkpoint when that is due each 100 entries.
const CHANGES: usize = 250;

async fn with_image(keeping: Option<Keeping>) -> Cluster {
    let options = Options {
        servers: 1,
        keeping,
        ..Options::default()
    };
    let cluster = Cluster::start(options)
        .await
        .expect("a cluster of one server");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    for at in 0..CHANGES {
        execute(&client, add_node(&format!("n-{at}")))
            .await
            .expect("a node");
    }
    cluster
}

/// Ends a server in order, so that its image is written.
async fn end(cluster: &mut Cluster) {
    cluster.terminate(0).expect("asked to stop");
    cluster.wait_for_end(0).await.expect("it stops");
}

fn ruin(data: &Path) {
    let path = data.join("image").join("db");
    let length = fs::metadata(&path).expect("the image").len();
    let garbage: Vec<u8> = (0..length)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect();
    fs::write(&path, garbage).expect("garbage in its place");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruined_image_is_set_aside_and_made_anew_from_a_complete_log() {
    let mut cluster = with_image(None).await;
    let before = list(&patient(&cluster.endpoints()).await.expect("a client"))
        .await
        .expect("a list");
    end(&mut cluster).await;
    let data = cluster.servers()[0].data().to_owned();
    ruin(&data);
    cluster.launch(0).expect("started again");
    cluster.wait_for_leader().await.expect("it serves");
    let after = list(&patient(&cluster.endpoints()).await.expect("a client"))
        .await
        .expect("a list");
    assert_eq!(after, before, "everything is there");
    let log = cluster.servers()[0].log().expect("a log");
    assert!(log.contains("the image is rebuilt from the log"), "{log}");
    assert!(
        data.join("image.damaged-1").is_dir(),
        "the old image can be looked at"
    );
    cluster.stop().await.expect("a clean end");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ruined_image_is_refused_where_the_log_does_not_reach_back() {
    let keeping = Keeping {
        checkpoint_entries: 100,
        log_keep_entries: 0,
        events_max: 1_000,
    };
    let mut cluster = with_image(Some(keeping)).await;
    let client = patient(&cluster.endpoints()).await.expect("a client");
    let before = list(&client).await.expect("a list");
    end(&mut cluster).await;
    let data = cluster.servers()[0].data().to_owned();
    let spare = cluster.dir().join("spare");
    copy(&data.join("image"), &spare);
    ruin(&data);
    let texts = [
        "cannot be rebuilt here",
        "the log begins after",
        "Nothing was taken from the log",
        "add it again with an empty",
    ];
    attempt(&cluster.dir().join("server-1.toml")).check(CRITICAL, &texts);

    // Nothing was lost by the attempt: with the right image all is there again.
    fs::remove_dir_all(data.join("image")).expect("the ruins are removed");
    copy(&spare, &data.join("image"));
    cluster.launch(0).expect("started again");
    cluster.wait_for_leader().await.expect("it serves");
    let client = patient(&cluster.endpoints()).await.expect("a client");
    assert_eq!(list(&client).await.expect("a list"), before);
    cluster.stop().await.expect("a clean end");
}
