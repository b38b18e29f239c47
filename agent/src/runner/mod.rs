//! The runner: feeds the node's machine, and carries out what it says in order.

mod carry;
#[cfg(test)]
mod tests;

pub(crate) use carry::{Carrier, Hands};

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use tenure_client::Sessions;
use tenure_client::pledge::{Question, Questions};
use tenure_core::agent::{Input, Output};
use tenure_core::{Grant, Heartbeat, Millis, Moment};
use tokio::sync::{mpsc, watch};

use crate::board::Board;
use crate::clock::{self, Alarm};
use crate::instance::{News, Told};

/// The machine is not asked more often than this when it says that it is late already.
const SHORTEST: Millis = Millis(1);

/// How often an instance is looked at, within these bounds: twice for each heartbeat.
const PACE_LEAST: Millis = Millis(20);
const PACE_MOST: Millis = Millis(1_000);

/// The way to the servers.
pub(crate) trait Link: Send {
    /// Sends a heartbeat to every server. Never waits.
    fn beat(&self, beat: Heartbeat);
    /// The next grant. May be cancelled and called again.
    fn grant(&mut self) -> impl Future<Output = Option<Grant>> + Send;
}

impl Link for Sessions {
    fn beat(&self, beat: Heartbeat) {
        Sessions::beat(self, beat);
    }

    async fn grant(&mut self) -> Option<Grant> {
        self.next().await
    }
}

/// What others want of the runner.
#[derive(Debug)]
pub(crate) enum Wish {
    /// Hand roles over, for the node is about to stop.
    Leave,
    /// End, and leave every instance as it is.
    Stop,
}

/// Something that the runner woke for.
enum Event {
    Told(Told),
    Granted(Grant),
    Asked(Question),
    Answered(Input),
    Kept,
    Wished(Wish),
    Rang,
}

/// How often an instance is looked at, for a tempo of heartbeats.
pub(crate) fn pace(heartbeat: Millis) -> Millis {
    Millis((heartbeat.0 / 2).clamp(PACE_LEAST.0, PACE_MOST.0))
}

/// What a runner is made of.
pub(crate) struct Parts<L> {
    pub(crate) board: Arc<Board>,
    pub(crate) link: L,
    pub(crate) carrier: Carrier,
    pub(crate) told: mpsc::Receiver<Told>,
    pub(crate) questions: Option<Questions>,
    pub(crate) answers: mpsc::Receiver<Input>,
    pub(crate) wishes: mpsc::Receiver<Wish>,
    pub(crate) pace: watch::Sender<Millis>,
}

/// The one task that owns the machine.
pub(crate) struct Runner<L> {
    parts: Parts<L>,
    alarm: Alarm,
    asked: BTreeMap<u64, Question>,
    next_ask: u64,
}

impl<L: Link> Runner<L> {
    /// A runner that has not begun. Must be called within a runtime.
    ///
    /// # Errors
    /// What the system says when it gives no timer.
    pub(crate) fn new(parts: Parts<L>) -> io::Result<Self> {
        Ok(Self {
            parts,
            alarm: Alarm::new()?,
            asked: BTreeMap::new(),
            next_ask: 0,
        })
    }

    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// What the system says when its timer fails: the agent cannot know when to stop a primary then.
    pub(crate) async fn run(mut self) -> io::Result<()> {
        let mut due = self.parts.board.lock().machine.next_tick();
        loop {
            self.alarm.set(due)?;
            let event = self.wait().await?;
            // First the clock: after a stall, of this process or of the machine, the lease may be over.
            let woke = clock::now();
            if woke >= due {
                self.feed(woke, Input::Tick);
            }
            if let Event::Wished(Wish::Stop) = event {
                return Ok(());
            }
            self.take(event);
            let now = clock::now();
            due = self.parts.board.lock().machine.next_tick();
            if due <= now {
                due = now.after(SHORTEST);
            }
        }
    }

    async fn wait(&mut self) -> io::Result<Event> {
        let parts = &mut self.parts;
        let asked = async {
            match &mut parts.questions {
                Some(questions) => questions.next().await,
                None => None,
            }
        };
        Ok(tokio::select! {
            biased;
            rang = self.alarm.rings() => rang.map(|()| Event::Rang)?,
            Some(told) = parts.told.recv() => Event::Told(told),
            Some(grant) = parts.link.grant() => Event::Granted(grant),
            Some(question) = asked => Event::Asked(question),
            Some(answer) = parts.answers.recv() => Event::Answered(answer),
            () = parts.carrier.kept() => Event::Kept,
            wish = parts.wishes.recv() => Event::Wished(wish.unwrap_or(Wish::Stop)),
        })
    }

    fn take(&mut self, event: Event) {
        let input = match event {
            Event::Told(Told { service, what }) => match what {
                News::Seen(seen) => Input::Observed { service, seen },
                News::Done { action, result } => Input::Acted {
                    service,
                    action,
                    result,
                },
            },
            Event::Granted(grant) => {
                self.keep_pace(grant.heartbeat);
                Input::Granted(grant)
            }
            Event::Asked(question) => {
                self.next_ask += 1;
                let (ask, request) = (self.next_ask, question.request.clone());
                self.asked.insert(ask, question);
                Input::PledgeAsked { ask, request }
            }
            Event::Answered(input) => input,
            Event::Wished(Wish::Leave) => Input::Leave,
            Event::Kept => return self.flush(),
            Event::Wished(Wish::Stop) | Event::Rang => return,
        };
        self.feed(clock::now(), input);
    }

    fn feed(&mut self, now: Moment, input: Input) {
        let mut out = Vec::new();
        self.parts.board.lock().handle(now, input, &mut out);
        let ready = self.parts.carrier.sort(out);
        self.carry_out(ready);
    }

    fn flush(&mut self) {
        let ready = self.parts.carrier.released();
        self.carry_out(ready);
    }

    fn carry_out(&mut self, ready: Vec<Output>) {
        for output in ready {
            match output {
                Output::Beat(beat) => self.parts.link.beat(beat),
                Output::AnswerPledge { ask, pledged } => {
                    if let Some(question) = self.asked.remove(&ask) {
                        question.answer(pledged);
                    }
                }
                Output::Act { .. }
                | Output::AskPledge { .. }
                | Output::Left
                | Output::Keep(_)
                | Output::Orders { .. } => {
                    self.parts.carrier.carry_out(output);
                }
            }
        }
        self.parts.board.lock().unkept = self.parts.carrier.trouble();
    }

    fn keep_pace(&self, heartbeat: Millis) {
        let wanted = pace(heartbeat);
        self.parts.pace.send_if_modified(|now| {
            let differs = *now != wanted;
            *now = wanted;
            differs
        });
    }
}
