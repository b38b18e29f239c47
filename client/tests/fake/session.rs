//! The Session service of a fake server: notes what members say, and sends what the test tells it to.

use super::{Server, id};
use std::pin::Pin;
use tenure_core::Grant;
use tenure_proto::v1::{self, member_message, server_message, session_server::Session};
use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt, wrappers::UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming};

/// What a member's session with one server says back.
pub type Saying = mpsc::UnboundedSender<Result<v1::ServerMessage, Status>>;

/// A message that grants.
pub fn granting(grant: &Grant) -> v1::ServerMessage {
    v1::ServerMessage {
        kind: Some(server_message::Kind::Grant(grant.into())),
    }
}

#[tonic::async_trait]
impl Session for Server {
    type AttendStream = Pin<Box<dyn Stream<Item = Result<v1::ServerMessage, Status>> + Send>>;

    async fn attend(
        &self,
        request: Request<Streaming<v1::MemberMessage>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let mut messages = request.into_inner();
        let first = messages.message().await?.and_then(|first| first.kind);
        let Some(member_message::Kind::Hello(hello)) = first else {
            return Err(Status::invalid_argument("no hello"));
        };
        let (saying, said) = mpsc::unbounded_channel();
        {
            let mut inner = self.shared.lock();
            inner.hellos.push((self.at, hello));
            if let Some(why) = inner.refused.get(&self.at) {
                return Err(Status::failed_precondition(why.clone()));
            }
            let welcome = v1::Welcome {
                cluster: "c".to_owned(),
                server: id(self.at).0,
            };
            let kind = Some(server_message::Kind::Welcome(welcome));
            let welcome = v1::ServerMessage { kind };
            saying.send(Ok(welcome)).expect("the other end is here");
            inner.sayings.insert(self.at, saying);
        }
        let server = self.clone();
        tokio::spawn(async move { server.listen(messages).await });
        Ok(Response::new(Box::pin(
            UnboundedReceiverStream::new(said).map(|said| said),
        )))
    }
}

impl Server {
    async fn listen(&self, mut messages: Streaming<v1::MemberMessage>) {
        loop {
            let mut hearing = self.shared.hearing.subscribe();
            if hearing.wait_for(|hears| *hears).await.is_err() {
                return;
            }
            let Ok(Some(message)) = messages.message().await else {
                return;
            };
            if let Some(member_message::Kind::Beat(beat)) = message.kind {
                self.shared.lock().beats.push((self.at, beat));
            }
        }
    }
}
