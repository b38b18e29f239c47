//! Refusals in the details of a gRPC status, in the form that generic tools print: the bytes of a
//! `google.rpc.Status` whose details hold the [`Refusal`](v1::Refusal).

use crate::v1::{self, refusal::Reason};
use prost::{Message, Name};
use tenure_core::{Endpoint, Reject, ServerId, controller::Hold};

/// `google.rpc.Status`, of which nothing else is used here.
#[derive(Clone, PartialEq, Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<prost_types::Any>,
}

impl Name for v1::Refusal {
    const NAME: &'static str = "Refusal";
    const PACKAGE: &'static str = "tenure.v1";

    fn type_url() -> String {
        "type.googleapis.com/tenure.v1.Refusal".to_owned()
    }
}

/// The refusal as a status; its message is the refusal's detail.
#[must_use]
pub fn status(code: tonic::Code, refusal: v1::Refusal) -> tonic::Status {
    let message = refusal.detail.clone();
    let packed = prost_types::Any {
        type_url: v1::Refusal::type_url(),
        value: refusal.encode_to_vec(),
    };
    let details = RpcStatus {
        code: code.into(),
        message: message.clone(),
        details: vec![packed],
    };
    tonic::Status::with_details(code, message, details.encode_to_vec().into())
}

/// The refusal in a status. None when there is none, as with a status of the transport or of a proxy.
#[must_use]
pub fn refusal(status: &tonic::Status) -> Option<v1::Refusal> {
    let details = RpcStatus::decode(status.details()).ok()?;
    let is_refusal = |any: &&prost_types::Any| any.type_url.ends_with("/tenure.v1.Refusal");
    let packed = details.details.iter().find(is_refusal)?;
    v1::Refusal::decode(packed.value.as_slice()).ok()
}

/// A refusal with a sentence and nothing else.
#[must_use]
pub fn because(reason: Reason, detail: impl Into<String>) -> v1::Refusal {
    v1::Refusal {
        reason: reason.into(),
        detail: detail.into(),
        leader: None,
        reject: None,
        age_ms: 0,
        hold: None,
    }
}

/// The refusal of a server that does not lead, with the one that does, where it is known.
#[must_use]
pub fn not_leader(leader: Option<(ServerId, &Endpoint)>) -> v1::Refusal {
    let Some((id, api)) = leader else {
        let detail = "nobody leads at the moment; nothing happened, try again";
        return because(Reason::NoLeader, detail);
    };
    let detail = format!("this server does not lead; ask server {id} at {api}");
    v1::Refusal {
        leader: Some(v1::ServerHint {
            id: id.0,
            api: api.as_str().to_owned(),
        }),
        ..because(Reason::NotLeader, detail)
    }
}

/// The refusal that carries a reject, with its sentence for those who do not know its code.
#[must_use]
pub fn rejected(reject: &Reject) -> v1::Refusal {
    v1::Refusal {
        reject: Some(reject.into()),
        ..because(Reason::Rejected, reject.to_string())
    }
}

/// The refusal that carries a hold, with its sentence for those who do not know its code.
#[must_use]
pub fn held(hold: &Hold) -> v1::Refusal {
    v1::Refusal {
        hold: Some(hold.into()),
        ..because(Reason::Held, hold.to_string())
    }
}

/// The number of a hold's code, and its reason as a sentence. None when the refusal is no hold. The
/// number may be one that only a newer server knows: show the sentence then.
#[must_use]
pub fn hold(refusal: &v1::Refusal) -> Option<(u32, &str)> {
    let hold = refusal.hold.as_ref()?;
    let is_hold = refusal.reason == i32::from(Reason::Held);
    is_hold.then_some((hold.code, hold.why.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::{Note, RejectCode, controller::HoldCode};
    use tonic::Code;

    #[test]
    fn a_refusal_survives_the_status() {
        let reject = Reject {
            code: RejectCode::WrongEpoch,
            subject: Note::new("service redis-server").unwrap(),
            expected: Some(3),
            actual: Some(4),
            detail: Note::default(),
        };
        let api = Endpoint::new("127.0.0.1:7411").unwrap();
        for (sent, code) in [
            (rejected(&reject), Code::FailedPrecondition),
            (
                not_leader(Some((ServerId(2), &api))),
                Code::FailedPrecondition,
            ),
            (not_leader(None), Code::Unavailable),
        ] {
            let status = status(code, sent.clone());
            assert_eq!(status.message(), sent.detail);
            assert_eq!(status.code(), code);
            assert_eq!(refusal(&status), Some(sent));
        }
    }

    #[test]
    fn a_hold_is_told_by_number_and_sentence() {
        let why = "2 of 3 were heard from; node 3 is missing";
        let sent = held(&Hold::new(HoldCode::NotProven, why));
        assert_eq!(
            sent.detail,
            "completeness not proven: 2 of 3 were heard from; node 3 is missing"
        );
        let status = status(Code::FailedPrecondition, sent.clone());
        let told = refusal(&status);
        assert_eq!(told.as_ref(), Some(&sent));
        assert_eq!(told.as_ref().and_then(hold), Some((6, why)));
        let newer = v1::Refusal {
            hold: Some(v1::Hold {
                code: 9_999,
                why: "something new".to_owned(),
            }),
            ..sent.clone()
        };
        assert_eq!(hold(&newer), Some((9_999, "something new")));
        let other = v1::Refusal {
            reason: Reason::Invalid.into(),
            ..sent
        };
        assert_eq!(hold(&other), None);
        assert_eq!(hold(&because(Reason::Held, "x")), None);
    }

    #[test]
    fn other_statuses_hold_none() {
        let foreign = RpcStatus {
            code: 14,
            message: String::new(),
            details: vec![prost_types::Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".to_owned(),
                value: vec![1, 2, 3],
            }],
        };
        for details in [vec![], vec![0xff, 0xff], foreign.encode_to_vec()] {
            let status = tonic::Status::with_details(Code::Unavailable, "x", details.into());
            assert_eq!(refusal(&status), None);
        }
    }
}
