//! From the first process to the last one.

use super::{
    DevArgs, child,
    event::{Event, millis},
    folder::Folder,
    frame::Frame,
    setup,
    supervisor::Supervisor,
    try_next::{Invocation, suggestions},
    view::{Seen, View},
    watcher, writer,
};
use crate::{
    args::{Global, SERVERS_DEFAULT},
    cluster::Cluster,
    commands::Context,
    exit::{Exit, Failure, Why},
    output::{self, Out, Screen},
    signals,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_core::{Endpoint, Note};
use tokio::task::JoinSet;

/// How often what was seen is looked at, and drawn.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// How long the servers may take to form a cluster, and to load the example.
const READY_WITHIN: Duration = Duration::from_secs(60);

pub(super) async fn run(args: DevArgs, context: &Context) -> Result<Exit, Failure> {
    let mut stop = signals::Stop::new(true)?;
    let folder = Folder::open(args.data_dir.as_deref(), args.servers, args.free_ports)?;
    folder.check_ports()?;
    let mut dev = Dev::start(folder, args.no_view, context)?;
    let lived = tokio::select! {
        lived = dev.live() => lived,
        _ = stop.next() => Ok(()),
    };
    // The view goes first: what follows is for the shell's own screen.
    dev.screen = None;
    let in_order = !dev.folder.is_temporary();
    dev.supervisor.stop(in_order, &mut stop).await;
    let data = dev.folder.path().display().to_string();
    let is_kept = !dev.folder.is_temporary();
    drop(dev.folder);
    lived?;
    farewell(&dev.seen, is_kept.then_some(data.as_str()));
    Ok(Exit::Ok)
}

fn farewell(seen: &Mutex<Seen>, kept: Option<&str>) {
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let data = match kept {
        Some(path) => format!("the data stays in {path}"),
        None => "the data is removed".to_owned(),
    };
    output::remark(&format!(
        "stopped: {} writes were acknowledged, longest gap {} ms; {data}",
        seen.written.acknowledged,
        millis(seen.written.longest)
    ));
}

/// Everything that runs.
struct Dev {
    folder: Folder,
    supervisor: Supervisor,
    view: View,
    seen: Arc<Mutex<Seen>>,
    screen: Option<Screen>,
    invocation: Invocation,
    servers: Vec<Endpoint>,
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
        let supervisor = Supervisor::start(&folder)?;
        output::remark(&format!(
            "starting {} server(s) in {}",
            servers.len(),
            folder.path().display()
        ));
        Ok(Self {
            view: View::new(&servers),
            folder,
            supervisor,
            seen: Arc::default(),
            screen: None,
            invocation,
            servers,
            origin: Instant::now(),
            out: context.out,
            no_view: no_view || context.out.json,
        })
    }

    /// Runs until it fails, or is dropped.
    async fn live(&mut self) -> Result<(), Failure> {
        let cluster = self.ready().await?;
        let mut tasks = JoinSet::new();
        tasks.spawn(watcher::watch(cluster.clone(), self.seen.clone()));
        tasks.spawn(writer::run(
            cluster.client().clone(),
            self.seen.clone(),
            self.origin,
        ));
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

    /// Waits until there is a leader, and loads the example.
    async fn ready(&mut self) -> Result<Cluster, Failure> {
        let global = Global {
            server: self.servers.clone(),
            json: false,
            deadline: READY_WITHIN,
            actor: Note::new("tenure dev").ok(),
        };
        let loaded = async {
            let cluster = loop {
                match Cluster::connect(&global).await {
                    Ok(cluster) => break cluster,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            };
            setup::load(&cluster).await.map(|()| cluster)
        };
        tokio::pin!(loaded);
        let mut started = Vec::new();
        let cluster = loop {
            tokio::select! {
                loaded = &mut loaded => break loaded?,
                event = self.supervisor.events.recv() => {
                    if let Some(Event::Died { server, how, .. }) = &event {
                        return Err(self.did_not_start(*server, how));
                    }
                    started.extend(event);
                }
                () = tokio::time::sleep(READY_WITHIN) => {
                    return Err(self.did_not_start(1, "there is no leader after 60 s"));
                }
            }
        };
        started.into_iter().try_for_each(|event| self.tell(event))?;
        Ok(cluster)
    }

    fn did_not_start(&self, server: u64, how: &str) -> Failure {
        let log = child::tail(&self.folder.log(server));
        Failure::new(
            Why::Server,
            format!("server {server} did not start: {how}; the end of its log:\n{log}"),
        )
    }

    async fn tell_ready(&mut self, cluster: &Cluster) -> Result<(), Failure> {
        let leader = cluster.status().await?.status.leader.map(|id| id.0);
        let pid = leader
            .and_then(|id| self.view.server(id))
            .and_then(super::view::Row::pid);
        let named: Vec<&str> = self.servers.iter().map(Endpoint::as_str).collect();
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
        use tenure_core::RecordKind::{Assignment, Node};
        let state = cluster.state(&[Node, Assignment], &[]).await?;
        for (what, commands) in suggestions(&self.invocation, &self.view, &state)
            .iter()
            .skip(1)
        {
            output::raw(what)?;
            commands
                .iter()
                .try_for_each(|command| output::raw(&format!("      {command}")))?;
        }
        Ok(())
    }

    fn tell(&mut self, event: Event) -> Result<(), Failure> {
        let now = self.origin.elapsed();
        if self.no_view {
            let ms = millis(now);
            let text = || {
                format!(
                    "[{:>4}.{:03}] {}",
                    ms / 1_000,
                    ms % 1_000,
                    output::escape(&event.text())
                )
            };
            self.out.line(&event.shape(now), text)?;
        }
        self.view.happened(event, now);
        Ok(())
    }

    fn look(&mut self) -> Result<(), Failure> {
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
