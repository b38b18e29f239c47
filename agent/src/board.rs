//! The node's machine with what is known around it, for those who look: checks and status.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tenure_core::agent::{Agent, Feat, Input, Observation, Output};
use tenure_core::{Moment, ServiceName};

/// What was seen of an instance, and when.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) observation: Observation,
    pub(crate) at: Moment,
    /// Why the latest order was not carried out; None when it was.
    pub(crate) failure: Option<String>,
}

/// The machine, and what was told to it last.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) machine: Agent,
    pub(crate) seen: BTreeMap<ServiceName, Seen>,
    /// Why what was promised cannot be kept; None when it can.
    pub(crate) unkept: Option<String>,
}

/// Locked for microseconds at a time.
#[derive(Debug)]
pub(crate) struct Board(Mutex<Inner>);

impl Board {
    pub(crate) fn new(machine: Agent, services: impl Iterator<Item = ServiceName>) -> Self {
        let nothing = Seen {
            observation: Observation::nothing(),
            at: Moment(0),
            failure: None,
        };
        Self(Mutex::new(Inner {
            machine,
            seen: services.map(|name| (name, nothing.clone())).collect(),
            unkept: None,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Lets the machine take something in.
    pub(crate) fn handle(&mut self, now: Moment, input: Input, out: &mut Vec<Output>) {
        match &input {
            Input::Observed { service, seen } => {
                if let Some(known) = self.seen.get_mut(service) {
                    known.observation = seen.clone();
                    known.at = now;
                }
            }
            Input::Acted {
                service, result, ..
            } => self.acted(service, result),
            Input::Granted(_)
            | Input::Stored { .. }
            | Input::PledgeAsked { .. }
            | Input::PledgeAnswered { .. }
            | Input::Leave
            | Input::Tick => {}
        }
        self.machine.handle(now, input, out);
    }

    fn acted(&mut self, service: &ServiceName, result: &Result<Feat, String>) {
        if let Some(known) = self.seen.get_mut(service) {
            known.failure = result.as_ref().err().cloned();
        }
    }
}
