//! Three servers and a few nodes of the example store, all processes of their own on loopback.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use tempfile::TempDir;
use tenure_blobstore::files::Sum;
use tenure_client::copies::CopiesStatus;
use tenure_client::{Client, Consistency, Copies, Options as ClientOptions};
use tenure_core::{Automation, CopiesPolicy, Endpoint, Millis, NodeName, Policy, ServiceName};
use tenure_tests::cluster::{Cluster, Options, SETTLE_BOUND, binary, until};
use tenure_tests::ports::free_ports;
use tenure_tests::process::{Process, ProcessError};
use tokio::task::JoinHandle;

/// How long everything may take to be in order again, on a machine that is busy.
fn whole_within() -> Duration {
    let items = u32::try_from(super::items()).expect("not that many");
    Duration::from_secs(120) + items * Duration::from_millis(100)
}

/// How long a lost node is waited for.
const GRACE: Millis = Millis(500);

/// A node of the store.
pub struct Store {
    pub name: NodeName,
    pub endpoint: Endpoint,
    process: Process,
    pub runs: bool,
    data: PathBuf,
}

/// A cluster, its nodes, and a client.
pub struct Site {
    pub cluster: Cluster,
    pub stores: Vec<Store>,
    pub client: Client,
    pub copies: Copies,
    // After the processes: it is removed once they are gone.
    place: TempDir,
}

impl Site {
    /// Starts three servers and a node in each of these zones, and adds the service.
    pub async fn start(zones: &[&str]) -> Self {
        let cluster = Cluster::start(Options::default()).await.expect("a cluster");
        let client = Client::connect(cluster.endpoints(), ClientOptions::default()).await;
        let client = client.expect("it answers");
        let service = ServiceName::new("blobs").expect("a name");
        let mut site = Self {
            copies: client.copies(service),
            cluster,
            stores: vec![],
            client,
            place: tempfile::tempdir().expect("a folder"),
        };
        site.quicken().await;
        let policy = Policy::Copies(CopiesPolicy {
            repair_grace_ms: GRACE,
            ..CopiesPolicy::default()
        });
        let name = site.copies.service().clone();
        until("the service", SETTLE_BOUND, async || {
            let added = site.client.admin().add_service(name.clone(), policy).await;
            added.map_err(|why| why.to_string())
        })
        .await
        .expect("it is added");
        for zone in zones {
            site.add_store(zone);
        }
        site.joined(zones.len()).await;
        site
    }

    /// Nodes that do not hold a primary are judged sooner than by default, so that a test need not wait.
    async fn quicken(&self) {
        let admin = self.client.admin();
        // The servers have to find out first that all of them understand it.
        let set = until("the settings are taken", SETTLE_BOUND, async || {
            let now = admin.automation(Consistency::Linearizable).await;
            let now = now.map_err(|why| why.to_string())?;
            let quick = Automation {
                slow_heartbeat: Millis(200),
                slow_lease: Millis(1_500),
                ..now
            };
            let set = admin.set_automation(now.modified, quick).await;
            set.map_err(|why| why.to_string())
        });
        set.await.expect("they are");
    }

    /// Starts one more node.
    pub fn add_store(&mut self, zone: &str) {
        let at = self.stores.len() + 1;
        let name = NodeName::new(&format!("store-{at}")).expect("a name");
        let port = free_ports(1).expect("a port")[0];
        let endpoint = Endpoint::new(&format!("127.0.0.1:{port}")).expect("an endpoint");
        let data = self.place.path().join(name.as_str());
        let config = self.place.path().join(format!("{name}.toml"));
        let servers = self.cluster.endpoints();
        let text = format!(
            "cluster = \"test\"\nservers = {servers:?}\nnode = \"{name}\"\nzone = {zone:?}\n\
             service = \"{}\"\nlisten = \"{endpoint}\"\ndata_dir = {data:?}\n",
            self.copies.service(),
        );
        std::fs::write(&config, text).expect("it can be written");
        let program = binary::blobstore().expect("it is built");
        let log = self.place.path().join(format!("{name}.log"));
        let args = vec![config.display().to_string()];
        let mut process = Process::new(name.as_str(), &program, args, log);
        process.start().expect("it starts");
        self.stores.push(Store {
            name,
            endpoint,
            process,
            runs: true,
            data,
        });
    }

    /// Waits until so many nodes hold copies, or may.
    pub async fn joined(&self, nodes: usize) {
        self.wait("all nodes have joined", async || {
            let status = self.status().await?;
            let ready = status.stores.iter().filter(|store| !store.lost).count();
            (ready == nodes)
                .then_some(())
                .ok_or_else(|| format!("{ready} of {nodes} nodes"))
        })
        .await;
    }

    pub fn kill_store(&mut self, at: usize) {
        let store = &mut self.stores[at];
        store.process.kill().expect("it ran until now");
        store.runs = false;
    }

    pub fn start_store(&mut self, at: usize) {
        let store = &mut self.stores[at];
        store.process.start().expect("it starts");
        store.runs = true;
    }

    /// Takes the data of a node that does not run away.
    pub fn wipe_store(&mut self, at: usize) {
        std::fs::remove_dir_all(&self.stores[at].data).expect("it can be removed");
    }

    /// Where the nodes are reached that run.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let running = self.stores.iter().filter(|store| store.runs);
        running.map(|store| store.endpoint.clone()).collect()
    }

    pub async fn status(&self) -> Result<CopiesStatus, String> {
        let status = self.copies.status(Consistency::Linearizable).await;
        status.map_err(|why| why.to_string())
    }

    /// Waits until a node's process has ended by itself, as one does that was removed.
    pub async fn store_ends(&mut self, at: usize) {
        let store = &mut self.stores[at];
        let ended = until("the end of the process", SETTLE_BOUND, async || match store
            .process
            .check()
        {
            Ok(()) => Err("it runs".to_owned()),
            Err(ProcessError::Ended { .. }) => Ok(()),
            Err(why) => Err(why.to_string()),
        });
        ended.await.expect("it ends");
        store.runs = false;
    }

    /// Changes one byte of a node's copy of an item.
    pub fn damage(&self, at: usize, item: &str) {
        let name = Sum::of(item.as_bytes()).to_string();
        let shelf = self.stores[at].data.join("data").join(&name[..2]);
        let files = std::fs::read_dir(shelf).expect("it has one").map(|file| {
            let file = file.expect("it can be listed");
            (file.file_name().into_string().expect("plain"), file.path())
        });
        let mut damaged = 0;
        for (_, path) in files.filter(|(file, _)| file.starts_with(&name)) {
            let mut bytes = std::fs::read(&path).expect("it can be read");
            *bytes.last_mut().expect("it is not empty") ^= 1;
            std::fs::write(&path, bytes).expect("it can be written");
            damaged += 1;
        }
        assert!(damaged > 0, "{item} is not on node {at}");
    }

    /// Waits until every item has its copies and nothing is left to be done.
    pub async fn whole(&self) -> CopiesStatus {
        self.wait("everything is in order", async || {
            let status = self.status().await?;
            let summary = &status.summary;
            let repair = status.repair.as_ref();
            let running = repair.map_or(1, |repair| repair.running);
            let lacking = summary.under_replicated + summary.spare;
            if lacking == 0 && running == 0 && status.rebalance.is_none() {
                Ok(status)
            } else {
                let (server, leader) = (status.header.server, self.client.leader());
                Err(format!(
                    "{summary:?}, {repair:?}, {:?}, told by server {server}, while {leader:?} leads",
                    status.rebalance
                ))
            }
        })
        .await
    }

    pub async fn wait<T>(&self, what: &str, look: impl AsyncFnMut() -> Result<T, String>) -> T {
        match until(what, whole_within(), look).await {
            Ok(found) => found,
            Err(why) => panic!("{why}\n{}", self.story()),
        }
    }

    /// The ends of the logs of all nodes, for a failure.
    pub fn story(&self) -> String {
        let tail = |store: &Store| format!("--- {}:\n{}", store.name, store.process.log_tail());
        let tails = self.stores.iter().map(tail);
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Kills the server that leads, and starts it again once another one does.
    pub async fn lose_leader(&mut self) {
        let leader = self.cluster.wait_for_leader().await.expect("one leads");
        self.cluster.kill(leader).expect("it ran until now");
        self.cluster.wait_for_leader().await.expect("another leads");
        self.cluster.launch(leader).expect("it starts again");
    }

    /// Begins `tenure` with these arguments.
    pub fn begin(&self, args: &[&str]) -> JoinHandle<Output> {
        let program = binary::tenure().expect("it is built");
        let servers = self.cluster.endpoints().join(",");
        let mut command = tokio::process::Command::new(program);
        let deadline = format!("{}s", whole_within().as_secs());
        command.args(["--server", &servers, "--deadline", &deadline]);
        command.args(args).kill_on_drop(true);
        tokio::spawn(async move { command.output().await.expect("it can be started") })
    }

    /// Runs `tenure` with these arguments.
    pub async fn tenure(&self, args: &[&str]) -> Output {
        self.begin(args).await.expect("nothing panics")
    }

    /// Ends everything, and looks whether anything had ended by itself.
    pub async fn stop(mut self) {
        for store in &mut self.stores {
            if store.runs {
                store.process.check().expect("it runs until now");
                store.process.terminate().expect("it takes a signal");
                store.process.finish().await.expect("it ends");
            }
        }
        self.cluster.stop().await.expect("nothing went wrong");
    }
}
