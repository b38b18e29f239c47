//! Whether repair delays a failover: Redis is failed over beside the items, while the leader has nothing to repair and while it
//! plans the repair after the loss of a node, in turns; and before there are items.

mod round;
mod site;
mod stores;

use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;
use tenure_benches::group::Group;
use tenure_benches::summary::{median, quantile, range, readable, table};

use self::round::{Sample, Scene, When};
use self::site::{Ground, Site};
use self::stores::Stores;
use crate::cluster::Cluster;
use crate::error::BenchError;
use crate::load::{self, SERVICE};
use crate::say;

/// What is asked for.
pub struct Wanted<'a> {
    pub tenure: &'a Path,
    pub redis_server: &'a Path,
    pub dir: &'a Path,
    pub items: u64,
    pub nodes: u64,
    pub rounds: u32,
}
const AHEAD: Duration = Duration::from_millis(0);

pub async fn run(wanted: &Wanted<'_>) -> Result<(), BenchError> {
    let data = TempDir::with_prefix_in("copies-", wanted.dir)
        .map_err(|source| BenchError::io("create a folder below", wanted.dir, source))?;
    let group = Group::begin(data.path());
    let group = group.map_err(|source| BenchError::io("watch over", data.path(), source))?;
    let cluster = Cluster::start(wanted.tenure, data.path(), group.id()).await?;
    cluster.prepare(wanted.nodes, Some(Duration::ZERO)).await?;
    let servers = cluster.addresses();
    let stores = Stores::attend(&servers, SERVICE, wanted.nodes).await?;
    let ground = Ground {
        tenure: wanted.tenure,
        redis_server: wanted.redis_server,
        servers: &servers,
        data: data.path(),
        group: group.id(),
    };
    let site = Site::start(&ground).await?;
    let mut scene = Scene {
        cluster,
        site,
        stores,
        items: 0,
    };
    let mut samples: [Vec<Sample>; 4] = Default::default();
    for round in 0..wanted.rounds {
        let label = format!("e{round}");
        let s = scene.fail_over(When::Quiet, 1, &label).await?;
        say(&format!("{label} {s:?}"));
        samples[0].push(s);
    }
    let leader = scene.whole().await?;
    load::place(&scene.cluster.address(leader), wanted.items).await?;
    scene.items = wanted.items;
    for round in 0..wanted.rounds {
        for (i, when) in [When::Quiet, When::Before(AHEAD), When::Found]
            .into_iter()
            .enumerate()
        {
            let label = format!("{i}-{round}");
            let node = 1 + u64::from(round) * 7 % wanted.nodes;
            let s = scene.fail_over(when, node, &label).await?;
            say(&format!("{when:?} {s:?}"));
            samples[i + 1].push(s);
        }
    }
    scene.site.stop().await?;
    drop(scene.stores);
    scene.cluster.stop().await?;
    drop(group);
    let _ = (
        PathBuf::new(),
        median(&[]),
        quantile(&[], 0.5),
        range(&[]),
        readable(0.0),
        table(&[], &[]),
    );
    Ok(())
}
