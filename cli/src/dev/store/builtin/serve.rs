//! An instance at work: it answers clients, replicas and its agent, and pulls from whom it follows.

use super::{
    super::line::{Answer, Line},
    state::{Role, State, Track, number},
};
use crate::exit::{Exit, Failure};
use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, watch},
    time::{sleep, timeout, timeout_at},
};

/// Connections that there may be at a time.
const CONNECTIONS_MAX: usize = 256;
/// How long a replica waits for news before it asks again.
const NEWS_WITHIN: Duration = Duration::from_millis(100);
/// How long an answer may take beyond that.
const ANSWER_WITHIN: Duration = Duration::from_millis(400);
/// How long the agent waits for a link.
const LINK_WITHIN: Duration = Duration::from_millis(150);
/// How soon a primary that could not be reached is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);
/// The longest that a client may wait for replicas, in milliseconds.
const WAIT_MAX: u64 = 60_000;

type Shared = Arc<watch::Sender<State>>;

/// Serves until the process is ended. It comes up fenced.
pub async fn run(listen: SocketAddr) -> Result<Exit, Failure> {
    let listener = TcpListener::bind(listen).await;
    let listener =
        listener.map_err(|why| Failure::local(format!("cannot listen on {listen}: {why}")))?;
    let shared: Shared = Arc::new(watch::Sender::new(State::default()));
    tokio::spawn(follow(shared.clone(), listen.to_string()));
    serve(listener, shared).await;
    Ok(Exit::Ok)
}

async fn serve(listener: TcpListener, shared: Shared) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    for number in 0.. {
        let accepted = listener.accept().await;
        let (Ok((stream, _)), Ok(place)) = (accepted, places.clone().try_acquire_owned()) else {
            // Nothing is left of something: a moment later there may be.
            sleep(AGAIN_AFTER).await;
            continue;
        };
        // Without it answers are only later.
        let _slower = stream.set_nodelay(true);
        let mut connection = Connection {
            number,
            shared: shared.clone(),
            line: stream.into(),
            written: 0,
        };
        tokio::spawn(async move {
            // It ends when the other side does.
            let _ended = connection.run().await;
            connection.detach();
            drop(place);
        });
    }
}

struct Connection {
    number: u64,
    shared: Shared,
    line: Line,
    /// How far the instance had got with the last write of this connection.
    written: u64,
}

impl Connection {
    async fn run(&mut self) -> io::Result<()> {
        loop {
            let line = self.line.line().await?;
            let words: Vec<&str> = line.split_whitespace().collect();
            let answer = match words.as_slice() {
                ["SET", key, value] => self.set(key, value).await,
                ["GET", key] => Ok(self.get(key)),
                ["WAIT", replicas, ms] => self.wait(replicas, ms).await,
                ["PULL", replica, history, offset] => self.pull(replica, history, offset).await,
                words => self.obey(words).await,
            };
            let answer = answer.unwrap_or_else(|why| format!("-{why}"));
            self.line.send(&[&answer]).await?;
        }
    }

    async fn set(&mut self, key: &str, value: &str) -> Result<String, String> {
        let mut changes = self.shared.subscribe();
        while let Some(until) = self.held() {
            let changed = timeout_at(until.into(), changes.changed());
            // Either way it is looked at again.
            let _changed = changed.await;
        }
        let mut outcome = Ok(0);
        self.shared.send_if_modified(|state| {
            outcome = state.set(key, value);
            outcome.is_ok()
        });
        self.written = outcome?;
        Ok("+OK".to_owned())
    }

    /// Until when writes are held back, if they are.
    fn held(&self) -> Option<Instant> {
        let until = self.shared.borrow().held_until;
        until.filter(|until| Instant::now() < *until)
    }

    fn get(&self, key: &str) -> String {
        match self.shared.borrow().values.get(key) {
            Some(value) => format!("${}\r\n{value}", value.len()),
            None => "$-1".to_owned(),
        }
    }

    async fn wait(&mut self, replicas: &str, ms: &str) -> Result<String, String> {
        let within = Duration::from_millis(number(ms)?.min(WAIT_MAX));
        let wanted = usize::try_from(number(replicas)?).unwrap_or(usize::MAX);
        let (written, turn) = (self.written, self.shared.borrow().turn);
        let enough = |state: &State| state.turn != turn || state.have(written) >= wanted;
        until(&self.shared, within, enough).await;
        let state = self.shared.borrow();
        if state.turn != turn {
            return Err("FENCED nobody knows whether it is kept".to_owned());
        }
        Ok(format!(":{}", state.have(written)))
    }

    /// Tells a replica what it lacks, as soon as there is something. What it has is acknowledged.
    async fn pull(&mut self, name: &str, history: &str, offset: &str) -> Result<String, String> {
        let replica = Track::read(history, offset)?;
        let (mut attached, number) = (false, self.number);
        self.shared.send_if_modified(|state| {
            attached = state.may_attach(name);
            let known = matches!(state.compare(&replica), "identical" | "behind");
            let has = (if known { replica.offset } else { 0 }, number);
            attached && state.attached.insert(name.to_owned(), has) != Some(has)
        });
        if attached {
            let news = |state: &State| state.at != replica || !state.may_attach(name);
            until(&self.shared, NEWS_WITHIN, news).await;
        }
        let state = self.shared.borrow();
        if !state.may_attach(name) {
            return Err("REFUSED it is no primary, or this replica is not permitted".to_owned());
        }
        let values = state.values.iter().filter(|_| state.at != replica);
        let values: Vec<String> = values.map(|(key, it)| format!("\r\n{key} {it}")).collect();
        let (at, verdict) = (&state.at, state.compare(&replica));
        let (word, offset, count) = (at.word(), at.offset, values.len());
        Ok(format!(
            "+{word} {offset} {verdict} {count}{}",
            values.concat()
        ))
    }

    async fn obey(&mut self, words: &[&str]) -> Result<String, String> {
        let mut done = Ok(());
        self.shared.send_modify(|state| done = state.obey(words));
        done?;
        if matches!(words, ["FOLLOW", _]) {
            until(&self.shared, LINK_WITHIN, |state| state.linked).await;
        }
        Ok(format!("+{}", self.shared.borrow().told()))
    }

    fn detach(&self) {
        let own = self.number;
        self.shared.send_if_modified(|state| {
            let count = state.attached.len();
            state.attached.retain(|_, (_, number)| *number != own);
            state.attached.len() != count
        });
    }
}

/// Waits until something holds, for at most so long. Keeps no hold on the state.
async fn until(shared: &Shared, within: Duration, holds: impl FnMut(&State) -> bool) {
    let mut changes = shared.subscribe();
    drop(timeout(within, changes.wait_for(holds)).await);
}

/// Pulls from whom the instance is to follow, for ever.
async fn follow(shared: Shared, own: String) {
    let mut changes = shared.subscribe();
    loop {
        let (primary, turn) = {
            let state = changes.borrow_and_update();
            match &state.role {
                Role::Follows(primary) => (Some(primary.clone()), state.turn),
                Role::Fenced | Role::HandsOver | Role::Primary | Role::Detached => (None, 0),
            }
        };
        let Some(primary) = primary else {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        };
        tokio::select! {
            _failed = pull_from(&shared, &primary, turn, &own) => {}
            turned = changes.wait_for(|state| state.turn != turn) => drop(turned),
        }
        shared.send_if_modified(|state| {
            state.turn == turn && std::mem::replace(&mut state.linked, false)
        });
        sleep(AGAIN_AFTER).await;
    }
}

async fn pull_from(shared: &Shared, primary: &str, turn: u64, own: &str) -> io::Result<()> {
    let mut line = Line::connect(primary).await?;
    loop {
        let at = shared.borrow().at.clone();
        let ask = format!("PULL {own} {} {}", at.word(), at.offset);
        let answer = line.ask(&ask, NEWS_WITHIN + ANSWER_WITHIN).await?;
        let senseless = |what: &dyn std::fmt::Debug| io::Error::other(format!("no data: {what:?}"));
        let Answer::Done(head) = answer else {
            return Err(senseless(&answer));
        };
        let words: Vec<&str> = head.split(' ').collect();
        let [history, offset, verdict, count] = words[..] else {
            return Err(senseless(&head));
        };
        let next = Track::read(history, offset).map_err(io::Error::other)?;
        let mut values = BTreeMap::new();
        for _ in 0..number(count).map_err(io::Error::other)? {
            let entry = timeout(ANSWER_WITHIN, line.line()).await??;
            let entry = entry.split_once(' ').ok_or_else(|| senseless(&entry))?;
            values.insert(entry.0.to_owned(), entry.1.to_owned());
        }
        shared.send_if_modified(|state| {
            if state.turn != turn || (state.linked && state.at == next) {
                return false;
            }
            if std::mem::replace(&mut state.was_primary, false) {
                state.rejoin = Some(verdict.to_owned());
            }
            if state.at != next {
                (state.values, state.at) = (values, next);
            }
            state.linked = true;
            true
        });
    }
}

#[cfg(test)]
#[path = "serve_tests.rs"]
mod tests;
