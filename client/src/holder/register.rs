//! Registration: the process's instance stands in the cluster as it says, as soon as the service exists; and the watch
//! that tells when it is no member any more.

use super::{HolderError, HolderOptions};
use crate::{Client, Error, Watch, WatchEvent};
use std::{sync::Arc, time::Duration};
use tenure_core::{
    Command, Event, Filter, Instance, Key, Lifecycle, Member, Node, NodeRef, Record, RecordKind,
    Service,
};
use tokio::time::timeout;

/// How long after a failure the same is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// It has no meaning for those that hold copies.
const PREFERENCE: u32 = 100;

pub(super) struct Registration {
    pub(super) client: Client,
    pub(super) member: Member,
    pub(super) options: HolderOptions,
}

/// What the cluster has of this process.
#[derive(Debug, Default)]
struct Picture {
    node: Option<Arc<Node>>,
    service: Option<Arc<Service>>,
    instance: Option<Arc<Instance>>,
}

/// What came of an attempt to bring it in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Done,
    /// To be tried when the records have changed, and not before.
    Rejected,
    /// To be tried again after a while.
    Again,
}

impl Registration {
    /// Keeps the registration in order until the process is no member any more; says why not.
    pub(super) async fn keep(self) -> HolderError {
        let filter = Filter {
            kinds: [RecordKind::Node, RecordKind::Service, RecordKind::Instance].into(),
            services: [self.options.service.clone()].into(),
        };
        loop {
            let mut watch = self.client.watch(&filter);
            match self.follow(&mut watch).await {
                Ok(end) => return end,
                Err(error) => tracing::warn!(%error, "the node's records cannot be watched"),
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn follow(&self, watch: &mut Watch) -> Result<HolderError, Error> {
        let mut picture = Picture::default();
        let mut done = None;
        let mut again = false;
        loop {
            let event = if again {
                timeout(AGAIN_AFTER, watch.next()).await.ok()
            } else {
                Some(watch.next().await)
            };
            if let Some(event) = event
                && !self.take(&mut picture, event?)
            {
                continue;
            }
            if let Some(end) = self.end(&picture) {
                return Ok(end);
            }
            let command = self.command(&picture);
            // What was done and has not been told of yet is not done twice.
            if command.is_none() || command == done {
                again = false;
                done = command;
                continue;
            }
            let ended = self.settle(command.clone()).await;
            (again, done) = (
                ended == Ended::Again,
                command.filter(|_| ended == Ended::Done),
            );
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
                for Event { key, after } in events {
                    match after {
                        Some(record) => self.set(picture, record),
                        None => self.remove(picture, &key),
                    }
                }
                true
            }
            WatchEvent::Progress { .. }
            | WatchEvent::Compacted { .. }
            | WatchEvent::Interrupted { .. } => false,
        }
    }

    fn set(&self, picture: &mut Picture, record: Record) {
        if let Record::Node(node) = record {
            if node.id == self.member.node {
                picture.node = Some(node);
            }
        } else if let Record::Service(service) = record {
            picture.service = Some(service);
        } else if let Record::Instance(instance) = record
            && instance.node == self.member.node
        {
            picture.instance = Some(instance);
        }
    }

    fn remove(&self, picture: &mut Picture, key: &Key) {
        if let Key::Service(_) = key {
            picture.service = None;
        } else if let Key::Instance(_, node) = key
            && *node == self.member.node
        {
            picture.instance = None;
        }
    }

    /// Why the process is no member any more, if it is none.
    fn end(&self, picture: &Picture) -> Option<HolderError> {
        let node = picture.node.as_ref()?;
        let name = || self.options.node.clone();
        if node.lifecycle == Lifecycle::Removed {
            return Some(HolderError::Removed {
                node: name(),
                reason: node.reason.clone(),
            });
        }
        let displaced = node.incarnation > self.member.incarnation;
        displaced.then(|| HolderError::Displaced { node: name() })
    }

    /// Brings the registration in order.
    async fn settle(&self, command: Option<Command>) -> Ended {
        let Some(command) = command else {
            return Ended::Done;
        };
        match self.client.admin().execute(command).await {
            Ok(_) => {
                let (service, endpoint) = (&self.options.service, &self.options.endpoint);
                tracing::info!(%service, %endpoint, "registered");
                Ended::Done
            }
            // What was rejected is tried again when the records have changed: every attempt is an entry of the log.
            Err(error) => {
                tracing::warn!(%error, "not registered");
                match error {
                    Error::Rejected(_) => Ended::Rejected,
                    Error::Refused { .. }
                    | Error::Unreachable { .. }
                    | Error::Deadline { .. }
                    | Error::OutcomeUnknown { .. }
                    | Error::Invalid(_) => Ended::Again,
                }
            }
        }
    }

    fn command(&self, picture: &Picture) -> Option<Command> {
        let service = picture.service.as_ref()?.name.clone();
        let node = NodeRef::Id(self.member.node);
        let endpoint = self.options.endpoint.clone();
        match &picture.instance {
            None if is_leaving(picture) => None,
            None => Some(Command::AddInstance {
                service,
                node,
                endpoint,
                preference: PREFERENCE,
            }),
            Some(there) if there.endpoint == endpoint => None,
            Some(there) => Some(Command::UpdateInstance {
                service,
                node,
                expected: there.modified,
                endpoint,
                preference: there.preference,
            }),
        }
    }
}

/// A node that is being emptied is given nothing, and its instance was taken away by an operator.
fn is_leaving(picture: &Picture) -> bool {
    let node = picture.node.as_ref();
    node.is_some_and(|node| !node.lifecycle.accepts_placement())
}
