//! `watch`: every change as it happens, one line each.

mod wording;

use super::Context;
use crate::{
    cluster,
    exit::{Exit, Failure},
    output::{self, Out, escape, shape},
};
use clap::Args;
use serde::Serialize;
use std::collections::BTreeSet;
use tenure_client::WatchEvent;
use tenure_core::{Event, Filter, Key, Record, RecordKind, Revision, ServiceName, State};

/// Which services.
#[derive(Debug, Args)]
#[command(after_help = "\
It goes on across servers and their leaders, without gaps, until Ctrl-C. With --json each line is one
object: what was there when it began (`present`), then what `changed` or was `removed`.

Example:
  tenure watch redis-server mysql-server")]
pub struct WatchArgs {
    /// Only what is about these services; everything when left out
    services: Vec<ServiceName>,
}

/// What has become of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Present,
    Changed,
    Removed,
}

/// One line of `watch --json`.
#[derive(Serialize)]
struct LineShape {
    revision: u64,
    what: What,
    /// settings, server, node, service, assignment, instance, pin, automation or pause.
    kind: &'static str,
    /// Names the record, for people.
    key: String,
    /// The record, in the shape in which other commands show it; null when it was removed.
    record: Option<wording::RecordShape>,
}

/// The picture that the watch has given so far.
struct Picture {
    state: State,
    is_first: bool,
    services: Vec<ServiceName>,
    out: Out,
}

pub(super) async fn run(args: WatchArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let mut watch = cluster.client().watch(&filter(&args.services));
    let mut picture = Picture {
        state: State::default(),
        is_first: true,
        services: args.services,
        out: context.out,
    };
    loop {
        match watch.next().await.map_err(cluster::failure)? {
            WatchEvent::Snapshot { revision, records } => picture.replace(revision, records)?,
            WatchEvent::Changes { revision, events } => {
                let changes = events.into_iter().map(|Event { key, after }| (key, after));
                picture.change(revision, What::Changed, changes.collect())?;
            }
            WatchEvent::Progress { .. } => {}
            WatchEvent::Compacted { oldest } => {
                output::remark(&format!(
                    "too far behind: changes up to revision {oldest} were missed"
                ));
            }
            WatchEvent::Interrupted { why } => {
                output::remark(&format!("interrupted, goes on at another server: {why}"));
            }
        }
    }
}

/// Of nodes all are wanted: lines name them.
fn filter(services: &[ServiceName]) -> Filter {
    let kinds = [
        RecordKind::Node,
        RecordKind::Service,
        RecordKind::Assignment,
        RecordKind::Instance,
        RecordKind::Pause,
    ];
    Filter {
        kinds: if services.is_empty() {
            Default::default()
        } else {
            kinds.into()
        },
        services: services.iter().cloned().collect(),
    }
}

impl Picture {
    /// Tells how the new picture differs from the old one.
    fn replace(&mut self, revision: Revision, records: Vec<Record>) -> Result<(), Failure> {
        let what = match std::mem::take(&mut self.is_first) {
            true => What::Present,
            false => What::Changed,
        };
        let present: BTreeSet<Key> = records.iter().map(Record::key).collect();
        let gone = self.state.records().map(|record| record.key());
        let gone: Vec<Key> = gone.filter(|key| !present.contains(key)).collect();
        let changes = records
            .into_iter()
            .map(|record| (record.key(), Some(record)));
        let changes = changes
            .chain(gone.into_iter().map(|key| (key, None)))
            .collect();
        self.change(revision, what, changes)
    }

    /// Takes in all changes before the first is told: one may name what another brings.
    fn change(
        &mut self,
        revision: Revision,
        what: What,
        changes: Vec<(Key, Option<Record>)>,
    ) -> Result<(), Failure> {
        let mut told = Vec::new();
        for (key, after) in changes {
            let before = self.state.get(&key);
            if before == after {
                continue;
            }
            // What is gone is told with the names that it had.
            let name = wording::key(&self.state, &key);
            match &after {
                Some(record) => self.state.put(record.clone()),
                None => self.state.delete(&key),
            }
            told.push((key, name, before, after));
        }
        for (key, name, before, after) in told {
            if self.is_told(what, &key) {
                let what = if after.is_none() { What::Removed } else { what };
                self.tell(revision, what, &key, name, before.as_ref(), after.as_ref())?;
            }
        }
        Ok(())
    }

    /// Whoever asked for services did not ask for nodes; a pause of anything may be about them. A person
    /// wants to know who is primary to begin with and what is paused, not every record.
    fn is_told(&self, what: What, key: &Key) -> bool {
        let is_pause = matches!(key, Key::Pause(_));
        let is_asked = self.services.is_empty() || key.service().is_some() || is_pause;
        let is_beginning = what == What::Present && !self.out.json;
        is_asked && (!is_beginning || is_pause || matches!(key, Key::Assignment(_)))
    }

    fn tell(
        &self,
        revision: Revision,
        what: What,
        key: &Key,
        name: String,
        before: Option<&Record>,
        after: Option<&Record>,
    ) -> Result<(), Failure> {
        let Some(kind) = RecordKind::of(key) else {
            return Ok(());
        };
        let line = LineShape {
            revision: revision.0,
            what,
            kind: wording::kind(kind),
            key: name,
            record: after.and_then(|record| wording::shape(&self.state, record)),
        };
        let text = || {
            let text = match after {
                Some(record) => wording::sentence(&self.state, record, before),
                None => format!("{}: removed", line.key),
            };
            format!("{revision:>8}  {}", escape(&text))
        };
        self.out.line(&line, text)
    }
}
