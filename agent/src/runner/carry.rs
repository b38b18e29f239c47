//! Carrying out what the machine says: nothing that rests on a record is done before that is kept. Only a
//! fence never waits, for a disk that hangs must not keep a primary going.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_client::pledge::Asker;
use tenure_core::agent::{Action, Input, Kept, KeptService, Output};
use tenure_core::{Endpoint, Moment, NodeId, PledgeRequest, ServiceName};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use crate::copies::Books;
use crate::instance::{Order, Slot};
use crate::state::Keeper;

/// How long the runner waits for a record to be kept. The page cache takes it in microseconds.
const KEEP_WITHIN: Duration = Duration::from_millis(20);

/// Questions to other agents that are under way; more are answered with no.
const ASKS_MAX: usize = 1_024;

/// How long another agent may take to answer: as long as what it is asked for, and no longer than this.
const ANSWER_MOST: Duration = Duration::from_secs(1);

/// What a carrier is made of.
pub(crate) struct Hands {
    pub(crate) slots: BTreeMap<ServiceName, Arc<Slot>>,
    pub(crate) keeper: Keeper,
    /// What the machine was started with.
    pub(crate) kept: Kept,
    /// Where answers of other agents go.
    pub(crate) answer: mpsc::Sender<Input>,
    /// Of the instances that hold copies of items.
    pub(crate) books: Books,
    /// Set when no role is held any more.
    pub(crate) left: watch::Sender<bool>,
}

/// Carries out what the machine says.
pub(crate) struct Carrier {
    hands: Hands,
    /// The number of the latest record on which something rests, and whether it is not kept yet.
    number: u64,
    behind: bool,
    /// What waits for it: at most one heartbeat, one order for each instance, and the word that all is left.
    held: Vec<Output>,
    asker: Arc<Asker>,
    asks: JoinSet<()>,
}

impl Carrier {
    pub(crate) fn new(hands: Hands) -> Self {
        Self {
            hands,
            number: 0,
            behind: false,
            held: Vec::new(),
            asker: Arc::new(Asker::new()),
            asks: JoinSet::new(),
        }
    }

    /// Waits until more is kept, if something waits for it. May be cancelled and called again.
    pub(crate) async fn kept(&mut self) {
        if !self.behind {
            std::future::pending::<()>().await;
        }
        self.hands.keeper.progress().await;
    }

    /// Why what is promised cannot be kept; None when it can.
    pub(crate) fn trouble(&self) -> Option<String> {
        let silent = || self.behind.then(|| "the disk does not answer".to_owned());
        self.hands.keeper.trouble().or_else(silent)
    }

    /// Hands on what is to be kept, and gives what can be carried out now, in order.
    pub(crate) fn sort(&mut self, out: Vec<Output>) -> Vec<Output> {
        let mut ready = self.released();
        for output in out {
            if let Output::Keep(kept) = output {
                self.keep(kept);
            } else if self.behind {
                ready.extend(self.hold(output));
            } else {
                ready.push(output);
            }
        }
        ready
    }

    /// What waited and need not wait any more.
    pub(crate) fn released(&mut self) -> Vec<Output> {
        if self.behind && self.hands.keeper.is_kept(self.number, Duration::ZERO) {
            self.behind = false;
        }
        if self.behind {
            return Vec::new();
        }
        std::mem::take(&mut self.held)
    }

    /// Nothing rests on a lease's having been kept: an earlier end of it is the more cautious one.
    fn keep(&mut self, kept: Kept) {
        let only_leases_grew = only_leases_grew(&self.hands.kept, &kept);
        self.hands.kept = kept.clone();
        let number = self.hands.keeper.keep(kept);
        if only_leases_grew {
            return;
        }
        self.number = number;
        let within = if self.behind {
            Duration::ZERO
        } else {
            KEEP_WITHIN
        };
        self.behind = !self.hands.keeper.is_kept(self.number, within);
    }

    /// Holds an output back until what it rests on is kept, or gives what can be done at once.
    fn hold(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::Act {
                ref service,
                ref what,
                ..
            } => {
                self.held.retain(|held| !is_order_for(held, service));
                if matches!(what, Action::Fence { .. }) {
                    return Some(output);
                }
            }
            Output::Beat(_) => self.held.retain(|held| !matches!(held, Output::Beat(_))),
            // It was not promised: nobody would remember it.
            Output::AnswerPledge { ask, .. } => {
                let pledged = false;
                return Some(Output::AnswerPledge { ask, pledged });
            }
            Output::AskPledge { .. } | Output::Keep(_) | Output::Orders { .. } => {
                return Some(output);
            }
            Output::Left => {}
        }
        self.held.push(output);
        None
    }

    /// Carries out one that concerns neither the servers nor a question of another agent.
    pub(crate) fn carry_out(&mut self, output: Output) {
        match output {
            Output::Act {
                service,
                action,
                what,
            } => self.order(&service, action, what),
            Output::AskPledge {
                request,
                node,
                agent,
                what,
            } => self.ask(request, node, agent, what),
            Output::Left => {
                self.hands.left.send_replace(true);
            }
            Output::Orders { service, orders } => {
                if let Some(book) = self.hands.books.get(&service) {
                    book.take(orders);
                }
            }
            Output::Keep(_) | Output::Beat(_) | Output::AnswerPledge { .. } => {}
        }
    }

    fn order(&self, service: &ServiceName, action: u64, what: Action) {
        let kept = self.hands.kept.services.get(service);
        // One that was started anew may have lost what it was chosen for.
        let run = match &what {
            Action::Promote { .. } => kept.map_or(0, |kept| kept.run),
            Action::Follow { .. }
            | Action::Fence { .. }
            | Action::Detach
            | Action::Quiesce { .. }
            | Action::Resume
            | Action::Permit { .. }
            | Action::Measure
            | Action::Probe { .. } => 0,
        };
        let until = match &what {
            Action::Promote { .. } | Action::Resume => Some(authority(kept)),
            Action::Follow { .. }
            | Action::Fence { .. }
            | Action::Detach
            | Action::Quiesce { .. }
            | Action::Permit { .. }
            | Action::Measure
            | Action::Probe { .. } => None,
        };
        if let Some(slot) = self.hands.slots.get(service) {
            slot.put(Order {
                action,
                what,
                until,
                run,
            });
        }
    }

    fn ask(&mut self, request: u64, from: NodeId, agent: Endpoint, what: PledgeRequest) {
        while self.asks.try_join_next().is_some() {}
        let answer = self.hands.answer.clone();
        let refused = Input::PledgeAnswered {
            request,
            from,
            pledged: false,
        };
        if self.asks.len() >= ASKS_MAX {
            // When nobody takes it either, the round is given up by itself.
            let _full = answer.try_send(refused);
            return;
        }
        let within = Duration::from_millis(what.lasting.0).min(ANSWER_MOST);
        let asker = self.asker.clone();
        self.asks.spawn(async move {
            let pledged = asker.ask(&agent, &what, within).await;
            let answered = Input::PledgeAnswered {
                request,
                from,
                pledged,
            };
            // Nobody listens any more when the agent ends.
            let _ended = answer.send(answered).await;
        });
    }
}

/// Until when the instance may take writes, as the latest record says.
fn authority(kept: Option<&KeptService>) -> Moment {
    kept.map_or(Moment(0), |kept| kept.leased_until)
}

/// Whether two records differ in nothing but that leases last longer by the later one.
fn only_leases_grew(earlier: &Kept, later: &Kept) -> bool {
    earlier.services.len() == later.services.len()
        && earlier.electors == later.electors
        && earlier.rules == later.rules
        && earlier.services.iter().all(|(name, before)| {
            later.services.get(name).is_some_and(|after| {
                let leased_until = before.leased_until;
                after.leased_until >= leased_until
                    && *before
                        == KeptService {
                            leased_until,
                            ..*after
                        }
            })
        })
}

fn is_order_for(output: &Output, whom: &ServiceName) -> bool {
    matches!(output, Output::Act { service, .. } if service == whom)
}
