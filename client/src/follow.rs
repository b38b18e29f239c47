//! Following who is primary of one service.

use crate::{Error, Watch, WatchEvent, shared::Shared};
use std::{collections::BTreeMap, sync::Arc};
use tenure_core::{
    Assignment, Endpoint, Epoch, Event, Filter, Key, Member, NodeId, Record, RecordKind,
    ServiceName,
};
use tokio::{sync::watch, task::JoinHandle};

/// Who was decided to be primary, and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Primary {
    /// Where it is reached.
    pub endpoint: Endpoint,
    /// The fencing token: send it along with what only the primary may do.
    pub epoch: Epoch,
    /// The node, in the life in which it was assigned.
    pub member: Member,
}

/// Follows who is primary of one service. Get it by [`Client::follow`](crate::Client::follow).
///
/// It watches in the background until it is dropped.
#[derive(Debug)]
pub struct Follow {
    primary: watch::Receiver<Option<Primary>>,
    ended: watch::Receiver<Option<Error>>,
    task: JoinHandle<()>,
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follow {
    pub(crate) async fn begin(shared: Arc<Shared>, service: ServiceName) -> Result<Self, Error> {
        let filter = Filter {
            kinds: [RecordKind::Assignment, RecordKind::Instance].into(),
            services: [service].into(),
        };
        let mut watch = Watch::new(shared.clone(), &filter);
        let deadline = shared.until(shared.options.deadline);
        let mut last = "no server told its state".to_owned();
        let mut picture = Picture::default();
        loop {
            let Ok(event) = tokio::time::timeout_at(deadline, watch.next()).await else {
                let after = shared.options.deadline;
                return Err(Error::Deadline {
                    after,
                    last,
                    leader: None,
                });
            };
            match event? {
                WatchEvent::Snapshot { records, .. } => {
                    picture.replace(records);
                    return Ok(Self::start(watch, picture));
                }
                WatchEvent::Interrupted { why } => last = why,
                WatchEvent::Changes { .. }
                | WatchEvent::Progress { .. }
                | WatchEvent::Compacted { .. } => {}
            }
        }
    }

    fn start(watch: Watch, picture: Picture) -> Self {
        let (tell, primary) = watch::channel(picture.primary());
        let (tell_end, ended) = watch::channel(None);
        let task = tokio::spawn(async move {
            let error = follow(watch, picture, &tell).await;
            tell_end.send_replace(Some(error));
        });
        Self {
            primary,
            ended,
            task,
        }
    }

    /// Who is primary, as was heard last. None when there is no primary, or no such service.
    #[must_use]
    pub fn current(&self) -> Option<Primary> {
        self.primary.borrow().clone()
    }

    /// Waits until something other than what [`Follow::current`] told before may hold. Changes
    /// that follow quickly are told as one. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// As for [`Watch::next`](crate::Watch::next): nothing that a retry helps against.
    pub async fn changed(&mut self) -> Result<(), Error> {
        if self.primary.changed().await.is_ok() {
            return Ok(());
        }
        let ended = self.ended.wait_for(Option::is_some).await;
        let error = ended.ok().and_then(|error| error.clone());
        Err(error.unwrap_or_else(|| Error::Invalid("the runtime was shut down".to_owned())))
    }
}

/// Tells of every change until the watch ends.
async fn follow(
    mut watch: Watch,
    mut picture: Picture,
    tell: &watch::Sender<Option<Primary>>,
) -> Error {
    loop {
        match watch.next().await {
            Err(error) => return error,
            Ok(WatchEvent::Snapshot { records, .. }) => picture.replace(records),
            Ok(WatchEvent::Changes { events, .. }) => picture.change(events),
            Ok(
                WatchEvent::Progress { .. }
                | WatchEvent::Compacted { .. }
                | WatchEvent::Interrupted { .. },
            ) => continue,
        }
        let primary = picture.primary();
        tell.send_if_modified(|told| {
            let differs = *told != primary;
            *told = primary;
            differs
        });
    }
}

/// What matters of the records of one service.
#[derive(Default)]
struct Picture {
    assignment: Option<Arc<Assignment>>,
    endpoints: BTreeMap<NodeId, Endpoint>,
}

impl Picture {
    fn replace(&mut self, records: Vec<Record>) {
        *self = Self::default();
        for record in records {
            self.set(record);
        }
    }

    fn change(&mut self, events: Vec<Event>) {
        for Event { key, after } in events {
            match (key, after) {
                (_, Some(record)) => self.set(record),
                (Key::Assignment(_), None) => self.assignment = None,
                (Key::Instance(_, node), None) => drop(self.endpoints.remove(&node)),
                (
                    Key::Settings
                    | Key::Server(_)
                    | Key::Node(_)
                    | Key::Service(_)
                    | Key::Pin(_)
                    | Key::History(_)
                    | Key::Client(_),
                    None,
                ) => {}
            }
        }
    }

    fn set(&mut self, record: Record) {
        match record {
            Record::Assignment(assignment) => self.assignment = Some(assignment),
            Record::Instance(instance) => {
                self.endpoints
                    .insert(instance.node, instance.endpoint.clone());
            }
            Record::Settings(_)
            | Record::Server(_)
            | Record::Node(_)
            | Record::Service(_)
            | Record::Pin(_)
            | Record::History(_)
            | Record::Client(_) => {}
        }
    }

    fn primary(&self) -> Option<Primary> {
        let assignment = self.assignment.as_ref()?;
        let member = assignment.primary?;
        Some(Primary {
            endpoint: self.endpoints.get(&member.node)?.clone(),
            epoch: assignment.epoch,
            member,
        })
    }
}
