//! The task that owns the controller. It is told of a change of leadership before anything else, and
//! leads only once the state has all that earlier leaders committed: a grant by an older state could
//! make a second primary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_core::controller::{Controller, Hold, Input, Moved, Output};
use tenure_core::{Command, Moment, Outcome, State};
use tenure_proto::v1;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::clock::{self, Clock};
use super::{Answer, Request, Unanswered};
use crate::consensus::{Consensus, Lead};
use crate::exchange::Exchange;

/// How often the controller is told that time has passed, at the least.
const TICK: Duration = Duration::from_millis(20);
/// How often at the most.
const TICK_MIN: Duration = Duration::from_millis(1);
/// How often it is told at the most that the state has moved: other commands may move it all the time.
const APPLIED_MIN: Duration = Duration::from_millis(2);
/// How many outcomes may wait to be told.
const RETURNS_MAX: usize = 1_024;
/// How long the state may take to follow before the quorum is asked again.
const FOLLOW_WITHIN: Duration = Duration::from_secs(1);

/// What comes back from tasks that were started here.
enum Returned {
    /// The state has what earlier leaders committed.
    Settled { term: u64 },
    /// What came of a proposal.
    Outcome {
        term: u64,
        proposal: u64,
        outcome: Option<Outcome>,
    },
}

/// The state moved, and the controller is to be told.
struct Applied {
    pending: bool,
    told: Instant,
}

pub(super) struct Driver {
    consensus: Consensus,
    exchange: Arc<Exchange>,
    controller: Controller,
    clock: Clock,
    /// What the controller was told: that this server leads, who votes, and when a quorum said so.
    leads: Option<Lead>,
    quorum: Moment,
    /// The latest term for which it was looked whether the state has what earlier leaders committed, and
    /// the latest for which it has.
    settling: u64,
    settled: u64,
    asks: BTreeMap<u64, Answer<Result<Moved, Hold>>>,
    next_ask: u64,
    ticked: Instant,
    applied: Applied,
    out: Vec<Output>,
    returns: mpsc::Sender<Returned>,
    returned: mpsc::Receiver<Returned>,
}

impl Driver {
    pub(super) fn new(
        consensus: Consensus,
        exchange: Arc<Exchange>,
        controller: Controller,
    ) -> Driver {
        let (returns, returned) = mpsc::channel(RETURNS_MAX);
        Driver {
            consensus,
            exchange,
            controller,
            clock: Clock::new(),
            leads: None,
            quorum: Moment(0),
            settling: 0,
            settled: 0,
            asks: BTreeMap::new(),
            next_ask: 0,
            ticked: Instant::now(),
            applied: Applied {
                pending: false,
                told: Instant::now(),
            },
            out: Vec::new(),
            returns,
            returned,
        }
    }

    pub(super) async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let (consensus, exchange) = (self.consensus.clone(), self.exchange.clone());
        let mut closed = std::pin::pin!(consensus.closed());
        let mut leadership = consensus.leadership();
        let mut ceded = consensus.ceded();
        let mut progress = consensus.reader().progress();
        loop {
            let leads = self.leads.is_some();
            let wake = self.wake();
            let (mut returned, mut asked) = (None, None);
            tokio::select! {
                () = &mut closed => break,
                Ok(()) = leadership.changed() => {}
                Ok(()) = ceded.changed() => {}
                one = self.returned.recv() => returned = one,
                Some(one) = requests.recv() => asked = Some(one),
                true = exchange.heard.ready(), if leads => {}
                Ok(()) = progress.changed(), if leads && !self.applied.pending => {
                    self.applied.pending = true;
                }
                () = sleep_until(wake) => {}
            }
            while let Some(one) = returned {
                self.take_back(one);
                returned = self.returned.try_recv().ok();
            }
            // By itself: borrowed during the look it would be waited for by whoever cedes, and he by the look.
            let upto = *ceded.borrow_and_update();
            self.look(upto);
            self.tell();
            while let Some(one) = asked {
                self.request(one);
                asked = requests.try_recv().ok();
            }
        }
        self.follow();
        consensus.grants_nothing(u64::MAX);
    }

    /// When to look again though nothing came.
    fn wake(&self) -> Instant {
        let latest = self.ticked + TICK;
        if self.leads.is_none() {
            return latest.max(Instant::now() + TICK);
        }
        let now = clock::now();
        let wait = self.controller.next_tick(now).0.saturating_sub(now.0);
        let tick = Instant::now() + Duration::from_micros(wait);
        let tick = tick.clamp(self.ticked + TICK_MIN, latest);
        if self.applied.pending {
            tick.min(self.applied.told + APPLIED_MIN)
        } else {
            tick
        }
    }

    /// Compares what the controller was told of leadership with what is so.
    fn look(&mut self, ceded: u64) {
        let lead = self.consensus.lead();
        let known = self.leads.as_ref().map(|known| known.term);
        if known.is_some() && known != lead.as_ref().map(|lead| lead.term) {
            self.follow();
        }
        // Whatever was granted up to here is on its way; nothing more will be in a term that was ceded.
        self.consensus.grants_nothing(ceded);
        let Some(lead) = lead else { return };
        if self.leads.is_some() {
            self.vote_and_quorum(lead);
        } else if self.settled == lead.term {
            self.lead(lead);
        } else if self.settling != lead.term {
            self.settling = lead.term;
            let settle = settle(self.consensus.clone(), lead.term, self.returns.clone());
            tokio::spawn(settle);
        }
    }

    fn lead(&mut self, lead: Lead) {
        self.exchange.heard.open();
        self.quorum = Moment(0);
        self.ticked = Instant::now();
        self.leads = Some(Lead {
            quorum: None,
            voters: Default::default(),
            ..lead
        });
        self.feed(Input::Lead { term: lead.term });
        self.vote_and_quorum(lead);
    }

    fn follow(&mut self) {
        if self.leads.take().is_none() {
            return;
        }
        self.exchange.heard.close();
        for answer in std::mem::take(&mut self.asks).into_values() {
            // Whoever went away wants no answer.
            let _gone = answer.send(Err(Unanswered::LostLead));
        }
        self.feed(Input::Follow);
    }

    fn vote_and_quorum(&mut self, lead: Lead) {
        let Some(known) = &mut self.leads else { return };
        if known.voters != lead.voters {
            known.voters.clone_from(&lead.voters);
            self.feed(Input::Voters(lead.voters));
        }
        let quorum = lead.quorum.and_then(|at| self.clock.moment(at));
        if let Some(quorum) = quorum.filter(|quorum| *quorum > self.quorum) {
            self.quorum = quorum;
            self.feed(Input::Quorum(quorum));
        }
    }

    /// Tells the controller what was heard, that the state has moved, and that time has passed.
    fn tell(&mut self) {
        if self.leads.is_none() {
            return;
        }
        if self.applied.pending && self.applied.told.elapsed() >= APPLIED_MIN {
            self.applied.pending = false;
            self.applied.told = Instant::now();
            self.feed(Input::Applied);
        }
        for input in self.exchange.heard.take().into_values() {
            self.feed(input);
        }
        let now = clock::now();
        let due = self.controller.next_tick(now) <= now && self.ticked.elapsed() >= TICK_MIN;
        if due || self.ticked.elapsed() >= TICK {
            self.ticked = Instant::now();
            self.feed(Input::Ear(self.consensus.id()));
            self.feed(Input::Tick);
        }
    }

    fn take_back(&mut self, returned: Returned) {
        match returned {
            Returned::Settled { term } => self.settled = self.settled.max(term),
            Returned::Outcome {
                term,
                proposal,
                outcome,
            } => {
                // What this server proposed when it last led concerns nobody now.
                if self.leads.as_ref().is_some_and(|lead| lead.term == term) {
                    self.feed(Input::Outcome { proposal, outcome });
                }
            }
        }
    }

    fn request(&mut self, request: Request) {
        match request {
            Request::Ask { wish, answer } => {
                if self.leads.is_none() {
                    let _gone = answer.send(Err(Unanswered::NotLeading));
                    return;
                }
                self.next_ask += 1;
                let ask = self.next_ask;
                self.asks.insert(ask, answer);
                self.feed(Input::Ask { ask, wish });
                self.asks.retain(|_, answer| !answer.is_closed());
            }
            Request::Explain { service, answer } => {
                let (now, wall) = (clock::now(), clock::wall());
                let controller = &self.controller;
                let seen = |state: &State| controller.explain(now, wall, state, &service);
                let _gone = answer.send(self.seen(seen));
            }
            Request::CopiesProgress { service, answer } => {
                let (now, controller) = (clock::now(), &self.controller);
                let seen = |state: &State| controller.copies_progress(now, state, &service);
                let _gone = answer.send(self.seen(seen));
            }
            Request::VerifyCopies {
                service,
                items,
                answer,
            } => {
                let Driver {
                    consensus,
                    controller,
                    ..
                } = self;
                let begun = consensus.reader().read(|state| {
                    let copies = match items {
                        Some(items) => controller.verify_copies(state, &service, items)?,
                        None => controller.stop_verification(&service).map(|()| 0)?,
                    };
                    Some((state.revision(), copies))
                });
                let begun = begun.filter(|_| self.leads.is_some());
                let _gone = answer.send(begun.ok_or(Unanswered::NotLeading));
            }
            Request::WhatIf { lost, answer } => {
                let (now, wall) = (clock::now(), clock::wall());
                let controller = &self.controller;
                let seen = |state: &State| controller.what_if_lost(now, wall, state, lost);
                let _gone = answer.send(self.seen(seen));
            }
        }
    }

    fn seen<T>(
        &self,
        look: impl FnOnce(&State) -> Option<T>,
    ) -> Result<super::Seen<T>, Unanswered> {
        let reader = self.consensus.reader();
        let seen = reader.read(|state| look(state).map(|seen| (state.revision(), seen)));
        seen.filter(|_| self.leads.is_some())
            .ok_or(Unanswered::NotLeading)
    }

    fn feed(&mut self, input: Input) {
        let (now, wall) = (clock::now(), clock::wall());
        let Driver {
            consensus,
            controller,
            out,
            ..
        } = self;
        let reader = consensus.reader();
        reader.read(|state| controller.handle(now, wall, state, input, out));
        let mut out = std::mem::take(&mut self.out);
        for output in out.drain(..) {
            self.carry_out(output);
        }
        self.out = out;
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Grant { via, grant } => {
                let member = grant.member;
                self.exchange.grant(via, member, v1::Grant::from(&grant));
            }
            Output::Propose { proposal, command } => self.propose(proposal, command),
            Output::Answer { ask, answer } => {
                if let Some(asked) = self.asks.remove(&ask) {
                    let _gone = asked.send(Ok(answer));
                }
            }
            Output::Note(note) => tracing::info!(server = %self.consensus.id(), "{note}"),
        }
    }

    /// Proposals reach consensus in the order in which they are made.
    fn propose(&mut self, proposal: u64, command: Command) {
        let Some(lead) = &self.leads else { return };
        let term = lead.term;
        let submitted = self.consensus.submit_own("controller", command);
        let (server, returns) = (self.consensus.id(), self.returns.clone());
        tokio::spawn(async move {
            let outcome = match submitted {
                Ok(outcome) => outcome.await.map_err(|error| error.to_string()),
                Err(why) => Err(why),
            };
            if let Err(why) = &outcome {
                tracing::info!(%server, why, "a proposal of the controller failed");
            }
            let outcome = outcome.ok();
            let returned = Returned::Outcome {
                term,
                proposal,
                outcome,
            };
            // When the driver has ended nobody is interested.
            let _ended = returns.send(returned).await;
        });
    }
}

/// Waits until the state has all that was committed before this server was elected, as long as it leads
/// in that term.
async fn settle(consensus: Consensus, term: u64, returns: mpsc::Sender<Returned>) {
    while consensus.lead().is_some_and(|lead| lead.term == term) && !consensus.is_shutting_down() {
        if let Ok(index) = consensus.read_index().await {
            let followed = consensus.reader().wait_applied(index);
            if timeout(FOLLOW_WITHIN, followed).await.is_ok() {
                // When the driver has ended nobody is interested.
                let _ended = returns.send(Returned::Settled { term }).await;
                return;
            }
        }
        sleep(TICK).await;
    }
}
