//! Opening a watch at some server.

use super::stream::Seat;
use crate::{
    Error,
    judge::{Judged, judge},
    servers::Server,
    shared::Shared,
};
use std::{sync::Arc, time::Duration};
use tenure_proto::v1;
use tonic::Streaming;

/// A watch at a server.
pub(super) struct Opened {
    pub(super) server: Arc<Server>,
    pub(super) stream: Streaming<v1::WatchResponse>,
}

/// Why a watch was not opened, or why it ended.
pub(super) enum Lost {
    /// It goes on at another server.
    Elsewhere(String),
    /// No server would let it go on.
    End(Error),
}

impl Lost {
    pub(super) fn from_status(status: &tonic::Status) -> Self {
        match judge(status) {
            Judged::Final(error) => Self::End(error),
            Judged::Elsewhere(_, why) | Judged::Broken { why, .. } => Self::Elsewhere(why),
            Judged::NotNow(error) => Self::Elsewhere(error.to_string()),
        }
    }
}

/// Where a watch is opened next.
pub(super) struct Choice {
    /// Where it was before.
    pub(super) last: Option<Arc<Server>>,
    pub(super) seat: Option<Seat>,
}

impl Choice {
    fn server(&self, shared: &Shared) -> Arc<Server> {
        let last = self.last.as_ref();
        match &self.seat {
            Some(seat) => seat.choose(shared, last),
            None => shared.servers.next(last),
        }
    }
}

/// Opens a watch at the next server in turn, after a pause. Each has a connection of its own.
pub(super) async fn open(
    shared: Arc<Shared>,
    request: v1::WatchRequest,
    choice: Choice,
    pause: Duration,
) -> Result<Opened, Lost> {
    if !pause.is_zero() {
        tokio::time::sleep(pause).await;
    }
    let server = choice.server(&shared);
    let mut client = server.own_discovery();
    let answer = tokio::time::timeout(shared.options.attempt, client.watch(request)).await;
    let lost = match answer {
        Ok(Ok(answer)) => {
            shared.answered(&server, false);
            let stream = answer.into_inner();
            return Ok(Opened { server, stream });
        }
        Ok(Err(status)) => {
            let lost = Lost::from_status(&status);
            if matches!(lost, Lost::Elsewhere(_)) {
                server.avoid(false);
            }
            lost
        }
        Err(_) => {
            server.avoid(true);
            Lost::Elsewhere(format!("server {} does not answer", server.api()))
        }
    };
    shared.servers_may_have_changed();
    Err(lost)
}
