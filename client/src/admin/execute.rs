//! Commands: sent until they are answered, applied once.

use super::Admin;
use crate::{
    Error,
    call::{self, Failure, Plan, Repeat, Route},
    requests::{Registration, Ticket},
    servers::Server,
    shared::Shared,
};
use std::{sync::Arc, time::Duration};
use tenure_core::{Command, Created, Done, RejectCode, RequestId};
use tenure_proto::v1;
use tokio::time::Instant;

impl Admin {
    /// Makes a change. It is made once, however often it has to be sent.
    ///
    /// Dropping the future leaves it open whether the change is made.
    ///
    /// # Errors
    /// [`Error::Rejected`] says why it was not made: read again and decide anew.
    /// [`Error::OutcomeUnknown`] when the deadline passed, or the cluster forgot this client, after it
    /// had been sent: look before making it again. After all others nothing happened, and
    /// [`Error::is_retryable`] says whether a retry may help.
    pub async fn execute(&self, command: Command) -> Result<Done, Error> {
        let wire = v1::Command::try_from(&command);
        let wire = wire.map_err(|why| Error::Invalid(why.to_string()))?;
        let shared = &self.shared;
        let began = Instant::now();
        let deadline = shared.until(shared.options.deadline);
        // A second round is for a registration that was dropped before this request was sent.
        loop {
            let ticket = ticket(shared, began, deadline).await?;
            let request = || request(shared, Some(ticket.id()), wire.clone());
            let plan = plan(shared, Repeat::ById, deadline);
            let failure = match send(shared, &plan, request).await {
                Ok(done) => return Ok(done),
                Err(failure) => failure,
            };
            match after(shared, &ticket, failure) {
                Some(error) => return Err(error),
                None => drop(ticket),
            }
        }
    }

    /// Forgets the registration.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let shared = &self.shared;
        let Some(client) = shared.requests.take() else {
            return Ok(());
        };
        let command = v1::Command::try_from(&Command::CloseClient { client });
        let wire = command.map_err(|why| Error::Invalid(why.to_string()))?;
        let plan = plan(
            shared,
            Repeat::Harmless,
            shared.until(shared.options.deadline),
        );
        let sent = send(shared, &plan, || request(shared, None, wire.clone())).await;
        sent.map(drop).map_err(|failure| failure.error)
    }
}

fn plan(shared: &Shared, repeat: Repeat, deadline: Instant) -> Plan {
    Plan {
        route: Route::Leader,
        repeat,
        deadline,
        attempt: shared.options.attempt,
    }
}

fn request(shared: &Shared, id: Option<RequestId>, command: v1::Command) -> v1::ExecuteRequest {
    v1::ExecuteRequest {
        request: id.map(Into::into),
        actor: shared.options.actor.clone(),
        command: Some(command),
    }
}

async fn send(
    shared: &Arc<Shared>,
    plan: &Plan,
    request: impl Fn() -> v1::ExecuteRequest,
) -> Result<Done, Failure> {
    let attempt = |server: Arc<Server>| {
        let request = request();
        async move { server.admin().execute(request).await }
    };
    let answer = call::call(shared, plan, attempt).await?;
    Ok(answer.into_inner().into())
}

/// What a failure means for the caller; None when the request may be made anew under another id.
fn after(shared: &Shared, ticket: &Ticket, failure: Failure) -> Option<Error> {
    let Failure { error, sent_before } = failure;
    let code = match &error {
        Error::Rejected(reject) => Some(reject.code),
        Error::Refused { .. }
        | Error::Unreachable { .. }
        | Error::Deadline { .. }
        | Error::OutcomeUnknown { .. }
        | Error::Invalid(_) => None,
    };
    let is_forgotten = code == Some(RejectCode::UnknownClient);
    if is_forgotten {
        shared.requests.forget(ticket.client());
        if !sent_before {
            return None;
        }
    }
    if is_forgotten || code == Some(RejectCode::RequestSettled) {
        return Some(Error::OutcomeUnknown {
            last: format!("it was sent, and then the cluster forgot this client: {error}"),
        });
    }
    Some(error)
}

/// A place for a request, with a registration where there is none yet.
async fn ticket(shared: &Arc<Shared>, began: Instant, deadline: Instant) -> Result<Ticket, Error> {
    let registration = match shared.requests.present() {
        Some(registration) => registration,
        None => register(shared, began, deadline).await?,
    };
    let place = tokio::time::timeout_at(deadline, registration.begin()).await;
    place.map_err(|_| too_late(began.elapsed(), "too many requests are under way"))
}

fn too_late(after: Duration, why: &str) -> Error {
    Error::Deadline {
        after,
        last: why.to_owned(),
        leader: None,
    }
}

async fn register(
    shared: &Arc<Shared>,
    began: Instant,
    deadline: Instant,
) -> Result<Arc<Registration>, Error> {
    let turn = tokio::time::timeout_at(deadline, shared.requests.opening.lock()).await;
    let _turn = turn.map_err(|_| too_late(began.elapsed(), "the client is not registered yet"))?;
    if let Some(registration) = shared.requests.present() {
        return Ok(registration);
    }
    let open = v1::Command::try_from(&Command::OpenClient);
    let open = open.map_err(|why| Error::Invalid(why.to_string()))?;
    let plan = plan(shared, Repeat::Harmless, deadline);
    let done = send(shared, &plan, || request(shared, None, open.clone())).await;
    match done.map_err(|failure| failure.error)?.created {
        Some(Created::Client(id)) => Ok(shared.requests.registered(id)),
        Some(Created::Node(_) | Created::Epoch(_)) | None => {
            Err(Error::unreadable("it names no registration"))
        }
    }
}
