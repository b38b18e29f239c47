//! What a failed attempt means: final, or worth another attempt, and where.

use crate::{Error, Refusal, ServerAddress};
use std::error::Error as _;
use tenure_core::{Reject, RejectCode, ServerId};
use tenure_proto::{
    refusal::refusal,
    v1::{self, refusal::Reason},
};
use tonic::{Code, ConnectError, Status};

/// What a failed attempt means.
#[derive(Debug)]
pub(crate) enum Judged {
    /// Another attempt cannot help.
    Final(Error),
    /// The server does not lead; it named this one. Nothing happened.
    Elsewhere(ServerAddress, String),
    /// Nobody can do it at the moment, or not this server. Nothing happened.
    NotNow(Error),
    /// No answer came. Where nothing was sent, nothing happened.
    Broken { sent: bool, why: String },
}

pub(crate) fn judge(status: &Status) -> Judged {
    match refusal(status) {
        Some(refusal) => judge_refusal(refusal),
        None => judge_bare(status),
    }
}

/// A status of the transport, of a proxy, or of a server that is none of ours.
fn judge_bare(status: &Status) -> Judged {
    let why = sentence(status);
    match status.code() {
        Code::Unavailable
        | Code::Unknown
        | Code::Internal
        | Code::Cancelled
        | Code::DeadlineExceeded
        | Code::Aborted
        // A server that is shown many cancelled requests at once, as after a long pause, closes the
        // connection with "enhance your calm": requests that it has taken are answered so too.
        | Code::ResourceExhausted
        | Code::DataLoss => Judged::Broken {
            sent: !is_connect_error(status),
            why,
        },
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Unauthenticated => Judged::Final(Error::Refused {
            reason: Refusal::Other,
            detail: why,
            leader: None,
        }),
    }
}

/// The status' words with their cause, which for errors of the transport says most.
pub(crate) fn sentence(status: &Status) -> String {
    let mut words = if status.message().is_empty() {
        status.code().to_string()
    } else {
        status.message().to_owned()
    };
    let mut cause = status.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !words.contains(&text) {
            words.push_str(": ");
            words.push_str(&text);
        }
        cause = error.source();
    }
    words
}

fn is_connect_error(status: &Status) -> bool {
    let mut cause = status.source();
    while let Some(error) = cause {
        if error.is::<ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn judge_refusal(refusal: v1::Refusal) -> Judged {
    let leader = refusal.leader.map(|hint| ServerAddress {
        id: ServerId(hint.id),
        api: hint.api,
    });
    let detail = refusal.detail;
    let refused = |reason| Error::Refused {
        reason,
        detail: detail.clone(),
        leader: leader.clone(),
    };
    match Reason::try_from(refusal.reason).unwrap_or(Reason::Unspecified) {
        Reason::NotLeader => match leader {
            Some(leader) => Judged::Elsewhere(leader, detail),
            None => Judged::NotNow(refused(Refusal::NotLeader)),
        },
        Reason::NoLeader => Judged::NotNow(refused(Refusal::NoLeader)),
        Reason::Rejected => judge_reject(refusal.reject, detail),
        Reason::OutcomeUnknown => Judged::Broken {
            sent: true,
            why: detail,
        },
        Reason::TooStale => Judged::NotNow(refused(Refusal::TooStale {
            age_ms: refusal.age_ms,
        })),
        Reason::Invalid => Judged::Final(Error::Invalid(detail)),
        Reason::ShuttingDown => Judged::NotNow(refused(Refusal::ShuttingDown)),
        Reason::Overloaded => Judged::NotNow(refused(Refusal::Overloaded)),
        Reason::NotFormed => Judged::NotNow(refused(Refusal::NotFormed)),
        Reason::NotFound => Judged::Final(refused(Refusal::NotFound)),
        Reason::Membership => Judged::Final(refused(Refusal::Membership)),
        Reason::NoQuorum => Judged::NotNow(refused(Refusal::NoQuorum)),
        Reason::Held => judge_hold(refusal.hold, detail, leader),
        Reason::Unspecified => Judged::Final(refused(Refusal::Other)),
    }
}

fn judge_hold(hold: Option<v1::Hold>, detail: String, leader: Option<ServerAddress>) -> Judged {
    let (code, detail) = match hold {
        Some(hold) => (hold.code, hold.why),
        None => (0, detail),
    };
    Judged::Final(Error::Refused {
        reason: Refusal::Held { code },
        detail,
        leader,
    })
}

fn judge_reject(wire: Option<v1::Reject>, detail: String) -> Judged {
    let code = wire.as_ref().map_or(0, |reject| reject.code);
    match wire.map(Reject::try_from) {
        Some(Ok(reject)) if reject.code == RejectCode::RequestWindowFull => {
            Judged::NotNow(Error::Rejected(reject))
        }
        Some(Ok(reject)) => Judged::Final(Error::Rejected(reject)),
        Some(Err(_)) | None => Judged::Final(Error::Refused {
            reason: Refusal::RejectedForNewReason { code },
            detail,
            leader: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_proto::refusal::{because, status};

    #[test]
    fn a_reason_of_a_newer_server_keeps_its_sentence() {
        let newer = v1::Refusal {
            reject: Some(v1::Reject {
                code: 9_999,
                ..v1::Reject::default()
            }),
            ..because(Reason::Rejected, "node a is on the moon")
        };
        let Judged::Final(error) = judge(&status(Code::FailedPrecondition, newer)) else {
            panic!("a reject is final");
        };
        assert_eq!(error.to_string(), "refused: node a is on the moon");
        let mut unknown = because(Reason::Unspecified, "so it is");
        unknown.reason = 77;
        let Judged::Final(error) = judge(&status(Code::FailedPrecondition, unknown)) else {
            panic!("an unknown reason is final");
        };
        assert_eq!(error.to_string(), "refused: so it is");
        assert!(!error.is_retryable() && !error.may_have_happened());
    }

    #[test]
    fn what_may_have_been_sent_is_told_from_what_was_not() {
        let refused = ConnectError("connection refused".into());
        let connect = Status::from_error(Box::new(refused));
        assert!(matches!(
            judge(&connect),
            Judged::Broken { sent: false, .. }
        ));
        let cut = Status::unavailable("connection reset");
        assert!(matches!(judge(&cut), Judged::Broken { sent: true, .. }));
        let calm = Status::resource_exhausted(
            "h2 protocol error: connection error received: enhance your calm",
        );
        assert!(matches!(judge(&calm), Judged::Broken { sent: true, .. }));
        let unknown = status(Code::Unknown, because(Reason::OutcomeUnknown, "x"));
        assert!(matches!(judge(&unknown), Judged::Broken { sent: true, .. }));
        assert!(matches!(
            judge(&Status::unimplemented("x")),
            Judged::Final(_)
        ));
    }
}
