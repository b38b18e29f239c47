//! Until everything is there: the servers have formed a cluster, the agents have joined, the example is
//! loaded, and its primary serves.

use super::{
    child,
    event::{Event, Who},
    run::Dev,
    setup,
    store::{self, Store},
};
use crate::{
    args::Global,
    cluster::Cluster,
    exit::{Failure, Why},
    topology,
};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};
use tenure_core::Note;

/// How long it may take until there is a leader, and for each step after that.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// How often the processes of instances are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

impl Dev {
    /// Waits until everything is there.
    ///
    /// # Errors
    /// When something does not start, with the end of its log.
    pub(super) async fn ready(&mut self) -> Result<Cluster, Failure> {
        let global = Global {
            server: self.servers.clone(),
            json: false,
            deadline: READY_WITHIN,
            actor: Note::new("tenure dev").ok(),
        };
        let connected = async {
            loop {
                match Cluster::connect(&global).await {
                    Ok(cluster) => return Ok(cluster),
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let cluster = self.during(connected).await?;
        let kind = self.folder.store.kind();
        let example = store::topology(kind, &self.folder.nodes);
        let example = topology::parse("the example", &example).map_err(Failure::invalid)?;
        let is_new = self.during(setup::nodes(&cluster, &example)).await?;
        self.supervisor.start_agents(&self.folder)?;
        let served = async {
            if !is_new {
                return store::revive(&cluster, kind).await;
            }
            setup::services(&cluster, kind, &example).await?;
            setup::served(&cluster, kind).await
        };
        if !self.during(served).await? {
            let name = kind.name();
            let what = format!("{name} is not served yet: `tenure explain {name}` says why");
            self.tell(Event::Trouble { what })?;
        }
        Ok(cluster)
    }

    /// Waits for a step, and tells what comes and goes meanwhile. What goes was not able to start.
    async fn during<T>(
        &mut self,
        step: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        tokio::pin!(step);
        let until = Instant::now() + READY_WITHIN;
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            let events = tokio::select! {
                done = &mut step => return done,
                event = self.supervisor.events.recv() => event.into_iter().collect(),
                _ = tick.tick() => self.processes.look(),
            };
            for event in events {
                if let Event::Died { who, how, .. } = &event {
                    return Err(self.did_not_start(*who, how));
                }
                self.tell(event)?;
            }
            if Instant::now() >= until {
                return Err(self.did_not_start(Who::Server(1), "nothing goes on after 60 s"));
            }
        }
    }

    fn did_not_start(&self, who: Who, how: &str) -> Failure {
        let log = child::tail(&self.log(who));
        Failure::new(
            Why::Server,
            format!("{who} did not start: {how}; the end of its log:\n{log}"),
        )
    }

    fn log(&self, who: Who) -> PathBuf {
        match who {
            Who::Server(id) => self.folder.log(id),
            Who::Agent(node) => self.folder.agent_log(node),
            Who::Store(_, node) => {
                let folder = self.folder.node(node);
                let own = folder.join("redis.log");
                match self.folder.store {
                    Store::Redis(_) if own.exists() => own,
                    Store::Redis(_) | Store::Mysql(_) | Store::BuiltIn => folder.join("store.log"),
                }
            }
        }
    }
}
