//! One call: attempts at one server after the other, within a deadline.

use crate::{
    Error, Refusal, ServerAddress,
    judge::{Judged, judge},
    servers::Server,
    shared::Shared,
};
use std::{collections::BTreeSet, future::Future, sync::Arc, time::Duration};
use tenure_core::Endpoint;
use tokio::time::Instant;
use tonic::Status;

/// Where a call goes.
#[derive(Clone)]
pub(crate) enum Route {
    /// To the leader: to whom is thought to be it, then to whom the answers name.
    Leader,
    /// To the leader while it is known, otherwise to any.
    Read,
    /// To any server in turn.
    Any,
    /// To this one alone.
    One(Arc<Server>),
}

/// What sending a call twice does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: it changes nothing.
    Harmless,
    /// Nothing, as its id is known; but if no answer comes, it may have happened.
    ById,
    /// Harm: it is sent again only if it certainly did not happen.
    Never,
}

/// How a call is made.
pub(crate) struct Plan {
    pub(crate) route: Route,
    pub(crate) repeat: Repeat,
    pub(crate) deadline: Instant,
    /// How long one server may take.
    pub(crate) attempt: Duration,
}

/// A call that failed, and whether an attempt before the last one may have arrived.
pub(crate) struct Failure {
    pub(crate) error: Error,
    pub(crate) sent_before: bool,
}

enum Next {
    Stop(Error),
    Now,
    Pause,
}

struct Run<'a> {
    shared: &'a Arc<Shared>,
    plan: &'a Plan,
    began: Instant,
    last_asked: Option<Arc<Server>>,
    /// What went wrong last, and the refusal in it.
    last: String,
    refused: Option<Error>,
    leader: Option<ServerAddress>,
    /// Attempts since the last pause.
    attempts: usize,
    pauses: u32,
    failures: usize,
    /// Whether any server answered anything.
    answered: bool,
    may_have_arrived: bool,
    tried: BTreeSet<String>,
}

/// Makes a call. `send` makes one attempt at the server that it is given.
pub(crate) async fn call<T, F>(
    shared: &Arc<Shared>,
    plan: &Plan,
    mut send: impl FnMut(Arc<Server>) -> F,
) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Status>>,
{
    let mut run = Run::new(shared, plan);
    loop {
        let server = run.pick();
        let until = plan.deadline.min(shared.until(plan.attempt));
        let judged = match tokio::time::timeout_at(until, send(server.clone())).await {
            Ok(Ok(answer)) => {
                shared.answered(&server, matches!(plan.route, Route::Leader));
                return Ok(answer);
            }
            Ok(Err(status)) => judge(&status),
            Err(_) => run.no_answer(&server, until),
        };
        let sent_before = run.may_have_arrived;
        let mut next = run.after(&server, judged);
        if matches!(next, Next::Pause) {
            next = run.pause().await;
        }
        if let Next::Stop(error) = next {
            return Err(Failure { error, sent_before });
        }
        run.last_asked = Some(server);
    }
}

impl<'a> Run<'a> {
    fn new(shared: &'a Arc<Shared>, plan: &'a Plan) -> Self {
        Self {
            shared,
            plan,
            began: Instant::now(),
            last_asked: None,
            last: String::new(),
            refused: None,
            leader: None,
            attempts: 0,
            pauses: 0,
            failures: 0,
            answered: false,
            may_have_arrived: false,
            tried: BTreeSet::new(),
        }
    }

    fn pick(&self) -> Arc<Server> {
        let servers = &self.shared.servers;
        match &self.plan.route {
            Route::One(server) => server.clone(),
            Route::Any => servers.next(self.last_asked.as_ref()),
            Route::Leader | Route::Read => {
                let leader = servers.usable_leader();
                leader.unwrap_or_else(|| servers.next(self.last_asked.as_ref()))
            }
        }
    }

    /// What it means that no answer came in time. When it was the call's own deadline that cut the
    /// attempt short, that says nothing about the server, and what went wrong before says more.
    fn no_answer(&self, server: &Arc<Server>, until: Instant) -> Judged {
        let is_cut_short = until == self.plan.deadline;
        if !is_cut_short {
            server.avoid(true);
        }
        let why = if is_cut_short && !self.last.is_empty() {
            self.last.clone()
        } else {
            format!("server {} does not answer", server.api())
        };
        Judged::Broken { sent: true, why }
    }

    fn after(&mut self, server: &Arc<Server>, judged: Judged) -> Next {
        self.attempts += 1;
        self.failures += 1;
        match judged {
            Judged::Final(error) => Next::Stop(error),
            Judged::Elsewhere(leader, why) => {
                self.answered = true;
                self.shared.servers.not_leader(server);
                self.last = why;
                let next = self.follow(server, &leader);
                self.leader = Some(leader);
                next
            }
            Judged::NotNow(error) => self.after_refusal(server, error),
            Judged::Broken { sent, why } => self.after_silence(server, sent, why),
        }
    }

    fn after_refusal(&mut self, server: &Arc<Server>, error: Error) -> Next {
        self.answered = true;
        self.last = error.to_string();
        if let Some(leader) = error.leader_hint() {
            self.leader = Some(leader.clone());
        }
        let reason = match &error {
            Error::Refused { reason, .. } => Some(*reason),
            Error::Rejected(_)
            | Error::Unreachable { .. }
            | Error::Deadline { .. }
            | Error::OutcomeUnknown { .. }
            | Error::Invalid(_) => None,
        };
        let is_stale = matches!(reason, Some(Refusal::TooStale { .. }));
        if is_stale && self.failures >= self.shared.servers.count() {
            return Next::Stop(error);
        }
        self.refused = Some(error);
        if !is_stale && reason.is_some() && reason != Some(Refusal::Overloaded) {
            self.shared.servers.not_leader(server);
        }
        self.again(is_stale || reason == Some(Refusal::ShuttingDown))
    }

    fn after_silence(&mut self, server: &Arc<Server>, sent: bool, why: String) -> Next {
        if !server.is_avoided() {
            server.avoid(false);
        }
        self.shared.servers.not_leader(server);
        self.shared.servers_may_have_changed();
        self.tried.insert(server.api().to_owned());
        self.may_have_arrived |= sent;
        self.answered |= sent;
        self.refused = None;
        self.last.clone_from(&why);
        if sent && self.plan.repeat == Repeat::Never {
            return Next::Stop(Error::OutcomeUnknown { last: why });
        }
        self.again(true)
    }

    /// Goes to the server that was named, unless that one was just found not to answer: those who
    /// name it do not know yet.
    fn follow(&self, asked: &Arc<Server>, named: &ServerAddress) -> Next {
        let Ok(api) = Endpoint::new(&named.api) else {
            return Next::Pause;
        };
        let leader = self.shared.servers.learn(&api, named.id);
        if leader.is_avoided() || Arc::ptr_eq(&leader, asked) {
            return Next::Pause;
        }
        self.shared.leads(&leader);
        if self.attempts > 2 {
            Next::Pause
        } else {
            Next::Now
        }
    }

    /// Another attempt: at once while there are servers that were not asked since the last pause.
    fn again(&self, elsewhere_may_help: bool) -> Next {
        if matches!(self.plan.route, Route::One(_)) {
            return if self.failures < 2 {
                Next::Pause
            } else {
                Next::Stop(self.give_up())
            };
        }
        if elsewhere_may_help && self.attempts < self.shared.servers.count() {
            Next::Now
        } else {
            Next::Pause
        }
    }

    /// Waits for a moment, or until the leader is known.
    async fn pause(&mut self) -> Next {
        let backoff = &self.shared.backoff;
        let pausing = backoff.begin();
        let now = Instant::now();
        let until = now + backoff.pause(self.pauses);
        self.pauses += 1;
        self.attempts = 0;
        if until >= self.plan.deadline {
            return Next::Stop(self.give_up());
        }
        let follows = matches!(self.plan.route, Route::Leader | Route::Read);
        let mut changes = self.shared.servers.leader_changes();
        let is_known = changes.borrow_and_update().is_some();
        if !follows {
            tokio::time::sleep_until(until).await;
        } else if is_known {
            tokio::time::sleep_until(until.min(now + backoff.short())).await;
        } else {
            let known = changes.wait_for(Option::is_some);
            let _paused = tokio::time::timeout_at(until, known).await;
        }
        drop(pausing);
        Next::Now
    }

    fn give_up(&self) -> Error {
        let last = self.last.clone();
        if self.may_have_arrived && self.plan.repeat != Repeat::Harmless {
            return Error::OutcomeUnknown { last };
        }
        if !self.answered {
            let tried = self.tried.iter().cloned().collect();
            return Error::Unreachable { tried, last };
        }
        match (&self.plan.route, &self.refused) {
            (Route::One(_), Some(refused)) => refused.clone(),
            (Route::One(_), None) => Error::Refused {
                reason: Refusal::Other,
                detail: last,
                leader: None,
            },
            (Route::Leader | Route::Read | Route::Any, _) => Error::Deadline {
                after: self.began.elapsed(),
                last,
                leader: self.leader.clone(),
            },
        }
    }
}
