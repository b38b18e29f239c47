//! From a request to a log entry: parse, stamp, encode, propose.

use super::refusal;
use crate::consensus::Consensus;
use std::time::{SystemTime, UNIX_EPOCH};
use tenure_core::{
    Command, Done, Envelope, Note, Outcome, RequestId, ServiceName, Timestamp,
    copies::CopiesCommand,
};
use tenure_proto::v1;
use tenure_storage::{format::encode_command, types::Payload};
use tonic::Status;

/// Largest log entry that is proposed, in bytes: what one append carries with room to spare.
const ENTRY_BYTES_MAX: usize = 1 << 20;

/// Commits the command of a request.
pub(super) async fn execute(
    consensus: &Consensus,
    request: v1::ExecuteRequest,
) -> Result<Done, Status> {
    let wanted = request
        .command
        .ok_or_else(|| refusal::invalid("command: is missing"))?;
    let command = Command::try_from(wanted).map_err(refusal::invalid)?;
    let actor =
        Note::new(&request.actor).map_err(|why| refusal::invalid(format!("actor: {why}")))?;
    let request = request.request.map(RequestId::try_from).transpose();
    let request = request.map_err(|error| refusal::invalid(error.within("request")))?;
    let envelope = Envelope {
        request,
        actor,
        stamp: now(),
        command,
    };
    let payload = encode_command(&envelope);
    if payload.len() > ENTRY_BYTES_MAX {
        let bytes = payload.len();
        return Err(refusal::invalid(format!(
            "command: it has {bytes} bytes, at most {ENTRY_BYTES_MAX} go into one log entry; send it in parts"
        )));
    }
    match consensus
        .propose(Payload(payload))
        .await
        .map_err(refusal::propose)?
    {
        Outcome::Rejected(reject) => Err(refusal::rejected(&reject)),
        other @ (Outcome::Done(_) | Outcome::Answered { .. }) => {
            let done = other.into_result();
            done.map_err(|reject| refusal::rejected(&reject))
        }
    }
}

/// Commits something asked of the copies of a service, which carries no request id: it is harmless to repeat.
pub(super) async fn on_copies(
    consensus: &Consensus,
    actor: &Note,
    service: ServiceName,
    what: CopiesCommand,
) -> Result<Outcome, Status> {
    let envelope = Envelope {
        request: None,
        actor: actor.clone(),
        stamp: now(),
        command: Command::Copies { service, what },
    };
    let payload = encode_command(&envelope);
    if payload.len() > ENTRY_BYTES_MAX {
        let bytes = payload.len();
        return Err(refusal::invalid(format!(
            "items: they make {bytes} bytes of log, at most {ENTRY_BYTES_MAX} go into one entry; send fewer at a time"
        )));
    }
    let outcome = consensus.propose(Payload(payload)).await;
    match outcome.map_err(refusal::propose)? {
        Outcome::Rejected(reject) => Err(refusal::rejected(&reject)),
        other @ (Outcome::Done(_) | Outcome::Answered { .. }) => Ok(other),
    }
}

/// The wall clock, for people who read the history.
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
