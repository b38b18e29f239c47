//! Requests' ids and what came of them.

use super::field;
use crate::{ParseError, v1, v1::execute_response::Created as WireCreated};
use tenure_core::{
    ClientId, Created, Done, Epoch, NodeId, Reject, RejectCode, RequestId, Revision,
};

impl TryFrom<v1::RequestId> for RequestId {
    type Error = ParseError;

    fn try_from(wire: v1::RequestId) -> Result<Self, ParseError> {
        if wire.client == 0 {
            return Err(ParseError::new("client", "is 0, which is no registration"));
        }
        if wire.sequence == 0 {
            return Err(ParseError::new(
                "sequence",
                "is 0: requests are counted from 1",
            ));
        }
        if wire.first_incomplete > wire.sequence {
            let why = format!(
                "is {}, after this request itself ({})",
                wire.first_incomplete, wire.sequence
            );
            return Err(ParseError::new("first_incomplete", why));
        }
        Ok(Self {
            client: ClientId(wire.client),
            sequence: wire.sequence,
            first_incomplete: wire.first_incomplete,
        })
    }
}

impl From<RequestId> for v1::RequestId {
    fn from(request: RequestId) -> Self {
        Self {
            client: request.client.0,
            sequence: request.sequence,
            first_incomplete: request.first_incomplete,
        }
    }
}

impl From<Done> for v1::ExecuteResponse {
    fn from(done: Done) -> Self {
        let created = done.created.map(|created| match created {
            Created::Node(id) => WireCreated::Node(id.0),
            Created::Client(id) => WireCreated::Client(id.0),
            Created::Epoch(epoch) => WireCreated::Epoch(epoch.0),
        });
        Self {
            revision: done.revision.0,
            created,
        }
    }
}

impl From<v1::ExecuteResponse> for Done {
    fn from(wire: v1::ExecuteResponse) -> Self {
        let created = wire.created.map(|created| match created {
            WireCreated::Node(id) => Created::Node(NodeId(id)),
            WireCreated::Client(id) => Created::Client(ClientId(id)),
            WireCreated::Epoch(epoch) => Created::Epoch(Epoch(epoch)),
        });
        Self {
            revision: Revision(wire.revision),
            created,
        }
    }
}

impl TryFrom<v1::Reject> for Reject {
    type Error = ParseError;

    /// Refuses a code that only a newer server knows: show the refusal's sentence instead.
    fn try_from(wire: v1::Reject) -> Result<Self, ParseError> {
        let code = RejectCode::from_number(wire.code).ok_or_else(|| {
            ParseError::new(
                "code",
                format!("is {}, which this build does not know", wire.code),
            )
        })?;
        Ok(Self {
            code,
            subject: field::note("subject", &wire.subject)?,
            expected: wire.expected,
            actual: wire.actual,
            detail: field::note("detail", &wire.detail)?,
        })
    }
}

impl From<&Reject> for v1::Reject {
    fn from(reject: &Reject) -> Self {
        Self {
            code: reject.code.number(),
            subject: reject.subject.as_str().to_owned(),
            expected: reject.expected,
            actual: reject.actual,
            detail: reject.detail.as_str().to_owned(),
        }
    }
}
