//! Whether repair delays a failover: Redis is failed over beside the items, while the leader has nothing to repair and while it
//! has the loss of a node repaired, in turns; and before there are items.

mod report;
mod round;
mod site;
mod stores;

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;
use tenure_benches::group::Group;

use self::report::Column;
use self::round::{Scene, When};
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
    /// Where agents keep their state.
    pub agents: &'a Path,
    pub items: u64,
    pub nodes: u64,
    pub rounds: u32,
    /// How long a node takes for what it is ordered.
    pub fetch: Duration,
}

/// How far apart the nodes are that are lost in succession, so that they are of other zones.
const STRIDE: u64 = 7;

impl Wanted<'_> {
    /// The conditions that take turns, that without a repair first.
    fn columns(&self) -> Vec<Column> {
        let at_once = Duration::ZERO;
        vec![
            Column::new("items, nothing to repair", When::Quiet, self.fetch),
            Column::new("killed amid a repair", When::Amid, self.fetch),
            Column::new("the same, all fetched at once", When::Amid, at_once),
            Column::new("killed when a lease ends", When::Due, self.fetch),
        ]
    }

    fn node(&self, round: u32) -> u64 {
        1 + u64::from(round) * STRIDE % self.nodes.max(1)
    }
}

pub async fn run(wanted: &Wanted<'_>) -> Result<(), BenchError> {
    let data = folder(wanted.dir)?;
    let group = watch_over(&data)?;
    let agents = folder(wanted.agents)?;
    let _removes_it = watch_over(&agents)?;
    let mut scene = begin(wanted, data.path(), agents.path(), group.id()).await?;
    let mut empty = Column::new("no items", When::Quiet, wanted.fetch);
    for round in 0..wanted.rounds {
        let label = format!("empty-{round}");
        let sample = scene.fail_over(When::Quiet, 1, &label).await?;
        empty.add(sample);
    }
    let leader = scene.whole().await?;
    load::place(&scene.cluster.address(leader), wanted.items).await?;
    scene.items = wanted.items;
    let mut columns = wanted.columns();
    for round in 0..wanted.rounds {
        for (at, column) in columns.iter_mut().enumerate() {
            scene.stores.take(column.fetch);
            let label = format!("{at}-{round}");
            let sample = scene.fail_over(column.when, wanted.node(round), &label);
            column.add(sample.await?);
        }
    }
    columns.push(empty);
    say(&report::text(wanted, &columns));
    scene.stop().await
}

fn folder(below: &Path) -> Result<TempDir, BenchError> {
    TempDir::with_prefix_in("copies-", below)
        .map_err(|source| BenchError::io("create a folder below", below, source))
}

/// Sees to it that a folder ends with the bench, however that ends.
fn watch_over(folder: &TempDir) -> Result<Group, BenchError> {
    Group::begin(folder.path())
        .map_err(|source| BenchError::io("watch over", folder.path(), source))
}

/// Starts everything, without items.
async fn begin(
    wanted: &Wanted<'_>,
    data: &Path,
    agents: &Path,
    group: i32,
) -> Result<Scene, BenchError> {
    let cluster = Cluster::start(wanted.tenure, data, group).await?;
    // A loss is planned for as soon as it is found.
    cluster.prepare(wanted.nodes, Some(Duration::ZERO)).await?;
    let servers = cluster.addresses();
    let stores = Stores::attend(&servers, SERVICE, wanted.nodes).await?;
    let ground = Ground {
        tenure: wanted.tenure,
        redis_server: wanted.redis_server,
        servers: &servers,
        data,
        agents,
        group,
    };
    let site = Site::start(&ground).await?;
    Ok(Scene {
        cluster,
        site,
        stores,
        items: 0,
    })
}
