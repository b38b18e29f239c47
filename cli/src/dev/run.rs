//! From the first process to the last one.

use super::{
    DevArgs,
    event::{Event, millis},
    folder::Folder,
    frame::Frame,
    setup,
    store::{Kind, Processes, traffic},
    supervisor::Supervisor,
    try_next::{Invocation, suggestions},
    view::{Seen, View},
    watcher, writer,
};
use crate::{
    args::SERVERS_DEFAULT,
    cluster::Cluster,
    commands::Context,
    exit::{Exit, Failure},
    output::{self, Out, Screen},
    signals,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_core::{Endpoint, RecordKind};
use tokio::task::JoinSet;

/// How often what was seen is looked at, and drawn.
const LOOK_EVERY: Duration = Duration::from_millis(200);

pub(super) async fn run(args: DevArgs, context: &Context) -> Result<Exit, Failure> {
    let mut stop = signals::Stop::new(true)?;
    let (given, wanted) = (args.data_dir.as_deref(), args.wanted());
    let folder = Folder::open(given, args.servers, args.free_ports, &wanted)?;
    folder.check_ports()?;
    let mut dev = Dev::start(folder, args.no_view, context)?;
    let lived = tokio::select! {
        lived = dev.live() => lived,
        _ = stop.next() => Ok(()),
    };
    // The view goes first: what follows is for the shell's own screen.
    dev.screen = None;
    let in_order = !dev.folder.is_temporary();
    // Agents first: they would start the instances again.
    dev.supervisor.stop_agents(in_order, &mut stop).await;
    let hurried = tokio::select! {
        () = dev.processes.stop(in_order) => false,
        _ = stop.next() => true,
    };
    if hurried {
        dev.processes.stop(false).await;
    }
    dev.supervisor.stop(in_order && !hurried, &mut stop).await;
    dev.processes.sweep().await;
    let data = dev.folder.path().display().to_string();
    let is_kept = !dev.folder.is_temporary();
    let kind = dev.folder.store.kind();
    drop(dev.folder);
    lived?;
    farewell(kind, &dev.seen, is_kept.then_some(data.as_str()));
    Ok(Exit::Ok)
}

fn farewell(kind: Kind, seen: &Mutex<Seen>, kept: Option<&str>) {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let data = match kept {
        Some(path) => format!("the data stays in {path}"),
        None => "the data is removed".to_owned(),
    };
    output::remark(&format!(
        "stopped: {} acknowledged {} writes, longest gap {} ms; the servers {}, longest gap {} ms; \
         {data}",
        kind.name(),
        seen.traffic.acknowledged,
        millis(seen.traffic.longest),
        seen.written.acknowledged,
        millis(seen.written.longest)
    ));
}

/// Everything that runs.
pub(super) struct Dev {
    pub(super) folder: Folder,
    pub(super) supervisor: Supervisor,
    pub(super) processes: Processes,
    view: View,
    seen: Arc<Mutex<Seen>>,
    screen: Option<Screen>,
    invocation: Invocation,
    pub(super) servers: Vec<Endpoint>,
    origin: Instant,
    out: Out,
    no_view: bool,
}

impl Dev {
    fn start(folder: Folder, no_view: bool, context: &Context) -> Result<Self, Failure> {
        let servers = endpoints(&folder)?;
        let program = std::env::args_os().next();
        let named = unless_default(&servers);
        let invocation = Invocation::new(program.as_deref(), named.as_deref(), &folder.topology());
        let processes = Processes::begin(folder.path(), folder.store.kind())?;
        let supervisor = Supervisor::start(&folder)?;
        output::remark(&format!(
            "starting {} server(s) in {}",
            servers.len(),
            folder.path().display()
        ));
        Ok(Self {
            view: View::new(&servers, folder.store.kind()),
            folder,
            supervisor,
            processes,
            seen: Arc::default(),
            screen: None,
            invocation,
            servers,
            origin: Instant::now(),
            out: context.out,
            // Nobody would see anything otherwise.
            no_view: no_view || context.out.json || !Screen::is_there(),
        })
    }

    /// Runs until it fails, or is dropped.
    async fn live(&mut self) -> Result<(), Failure> {
        let cluster = self.ready().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher::watch(cluster.clone(), self.seen.clone()));
        tasks.spawn(watcher::receipts(cluster.clone(), self.seen.clone()));
        let client = || cluster.client().clone();
        tasks.spawn(writer::run(client(), self.seen.clone(), self.origin));
        let kind = self.folder.store.kind();
        tasks.spawn(traffic::run(client(), kind, self.seen.clone(), self.origin));
        tasks.spawn(setup::simulate(cluster.clone(), kind, self.seen.clone()));
        for (id, api) in (1..).zip(&self.servers) {
            tasks.spawn(watcher::look(
                cluster.clone(),
                id,
                api.clone(),
                self.seen.clone(),
            ));
        }
        self.tell_ready(&cluster).await?;
        if !self.no_view {
            self.screen = Screen::open();
        }
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                event = self.supervisor.events.recv() => {
                    if let Some(event) = event {
                        self.tell(event)?;
                    }
                }
                _ = tick.tick() => self.look()?,
            }
        }
    }

    async fn tell_ready(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let leader = cluster.status().await?.status.leader.map(|id| id.0);
        let pid = leader
            .and_then(|id| self.view.server(id))
            .and_then(super::view::Row::pid);
        let named: Vec<&str> = self.servers.iter().map(Endpoint::as_str).collect();
        self.view.leader = leader;
        self.tell(Event::Ready {
            leader,
            pid,
            servers: named.join(","),
        })?;
        if self.no_view && !self.out.json {
            self.suggest(cluster).await?;
        }
        Ok(())
    }

    /// Without a view what to try is printed once.
    async fn suggest(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let state = cluster
            .state(&[RecordKind::Node, RecordKind::Assignment], &[])
            .await?;
        for (what, commands) in &suggestions(&self.invocation, &self.view, &state) {
            output::raw(what)?;
            commands
                .iter()
                .try_for_each(|command| output::raw(&format!("      {command}")))?;
        }
        Ok(())
    }

    pub(super) fn tell(&mut self, event: Event) -> Result<(), Failure> {
        let now = self.origin.elapsed();
        if self.no_view {
            let ms = millis(now);
            let text = || {
                let rows = event.rows();
                let rows: Vec<String> = rows.iter().map(|row| output::escape(row)).collect();
                let rows = rows.join("\n             ");
                format!("[{:>4}.{:03}] {rows}", ms / 1_000, ms % 1_000)
            };
            self.out.line(&event.shape(now), text)?;
        }
        self.view.happened(event, now);
        Ok(())
    }

    fn look(&mut self) -> Result<(), Failure> {
        for event in self.processes.look() {
            self.tell(event)?;
        }
        let now = self.origin.elapsed();
        let seen = self.seen.clone();
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        let events = self.view.look(&seen, now);
        events.into_iter().try_for_each(|event| self.tell(event))?;
        if let Some(screen) = &mut self.screen {
            let data = match self.folder.is_temporary() {
                true => format!(
                    "data in {}, removed at the end",
                    self.folder.path().display()
                ),
                false => format!("data in {}", self.folder.path().display()),
            };
            let frame = Frame {
                invocation: &self.invocation,
                data: &data,
                size: screen.size(),
            };
            screen.draw(&frame.lines(&self.view, &seen, now));
        }
        Ok(())
    }
}

fn endpoints(folder: &Folder) -> Result<Vec<Endpoint>, Failure> {
    let api = |id| folder.ports(id).api().to_string();
    folder
        .ids()
        .map(|id| Endpoint::new(&api(id)).map_err(Failure::local))
        .collect()
}

/// Servers for a command to ask: none where it asks them anyway. A few are enough to find the others.
fn unless_default(servers: &[Endpoint]) -> Option<String> {
    const NAMED_MAX: usize = 3;
    let named: Vec<&str> = servers
        .iter()
        .take(NAMED_MAX)
        .map(Endpoint::as_str)
        .collect();
    let is_default = SERVERS_DEFAULT
        .split(',')
        .any(|server| named.contains(&server));
    (!is_default).then(|| named.join(","))
}
