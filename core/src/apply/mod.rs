//! `apply`: the only way in which the state changes. Total and deterministic: every entry has an
//! outcome, the same on every server.

mod assignment;
mod automation;
mod client;
mod copies;
mod failover;
mod instance;
mod node;
mod pin;
mod sentence;
mod server;
mod service;
mod settings;

use crate::{
    Applied, Command, Created, Done, Envelope, HistoryEntry, Key, LogIndex, Node, NodeRef, Outcome,
    Record, Reject, RejectCode, Revision, Service, ServiceName, State, Timestamp, change::Change,
    limits::BATCH_COMMANDS_MAX, reject::note,
};
use std::sync::Arc;

/// What carrying out a command gives: what it created, or why it was rejected. On a reject the
/// change is rolled back, so a command may write before it has checked everything.
type Verdict = Result<Option<Created>, Reject>;

impl State {
    /// Applies the entry at `index`.
    ///
    /// # Panics
    /// When `index` is not after every entry applied before: the log was read out of order, and
    /// continuing would fork the state.
    pub fn apply(&mut self, index: LogIndex, envelope: &Envelope) -> Applied {
        assert!(
            index > self.applied,
            "entry {index} comes after {}",
            self.applied
        );
        self.applied = index;
        if let Some(request) = &envelope.request
            && let Some(outcome) = self.answer_known(request)
        {
            return Applied {
                outcome,
                events: vec![],
                hidden: vec![],
            };
        }
        if let (Some(request), Command::Copies { what, .. }) =
            (&envelope.request, &envelope.command)
            && what.changes_items()
        {
            let reject = Reject::new(RejectCode::Invalid, format!("client {}", request.client))
                .detail("a command on items carries no request id: repeat it as it is");
            return Applied {
                outcome: Outcome::Rejected(reject),
                events: vec![],
                hidden: vec![],
            };
        }
        let mut applied = self.execute(index, envelope);
        if let Some(request) = &envelope.request {
            self.keep_answer(index, request, &applied.outcome);
            let key = Key::Client(request.client);
            if !applied.hidden.contains(&key) {
                applied.hidden.push(key);
            }
        }
        applied
    }

    fn execute(&mut self, index: LogIndex, envelope: &Envelope) -> Applied {
        let mut change = Change::new(self, index);
        let created = match run(&mut change, envelope.stamp, &envelope.command) {
            Ok(created) => created,
            Err(reject) => {
                change.roll_back();
                return Applied {
                    outcome: Outcome::Rejected(reject),
                    events: vec![],
                    hidden: vec![],
                };
            }
        };
        let answers = change.answers.take();
        let touched = std::mem::take(&mut change.touched);
        let (events, hidden): (Vec<_>, Vec<_>) = change
            .commit()
            .into_iter()
            .partition(|event| event.key.is_visible());
        let mut hidden: Vec<Key> = hidden.into_iter().map(|event| event.key).collect();
        hidden.extend(touched);
        if !events.is_empty() {
            self.revision = Revision(index.0);
            self.remember(envelope, &mut hidden);
        }
        let revision = self.revision;
        let outcome = match answers {
            Some(answers) => Outcome::Answered { revision, answers },
            None => Outcome::Done(Done { revision, created }),
        };
        Applied {
            outcome,
            events,
            hidden,
        }
    }

    /// Adds to the history, and drops from it what is over the bound.
    fn remember(&mut self, envelope: &Envelope, hidden: &mut Vec<Key>) {
        let max = usize::try_from(self.settings.history_max).unwrap_or(usize::MAX);
        if let Some(what) = sentence::of(self, &envelope.command) {
            let entry = HistoryEntry {
                revision: self.revision,
                stamp: envelope.stamp,
                actor: envelope.actor.clone(),
                what: note(&what),
            };
            hidden.push(Key::History(self.revision));
            self.put(Record::History(Arc::new(entry)));
        }
        while self.history.len() > max
            && let Some((oldest, _)) = self.history.pop_first()
        {
            hidden.push(Key::History(oldest));
        }
    }
}

fn run(change: &mut Change<'_>, stamp: Timestamp, command: &Command) -> Verdict {
    let needed = command.feature_level();
    let active = change.state.settings.feature_level;
    if needed > active {
        return Err(Reject::new(RejectCode::FeatureLevelTooLow, "the command")
            .values(needed.into(), active.into()));
    }
    match command {
        Command::OpenClient => client::open(change),
        Command::CloseClient { client } => client::close(change, *client),
        Command::Batch(commands) => batch(change, stamp, commands),
        Command::SetSettings { .. } | Command::RaiseFeatureLevel { .. } => {
            settings::run(change, command)
        }
        Command::AdmitServer { .. } | Command::BindServer { .. } | Command::RetireServer { .. } => {
            server::run(change, command)
        }
        Command::AddNode { .. }
        | Command::UpdateNode { .. }
        | Command::JoinNode { .. }
        | Command::SetLifecycle { .. }
        | Command::RemoveNode { .. } => node::run(change, command),
        Command::AddService { .. }
        | Command::UpdateService { .. }
        | Command::RemoveService { .. } => service::run(change, command),
        Command::AddInstance { .. }
        | Command::UpdateInstance { .. }
        | Command::RemoveInstance { .. }
        | Command::ReportInstance { .. } => instance::run(change, command),
        Command::SetPrimary { .. } | Command::SetInSync { .. } => assignment::run(change, command),
        Command::SetPin { .. } | Command::RemovePin { .. } => pin::run(change, command),
        Command::SetAutomation { .. } | Command::SetPause { .. } | Command::RemovePause { .. } => {
            automation::run(change, command)
        }
        Command::Promote { .. }
        | Command::SetMembers { .. }
        | Command::CompleteReceipt { .. }
        | Command::NoteReturn { .. }
        | Command::Acknowledge { .. } => failover::run(change, stamp, command),
        Command::Copies { service, what } => copies::run(change, service, what),
    }
}

fn batch(change: &mut Change<'_>, stamp: Timestamp, commands: &[Command]) -> Verdict {
    if commands.len() > BATCH_COMMANDS_MAX {
        return Err(Reject::new(RejectCode::LimitReached, "the batch")
            .values(BATCH_COMMANDS_MAX as u64, commands.len() as u64));
    }
    for (step, command) in commands.iter().enumerate() {
        let of_items = matches!(command, Command::Copies { what, .. } if what.changes_items());
        let alone = matches!(
            command,
            Command::Batch(_) | Command::OpenClient | Command::CloseClient { .. }
        );
        if of_items || alone {
            return Err(Reject::new(
                RejectCode::NotInBatch,
                format!("command {step}"),
            ));
        }
        run(change, stamp, command).map_err(|reject| {
            let detail = format!("(command {step} of the batch) {}", reject.detail);
            reject.detail(detail.trim_end())
        })?;
    }
    Ok(None)
}

/// The node that a command speaks of, present or removed.
fn node(state: &State, node: &NodeRef) -> Result<Arc<Node>, Reject> {
    let missing = || Reject::new(RejectCode::NotFound, format!("node {node}"));
    state.find_node(node).cloned().ok_or_else(missing)
}

/// The present node that a command speaks of.
fn present_node(state: &State, wanted: &NodeRef) -> Result<Arc<Node>, Reject> {
    let found = node(state, wanted)?;
    if found.is_present() {
        Ok(found)
    } else {
        Err(
            Reject::new(RejectCode::NotFound, format!("node {}", found.name))
                .detail("it was removed"),
        )
    }
}

fn service(state: &State, name: &ServiceName) -> Result<Arc<Service>, Reject> {
    let missing = || Reject::new(RejectCode::NotFound, format!("service {name}"));
    state.services.get(name).cloned().ok_or_else(missing)
}

/// The condition of most commands: the record is still the one that was read.
fn unchanged(subject: &Key, expected: Revision, actual: Revision) -> Result<(), Reject> {
    if expected == actual {
        Ok(())
    } else {
        Err(Reject::new(RejectCode::Changed, subject)
            .values(expected.0, actual.0)
            .detail("read it again and decide anew"))
    }
}

fn within_limit(subject: &str, count: usize, max: usize) -> Result<(), Reject> {
    if count < max {
        Ok(())
    } else {
        Err(Reject::new(RejectCode::LimitReached, subject).values(max as u64, count as u64))
    }
}
