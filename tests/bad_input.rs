//! What people, disks and strangers get wrong: a clear error each, nothing lost, nothing changed, no panic.

#[path = "bad_input/attempt.rs"]
mod attempt;
#[path = "bad_input/configuration.rs"]
mod configuration;
#[path = "bad_input/folders.rs"]
mod folders;
#[path = "bad_input/full_disk.rs"]
mod full_disk;
#[path = "bad_input/garbage.rs"]
mod garbage;
#[path = "bad_input/image.rs"]
mod image;
#[path = "bad_input/peers.rs"]
mod peers;
#[path = "bad_input/requests.rs"]
mod requests;
#[path = "bad_input/strangers.rs"]
mod strangers;
#[path = "bad_input/wire.rs"]
mod wire;

use tenure_tests::cluster::{Cluster, Options};

/// A single server.
async fn one_server() -> Cluster {
    let options = Options {
        servers: 1,
        ..Options::default()
    };
    Cluster::start(options)
        .await
        .expect("a cluster of one server")
}
