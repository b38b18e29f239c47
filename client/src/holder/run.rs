//! Drives the node's machine for a process whose only role is to hold copies: it can be primary of nothing, so that
//! nothing rests on a lease, and no promise has to be kept on a disk.

use super::book::OrderBook;
use crate::Sessions;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tenure_core::{
    Automation, Health, Member, Millis, Moment, Note, Presence, ServiceName, StoreSign,
    agent::{Agent, Input, Kept, Observation, Observed, Output, Start},
};

/// The machine is not asked more often than this when it says that it is late already.
const SHORTEST: Duration = Duration::from_millis(1);

pub(super) struct Run {
    sessions: Sessions,
    machine: Agent,
    service: ServiceName,
    book: Arc<OrderBook>,
    origin: Instant,
    /// Names the process, so that a restart is told from a pause.
    run: u64,
}

impl Run {
    pub(super) fn new(
        sessions: Sessions,
        member: Member,
        session: u64,
        service: ServiceName,
        book: Arc<OrderBook>,
    ) -> Self {
        let start = Start {
            member,
            session,
            agent: None,
            services: vec![service.clone()],
            kept: Some(Kept::default()),
            heartbeat: Automation::default().fast_heartbeat,
            lease: Millis(0),
        };
        Self {
            sessions,
            machine: Agent::new(start, Moment(1)),
            service,
            book,
            origin: Instant::now(),
            run: session,
        }
    }

    fn now(&self) -> Moment {
        let micros = self.origin.elapsed().as_micros();
        Moment(u64::try_from(micros).unwrap_or(u64::MAX).saturating_add(1))
    }

    /// Runs until the sessions end.
    pub(super) async fn run(mut self) {
        loop {
            let due = Duration::from_micros(self.machine.next_tick().0);
            let wait = due.saturating_sub(self.origin.elapsed()).max(SHORTEST);
            let input = tokio::select! {
                biased;
                () = tokio::time::sleep(wait) => Input::Tick,
                grant = self.sessions.next() => match grant {
                    Some(grant) => Input::Granted(grant),
                    None => return,
                },
                () = self.book.told() => Input::Tick,
            };
            self.tell();
            self.feed(input);
        }
    }

    /// Hands the machine what the process has said since.
    fn tell(&mut self) {
        if let Some(store) = self.book.news() {
            let service = self.service.clone();
            let (health, note) = self.book.health();
            let seen = self.observation(health, note);
            self.feed(Input::Observed { service, seen });
            self.feed(self.stored(store));
        }
    }

    fn stored(&self, store: StoreSign) -> Input {
        let service = self.service.clone();
        Input::Stored { service, store }
    }

    fn observation(&self, health: Health, note: Note) -> Observation {
        Observation {
            presence: Presence::Running,
            run: self.run,
            health,
            role: Observed::Peer,
            note,
            ..Observation::nothing()
        }
    }

    fn feed(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.now(), input, &mut out);
        for output in out {
            match output {
                Output::Beat(beat) => self.sessions.beat(beat),
                Output::Orders { orders, .. } => self.book.take(orders),
                Output::Act { .. }
                | Output::AskPledge { .. }
                | Output::AnswerPledge { .. }
                | Output::Keep(_)
                | Output::Left => {}
            }
        }
    }
}
