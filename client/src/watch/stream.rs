//! The stream: opens a watch, takes in what comes, and goes on elsewhere when nothing does.

use super::{
    connect::{Choice, Lost, Opened, open},
    event::{Cursor, Trouble, WatchEvent},
};
use crate::{
    Error,
    servers::{Server, is_same},
    shared::Shared,
};
use futures::future::BoxFuture;
use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};
use tenure_core::{Filter, Millis};
use tenure_proto::{filter_to_wire, v1};
use tokio::time::{Instant, Sleep};
use tokio_stream::Stream;

/// A watch: a snapshot, then every change, without gaps and never backwards, from whichever server
/// answers. Get it by [`Client::watch`](crate::Client::watch).
///
/// It never ends by itself unless the request is refused for good. It reads only as fast as it is
/// polled, and a slow consumer costs no memory here: a watch that falls too far behind is told
/// [`WatchEvent::Compacted`] and starts over. It holds a connection of its own, which
/// is closed when it is dropped.
pub struct Watch {
    shared: Arc<Shared>,
    kinds: Vec<i32>,
    services: Vec<String>,
    cursor: Cursor,
    stage: Stage,
    /// The server that was watched last.
    last: Option<Arc<Server>>,
    /// Its place beside another watch of the same.
    seat: Option<Seat>,
    heard: Instant,
    silence: Pin<Box<Sleep>>,
    /// Attempts since something was heard.
    attempts: u32,
    /// Whether the watcher was told that the connection is lost.
    interrupted: bool,
}

/// One of two watches of the same, each at a server of its own where there are two.
#[derive(Clone)]
pub(super) struct Seat {
    servers: Arc<Mutex<[Option<Arc<Server>>; 2]>>,
    own: usize,
}

impl Seat {
    pub(super) fn two() -> (Self, Self) {
        let servers = Arc::new(Mutex::new([None, None]));
        let seat = |own| Self {
            servers: servers.clone(),
            own,
        };
        (seat(0), seat(1))
    }

    /// Chooses the next server to watch at.
    pub(super) fn choose(&self, shared: &Shared, last: Option<&Arc<Server>>) -> Arc<Server> {
        let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let other = servers[1 - self.own].clone();
        let server = shared.servers.next_beside(last, other.as_ref());
        servers[self.own] = Some(server.clone());
        server
    }

    /// Whether the other watch is at the same server.
    fn is_crowded(&self) -> bool {
        let servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        match &servers[self.own] {
            Some(own) => is_same(servers[1 - self.own].as_ref(), own),
            None => false,
        }
    }
}

enum Stage {
    Closed,
    Opening(BoxFuture<'static, Result<Opened, Lost>>),
    Open(Box<Opened>),
    Ended,
}

impl Watch {
    pub(crate) fn new(shared: Arc<Shared>, filter: &Filter) -> Self {
        Self::seated(shared, filter, None)
    }

    pub(super) fn seated(shared: Arc<Shared>, filter: &Filter, seat: Option<Seat>) -> Self {
        let (kinds, services) = filter_to_wire(filter);
        let now = Instant::now();
        Self {
            shared,
            kinds,
            services,
            cursor: Cursor::default(),
            stage: Stage::Closed,
            last: None,
            seat,
            heard: now,
            silence: Box::pin(tokio::time::sleep_until(now)),
            attempts: 0,
            interrupted: false,
        }
    }

    /// What comes next. Waits for it as long as it takes; may be dropped and called again without
    /// losing anything.
    ///
    /// # Errors
    /// Only what no server would let go on: [`Error::Invalid`] for a filter that is refused,
    /// [`Error::Refused`] when an answer cannot be read. The watch has ended then, and every further
    /// call says so.
    pub async fn next(&mut self) -> Result<WatchEvent, Error> {
        std::future::poll_fn(|context| self.poll_event(context)).await
    }

    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Result<WatchEvent, Error>> {
        loop {
            let lost = match &mut self.stage {
                Stage::Ended => {
                    let why = "the watch has ended: open another one".to_owned();
                    return Poll::Ready(Err(Error::Invalid(why)));
                }
                Stage::Closed => {
                    self.stage = Stage::Opening(Box::pin(self.opening()));
                    continue;
                }
                Stage::Opening(opening) => match ready!(opening.as_mut().poll(context)) {
                    Ok(opened) => {
                        self.cursor.reconnected();
                        self.heard = Instant::now();
                        self.last = Some(opened.server.clone());
                        self.stage = Stage::Open(Box::new(opened));
                        continue;
                    }
                    Err(lost) => lost,
                },
                Stage::Open(opened) => match Pin::new(&mut opened.stream).poll_next(context) {
                    Poll::Ready(Some(Ok(message))) => match self.take(message) {
                        Ok(None) => continue,
                        Ok(Some(event)) => return Poll::Ready(Ok(event)),
                        Err(lost) => lost,
                    },
                    Poll::Ready(Some(Err(status))) => Lost::from_status(&status),
                    Poll::Ready(None) => Lost::Elsewhere("the server ended the watch".to_owned()),
                    Poll::Pending => ready!(self.poll_silence(context)),
                },
            };
            match lost {
                Lost::End(error) => {
                    self.stage = Stage::Ended;
                    return Poll::Ready(Err(error));
                }
                Lost::Elsewhere(why) => {
                    self.stage = Stage::Closed;
                    tracing::debug!(%why, "a watch goes on elsewhere");
                    if !std::mem::replace(&mut self.interrupted, true) {
                        return Poll::Ready(Ok(WatchEvent::Interrupted { why }));
                    }
                }
            }
        }
    }

    fn opening(&mut self) -> impl Future<Output = Result<Opened, Lost>> + Send + 'static {
        let request = v1::WatchRequest {
            services: self.services.clone(),
            kinds: self.kinds.clone(),
            after_revision: self.cursor.resume_after(),
        };
        let every_server_at_once = u32::try_from(self.shared.servers.count()).unwrap_or(u32::MAX);
        let pause = match self.attempts.checked_sub(every_server_at_once) {
            None => Duration::ZERO,
            Some(pauses) => self.shared.backoff.pause(pauses),
        };
        self.attempts = self.attempts.saturating_add(1);
        let choice = Choice {
            last: self.last.clone(),
            seat: self.seat.clone(),
        };
        open(self.shared.clone(), request, choice, pause)
    }

    fn take(&mut self, message: v1::WatchResponse) -> Result<Option<WatchEvent>, Lost> {
        self.heard = Instant::now();
        let event = self.cursor.take(message).map_err(|trouble| match trouble {
            Trouble::Elsewhere(why) => Lost::Elsewhere(why),
            Trouble::End(error) => Lost::End(error),
        })?;
        if let Some(WatchEvent::Progress { age, .. }) = &event {
            self.refuse_outdated(*age)?;
            self.spread();
        }
        self.attempts = 0;
        self.interrupted = false;
        Ok(event)
    }

    /// Two watches that have come to the same server part again when there is another one.
    fn spread(&mut self) {
        let Some(seat) = &self.seat else {
            return;
        };
        if seat.is_crowded() && self.shared.servers.has_another(self.last.as_ref()) {
            self.stage = Stage::Closed;
        }
    }

    /// A server that is cut off from the others says itself how old its state is.
    fn refuse_outdated(&self, age: Millis) -> Result<(), Lost> {
        let most = self.shared.options.watch_silence;
        if Duration::from_millis(age.0) <= most || self.shared.servers.count() < 2 {
            return Ok(());
        }
        let why = format!(
            "the server's state is {age} old, at most {} ms are accepted",
            most.as_millis()
        );
        Err(Lost::Elsewhere(why))
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<Lost> {
        let silence = self.shared.options.watch_silence;
        let until = self.heard + silence;
        if self.silence.deadline() != until {
            self.silence.as_mut().reset(until);
        }
        ready!(self.silence.as_mut().poll(context));
        if let Some(server) = &self.last {
            server.avoid(true);
        }
        let why = format!("the server was silent for {} ms", silence.as_millis());
        Poll::Ready(Lost::Elsewhere(why))
    }
}

impl Stream for Watch {
    type Item = Result<WatchEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let watch = self.get_mut();
        if matches!(watch.stage, Stage::Ended) {
            return Poll::Ready(None);
        }
        watch.poll_event(context).map(Some)
    }
}
