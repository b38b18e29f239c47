//! Registration: the node's instances stand in the cluster as the configuration has them, as soon as
//! their services exist.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tenure_client::{Client, Error, WatchEvent};
use tenure_core::{
    Command, Event, Filter, Instance, Key, Lifecycle, Member, Node, NodeRef, Record, RecordKind,
    ServiceName,
};
use tokio::time::timeout;

use crate::config::ServiceConfig;

/// How long after a failure the same is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What a new instance's preference is when the configuration says nothing.
const USUAL_PREFERENCE: u32 = 100;

/// What is wrong with the registration, for those who look. None when nothing is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Troubles(Arc<Mutex<Vec<String>>>);

impl Troubles {
    pub(crate) fn now(&self) -> Vec<String> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.clone()
    }

    /// Says what is wrong now, and logs what is news.
    fn say(&self, troubles: Vec<String>) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for trouble in troubles.iter().filter(|trouble| !now.contains(trouble)) {
            tracing::warn!("{trouble}");
        }
        *now = troubles;
    }
}

/// What the cluster has of this node.
#[derive(Debug, Default)]
struct Picture {
    node: Option<Arc<Node>>,
    /// The services that exist, of those in the configuration, each with this node's instance.
    services: BTreeMap<ServiceName, Option<Arc<Instance>>>,
}

/// Keeps the registration in order.
pub(crate) struct Registrar {
    pub(crate) client: Client,
    pub(crate) member: Member,
    pub(crate) services: Vec<ServiceConfig>,
    pub(crate) troubles: Troubles,
}

impl Registrar {
    /// Runs for as long as it is polled.
    pub(crate) async fn run(self) {
        let filter = Filter {
            kinds: [RecordKind::Node, RecordKind::Service, RecordKind::Instance].into(),
            services: self.services.iter().map(|it| it.name.clone()).collect(),
        };
        loop {
            let mut watch = self.client.watch(&filter);
            let mut picture = Picture::default();
            let mut failed = false;
            let mut concerned = false;
            let error = loop {
                let event = if failed {
                    timeout(AGAIN_AFTER, watch.next()).await.ok()
                } else {
                    Some(watch.next().await)
                };
                match event {
                    Some(Err(error)) => break error,
                    Some(Ok(event)) => concerned |= self.take(&mut picture, event),
                    None => concerned = true,
                }
                if !std::mem::take(&mut concerned) {
                    continue;
                }
                let troubles = self.settle(&picture).await;
                failed = troubles.iter().any(|trouble| trouble.again);
                let said = troubles.into_iter().map(|trouble| trouble.what);
                self.troubles.say(said.collect());
            };
            self.troubles.say(vec![format!(
                "the node's records cannot be watched: {error}"
            )]);
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Takes in what a watch tells. Gives whether it is worth a look.
    fn take(&self, picture: &mut Picture, event: WatchEvent) -> bool {
        match event {
            WatchEvent::Snapshot { records, .. } => {
                *picture = Picture::default();
                for record in records {
                    self.set(picture, record);
                }
                true
            }
            WatchEvent::Changes { events, .. } => {
                let mut concerned = false;
                for Event { key, after } in events {
                    concerned |= match after {
                        Some(record) => self.set(picture, record),
                        None => self.remove(picture, &key),
                    };
                }
                concerned
            }
            WatchEvent::Progress { .. }
            | WatchEvent::Compacted { .. }
            | WatchEvent::Interrupted { .. } => false,
        }
    }

    fn set(&self, picture: &mut Picture, record: Record) -> bool {
        if let Record::Node(node) = record {
            let own = node.id == self.member.node;
            if own {
                picture.node = Some(node);
            }
            own
        } else if let Record::Service(service) = record {
            picture.services.entry(service.name.clone()).or_default();
            true
        } else if let Record::Instance(instance) = record {
            let own = instance.node == self.member.node;
            if own {
                let name = instance.service.clone();
                picture.services.insert(name, Some(instance));
            }
            own
        } else {
            false
        }
    }

    fn remove(&self, picture: &mut Picture, key: &Key) -> bool {
        if let Key::Service(name) = key {
            picture.services.remove(name);
            true
        } else if let Key::Instance(name, node) = key {
            let own = *node == self.member.node;
            if own && let Some(instance) = picture.services.get_mut(name) {
                *instance = None;
            }
            own
        } else {
            false
        }
    }

    /// Does what is left to do, and gives what is wrong.
    async fn settle(&self, picture: &Picture) -> Vec<Trouble> {
        let mut troubles = Vec::new();
        if let Some(why) = self.displaced(picture) {
            return vec![Trouble::lasting(why)];
        }
        for service in &self.services {
            let name = &service.name;
            let Some(instance) = picture.services.get(name) else {
                let why = format!("service {name} does not exist (yet): add it to the cluster");
                troubles.push(Trouble::lasting(why));
                continue;
            };
            let Some(command) = self.command(service, instance.as_deref()) else {
                continue;
            };
            match self.client.admin().execute(command).await {
                Ok(_) => {
                    tracing::info!(service = %name, endpoint = %service.endpoint, "registered")
                }
                Err(error) => troubles.push(Trouble::of(name, &error)),
            }
        }
        troubles
    }

    /// Why this agent no longer speaks for its node.
    fn displaced(&self, picture: &Picture) -> Option<String> {
        let node = picture.node.as_ref()?;
        if node.lifecycle == Lifecycle::Removed {
            let (name, reason) = (&node.name, &node.reason);
            return Some(format!(
                "node {name} was removed from the cluster ({reason})"
            ));
        }
        (node.incarnation > self.member.incarnation).then(|| {
            format!(
                "another agent has joined as node {} (incarnation {}, this one is {}): two agents have \
                 the same node name, give each its own",
                node.name, node.incarnation, self.member.incarnation
            )
        })
    }

    /// What makes the instance stand as the configuration has it; None when it does.
    fn command(&self, service: &ServiceConfig, there: Option<&Instance>) -> Option<Command> {
        let node = NodeRef::Id(self.member.node);
        let Some(there) = there else {
            return Some(Command::AddInstance {
                service: service.name.clone(),
                node,
                endpoint: service.endpoint.clone(),
                preference: service.preference.unwrap_or(USUAL_PREFERENCE),
            });
        };
        let preference = service.preference.unwrap_or(there.preference);
        if there.endpoint == service.endpoint && there.preference == preference {
            return None;
        }
        Some(Command::UpdateInstance {
            service: service.name.clone(),
            node,
            expected: there.modified,
            endpoint: service.endpoint.clone(),
            preference,
        })
    }
}

/// Something that is wrong.
struct Trouble {
    what: String,
    /// Whether to try again without having heard of any change.
    again: bool,
}

impl Trouble {
    fn lasting(what: String) -> Self {
        Self { what, again: false }
    }

    /// What was rejected is tried again when the records have changed, and not before: every attempt is
    /// an entry of the log.
    fn of(service: &ServiceName, error: &Error) -> Self {
        Self {
            what: format!("the instance of {service} is not registered: {error}"),
            again: !matches!(error, Error::Rejected(_)),
        }
    }
}
