//! Sessions: every member's standing connection to this server. Hears what members say and hands it on;
//! brings them what they are granted. Decides nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use tenure_core::{Heartbeat, Member};
use tenure_proto::refusal::{because, status};
use tenure_proto::v1::{self, member_message, refusal::Reason, server_message};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::api::refusal;
use crate::consensus::Consensus;
use crate::exchange::Exchange;

mod registry;

pub(crate) use registry::Registry;
use registry::{Next, Seat};

/// How long a member may take to say who it is.
const HELLO_WITHIN: Duration = Duration::from_secs(2);
/// How long a member may be silent before its session ends: three beats of the slowest tempo there may be.
const SILENCE_MAX: Duration = Duration::from_secs(180);

pub(crate) struct Service {
    consensus: Consensus,
    exchange: Arc<Exchange>,
}

impl Service {
    pub(crate) fn new(consensus: Consensus, exchange: Arc<Exchange>) -> Service {
        Service {
            consensus,
            exchange,
        }
    }

    fn admit(&self, hello: v1::Hello) -> Result<Arc<Seat>, Status> {
        let ours = self.consensus.cluster();
        if !hello.cluster.is_empty() && hello.cluster != ours {
            return Err(refusal::invalid(format!(
                "hello.cluster: this server belongs to cluster {ours:?}, the member asks for {:?}: \
                 correct the address or the cluster's name in the agent's configuration",
                hello.cluster
            )));
        }
        let member = hello
            .member
            .ok_or_else(|| refusal::invalid("hello.member: is missing"))?;
        let member = Member::try_from(member)
            .map_err(|error| refusal::invalid(error.within("hello.member")))?;
        let seat = self.exchange.sessions.open(member, hello.session);
        let seat = seat.ok_or_else(|| refusal::overloaded("too many sessions at a time"))?;
        tracing::debug!(server = %self.consensus.id(), %member, version = hello.version, "attends");
        Ok(seat)
    }

    fn welcome(&self) -> v1::ServerMessage {
        let welcome = v1::Welcome {
            cluster: self.consensus.cluster().to_owned(),
            server: self.consensus.id().0,
        };
        v1::ServerMessage {
            kind: Some(server_message::Kind::Welcome(welcome)),
        }
    }
}

#[tonic::async_trait]
impl v1::session_server::Session for Service {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<v1::ServerMessage, Status>> + Send>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::MemberMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        if self.consensus.is_shutting_down() {
            return Err(leaving());
        }
        let mut messages = request.into_inner();
        let first = timeout(HELLO_WITHIN, messages.message()).await;
        let first = first.map_err(|_| {
            let within = HELLO_WITHIN.as_secs();
            let why = format!("no hello came within {within} s");
            status(Code::DeadlineExceeded, because(Reason::Invalid, why))
        })??;
        let Some(member_message::Kind::Hello(hello)) = first.and_then(|first| first.kind) else {
            return Err(refusal::invalid("the first message must be a hello"));
        };
        let seat = self.admit(hello)?;
        let welcome = stream::iter([Ok(self.welcome())]);
        let granted = granted(Occupied(seat.clone()));
        tokio::spawn(listen(
            self.consensus.clone(),
            self.exchange.clone(),
            seat,
            messages,
        ));
        Ok(Response::new(Box::pin(welcome.chain(granted))))
    }
}

/// A stream's hold on its session: the session ends when the stream is dropped.
struct Occupied(Arc<Seat>);

impl Drop for Occupied {
    fn drop(&mut self) {
        self.0.end(None);
    }
}

/// The grants of a session, each sent when the connection has room for it.
fn granted(seat: Occupied) -> impl Stream<Item = Result<v1::ServerMessage, Status>> + Send {
    stream::unfold(Some(seat), |seat| async move {
        let seat = seat?;
        match seat.0.next().await {
            Next::Grant(grant) => {
                let kind = Some(server_message::Kind::Grant(grant));
                Some((Ok(v1::ServerMessage { kind }), Some(seat)))
            }
            Next::Refused(status) => Some((Err(status), None)),
            Next::Ended => None,
        }
    })
}

/// Hands on what a member says until its session ends.
async fn listen(
    consensus: Consensus,
    exchange: Arc<Exchange>,
    seat: Arc<Seat>,
    messages: Streaming<v1::MemberMessage>,
) {
    let ending = tokio::select! {
        ending = hear(&exchange, &seat, messages) => ending,
        () = seat.ended() => None,
        () = consensus.closed() => Some(leaving()),
    };
    exchange.sessions.close(&seat);
    seat.end(ending);
}

/// Returns why the session ends; None when the member ended it.
async fn hear(
    exchange: &Exchange,
    seat: &Seat,
    mut messages: Streaming<v1::MemberMessage>,
) -> Option<Status> {
    loop {
        let message = match timeout(SILENCE_MAX, messages.message()).await {
            Ok(Ok(Some(message))) => message,
            Ok(Ok(None) | Err(_)) => return None,
            Err(_) => return Some(silent(seat.member)),
        };
        match beat(message, seat.session) {
            Ok(beat) => exchange.beat(seat.member, beat),
            Err(status) => return Some(status),
        }
    }
}

fn beat(message: v1::MemberMessage, session: u64) -> Result<Heartbeat, Status> {
    let Some(member_message::Kind::Beat(beat)) = message.kind else {
        return Err(refusal::invalid("a heartbeat must follow the hello"));
    };
    let beat = Heartbeat::try_from(beat).map_err(|error| refusal::invalid(error.within("beat")))?;
    if beat.session != session {
        return Err(refusal::invalid(format!(
            "beat.session: is {}, and the hello says {session}",
            beat.session
        )));
    }
    Ok(beat)
}

fn leaving() -> Status {
    let why = "this server is shutting down; the member's other sessions go on";
    status(Code::Unavailable, because(Reason::ShuttingDown, why))
}

fn silent(member: Member) -> Status {
    let why = format!("no beat of {member} within {} s", SILENCE_MAX.as_secs());
    status(Code::DeadlineExceeded, because(Reason::Invalid, why))
}

/// An agent that reads this while it runs has a double: two processes say that they are the same member.
fn replaced(member: Member) -> Status {
    let why = format!("a newer session of {member} with this server took the place of this one");
    status(Code::Aborted, because(Reason::Unspecified, why))
}
