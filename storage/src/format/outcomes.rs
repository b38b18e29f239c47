//! Correspondence between kept answers and their messages.

use std::collections::BTreeMap;

use tenure_core::{ClientId, Created, Done, Epoch, NodeId, Outcome, Reject, RejectCode, Revision};

use super::FormatError;
use super::codec;
use super::v1::record as msg;

pub(super) fn encode_answers(answers: &BTreeMap<u64, Outcome>) -> Vec<msg::Answer> {
    let answer = |(sequence, outcome): (&u64, &Outcome)| msg::Answer {
        sequence: *sequence,
        outcome: Some(encode(outcome)),
    };
    answers.iter().map(answer).collect()
}

pub(super) fn decode_answers(
    found: Vec<msg::Answer>,
) -> Result<BTreeMap<u64, Outcome>, FormatError> {
    if !found.is_sorted_by(|a, b| a.sequence < b.sequence) {
        return Err(FormatError::invalid("answers of a client", "not in order"));
    }
    found
        .into_iter()
        .map(|answer| Ok((answer.sequence, decode(answer.outcome)?)))
        .collect()
}

fn encode(outcome: &Outcome) -> msg::Outcome {
    match outcome {
        Outcome::Done(done) => msg::Outcome::Done(msg::Done {
            revision: done.revision.0,
            created: done.created.map(|created| match created {
                Created::Node(id) => msg::Created::Node(id.0),
                Created::Client(id) => msg::Created::Client(id.0),
                Created::Epoch(epoch) => msg::Created::Epoch(epoch.0),
            }),
        }),
        // Answers of batches are kept for nobody: the command carries no request id.
        Outcome::Answered { revision, .. } => msg::Outcome::Done(msg::Done {
            revision: revision.0,
            created: None,
        }),
        Outcome::Rejected(reject) => msg::Outcome::Rejected(msg::Reject {
            code: reject.code.number(),
            subject: codec::subject::encode(&reject.subject),
            expected: reject.expected,
            actual: reject.actual,
            detail: codec::detail::encode(&reject.detail),
        }),
    }
}

fn decode(found: Option<msg::Outcome>) -> Result<Outcome, FormatError> {
    match found.ok_or(FormatError::Missing("outcome"))? {
        msg::Outcome::Done(done) => Ok(Outcome::Done(Done {
            revision: Revision(done.revision),
            created: done.created.map(|created| match created {
                msg::Created::Node(id) => Created::Node(NodeId(id)),
                msg::Created::Client(id) => Created::Client(ClientId(id)),
                msg::Created::Epoch(epoch) => Created::Epoch(Epoch(epoch)),
            }),
        })),
        msg::Outcome::Rejected(reject) => Ok(Outcome::Rejected(Reject {
            code: reject_code(reject.code)?,
            subject: codec::subject::decode(reject.subject)?,
            expected: reject.expected,
            actual: reject.actual,
            detail: codec::detail::decode(reject.detail)?,
        })),
    }
}

fn reject_code(number: u32) -> Result<RejectCode, FormatError> {
    RejectCode::from_number(number).ok_or(FormatError::UnknownValue {
        what: "reason of a reject",
        number: number.into(),
    })
}
