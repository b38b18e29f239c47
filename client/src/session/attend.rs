//! The session with one server: opened, held, and opened again when it ends.

use super::sessions::Attendance;
use crate::{
    judge::sentence,
    servers::{ANSWER_BYTES_MAX, Server},
    shared::Shared,
};
use futures::{Stream, StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tenure_core::{Endpoint, Grant, Heartbeat, Member, ServerId};
use tenure_proto::net;
use tenure_proto::v1::{self, member_message, server_message, session_client::SessionClient};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout},
};
use tonic::{Streaming, transport::Channel};

/// The pauses before a session is opened again: doubled each time, until one has lasted.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LONGEST: Duration = Duration::from_millis(500);

/// A session that lasted so long was a good one: the next pause is the shortest again.
const LASTED: Duration = Duration::from_secs(1);

/// How often a silent connection is asked whether it still lives, and how long it may take to say so.
/// A connection that is cut has to be given up soon: what was sent into it comes again ever later.
const KEEPALIVE: Duration = Duration::from_millis(500);
const KEEPALIVE_ANSWER: Duration = Duration::from_secs(1);

/// What all sessions of a member share.
#[derive(Clone)]
pub(super) struct Attending {
    pub(super) shared: Arc<Shared>,
    pub(super) member: Member,
    pub(super) session: u64,
    pub(super) cluster: String,
    pub(super) beats: watch::Receiver<Option<Arc<Heartbeat>>>,
    pub(super) grants: mpsc::Sender<Grant>,
    pub(super) attendance: Attendance,
}

impl Attending {
    /// Notes how the session with a server stands, for those who look. A server that is attended no
    /// more is not noted again.
    fn note(&self, api: &Endpoint, server: Option<ServerId>, trouble: Option<String>) {
        let mut attended = self.attendance.lock();
        if let Some(now) = attended.get_mut(api) {
            now.server = server;
            now.trouble = trouble;
        }
    }

    /// Holds a session with one server, and opens it again for as long as this is polled.
    pub(super) async fn attend(self, server: Arc<Server>) {
        let api = server.endpoint().clone();
        let mut pause = PAUSE_FIRST;
        let mut said = String::new();
        loop {
            let began = Instant::now();
            let why = self.hold(&server, &api).await;
            if began.elapsed() >= LASTED {
                pause = PAUSE_FIRST;
            }
            if why != said {
                tracing::info!(%api, %why, "no session with a server");
                said.clone_from(&why);
            }
            self.note(&api, None, Some(why));
            tokio::time::sleep(self.shared.backoff.jittered(pause)).await;
            pause = (pause * 2).min(PAUSE_LONGEST);
        }
    }

    /// One session, until it ends. Gives the reason.
    async fn hold(&self, server: &Server, api: &Endpoint) -> String {
        // What is sent ends with this attempt, whether the connection has noticed yet or not.
        let (_open, ended) = oneshot::channel();
        let (id, mut answers) = match self.open(server, ended).await {
            Ok(opened) => opened,
            Err(why) => return why,
        };
        tracing::debug!(%api, server = %id, "session opened");
        self.note(api, Some(id), None);
        loop {
            let grant = match next(&mut answers).await {
                Ok(server_message::Kind::Grant(grant)) => grant,
                Ok(server_message::Kind::Welcome(_)) => continue,
                Err(why) => return why,
            };
            let grant = match Grant::try_from(grant) {
                Ok(grant) => grant,
                Err(why) => return format!("a grant of server {id} cannot be read: {why}"),
            };
            // Waiting here holds this server's stream back, and nobody else's.
            if self.grants.send(grant).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// A connection of its own for each session, so that no read or watch delays it.
    async fn open(
        &self,
        server: &Server,
        ended: oneshot::Receiver<()>,
    ) -> Result<(ServerId, Streaming<v1::ServerMessage>), String> {
        let options = &self.shared.options;
        let target = server.target().clone();
        let target = target
            .http2_keep_alive_interval(KEEPALIVE)
            .keep_alive_timeout(KEEPALIVE_ANSWER);
        let silent = |_| format!("server {} does not answer", server.api());
        let connected = timeout(options.connect, net::connect(&target)).await;
        let channel: Channel = match connected.map_err(silent)? {
            Ok(channel) => channel,
            Err(why) => return Err(sentence(&tonic::Status::from_error(why.into()))),
        };
        let mut client = SessionClient::new(channel).max_decoding_message_size(ANSWER_BYTES_MAX);
        let asked = timeout(options.attempt, client.attend(self.messages(ended))).await;
        let answers = asked.map_err(silent)?.map_err(|status| sentence(&status));
        let mut answers = answers?.into_inner();
        match timeout(options.attempt, next(&mut answers))
            .await
            .map_err(silent)??
        {
            server_message::Kind::Welcome(welcome) => Ok((ServerId(welcome.server), answers)),
            server_message::Kind::Grant(_) => Err("it granted before it answered the hello".into()),
        }
    }

    /// What is said to a server: who speaks, then the latest heartbeat each time that the connection
    /// takes one. What a slow server did not take in time is never sent.
    fn messages(
        &self,
        ended: oneshot::Receiver<()>,
    ) -> impl Stream<Item = v1::MemberMessage> + Send + 'static {
        let hello = member_message::Kind::Hello(v1::Hello {
            cluster: self.cluster.clone(),
            member: Some(self.member.into()),
            session: self.session,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        });
        let mut beats = self.beats.clone();
        beats.mark_changed();
        let beats = stream::unfold(beats, |mut beats| async move {
            loop {
                beats.changed().await.ok()?;
                let beat = beats.borrow_and_update().clone();
                if let Some(beat) = beat {
                    let kind = member_message::Kind::Beat(beat.as_ref().into());
                    return Some((kind, beats));
                }
            }
        });
        stream::iter([hello])
            .chain(beats)
            .take_until(ended)
            .map(|kind| v1::MemberMessage { kind: Some(kind) })
    }
}

/// The next message of a kind that this build knows.
async fn next(answers: &mut Streaming<v1::ServerMessage>) -> Result<server_message::Kind, String> {
    loop {
        match answers.message().await {
            Ok(Some(v1::ServerMessage { kind: Some(kind) })) => return Ok(kind),
            Ok(Some(v1::ServerMessage { kind: None })) => {}
            Ok(None) => return Err("the server ended the session".to_owned()),
            Err(status) => return Err(sentence(&status)),
        }
    }
}
