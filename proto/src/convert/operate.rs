//! What operators ask of the leader, and its answers: wishes, holds, explanations, forecasts.

use super::field;
use crate::{ParseError, v1};
use tenure_core::{
    NodeId,
    controller::{Explanation, Forecast, Hold, HoldCode, Wish},
};

/// Most facts in one answer.
const FACTS_MAX: usize = 10_000;

impl TryFrom<v1::SwitchoverRequest> for Wish {
    type Error = ParseError;

    fn try_from(wire: v1::SwitchoverRequest) -> Result<Self, ParseError> {
        Ok(Self::Switchover {
            service: field::service_name("service", &wire.service)?,
            to: field::optional("to", wire.to)?,
            reason: field::note("reason", &wire.reason)?,
        })
    }
}

impl TryFrom<v1::FailoverRequest> for Wish {
    type Error = ParseError;

    fn try_from(wire: v1::FailoverRequest) -> Result<Self, ParseError> {
        Ok(Self::Failover {
            service: field::service_name("service", &wire.service)?,
            to: field::optional("to", wire.to)?,
            accept_loss: wire.accept_loss,
            fenced: wire.fenced,
            reason: field::note("reason", &wire.reason)?,
        })
    }
}

impl TryFrom<v1::Hold> for Hold {
    type Error = ParseError;

    /// Refuses a code that only a newer server knows: show the hold's sentence instead.
    fn try_from(wire: v1::Hold) -> Result<Self, ParseError> {
        let mut codes = HoldCode::ALL.iter();
        let code = codes.find(|code| code.number() == wire.code);
        let code = code.ok_or_else(|| {
            let why = format!("is {}, which this build does not know", wire.code);
            ParseError::new("code", why)
        })?;
        Ok(Self::new(*code, wire.why))
    }
}

impl From<&Hold> for v1::Hold {
    fn from(hold: &Hold) -> Self {
        Self {
            code: hold.code.number(),
            why: hold.why.clone(),
        }
    }
}

fn facts(wire: Vec<String>) -> Result<Vec<String>, ParseError> {
    field::bounded("facts", wire.len(), FACTS_MAX)?;
    Ok(wire)
}

/// What was decided, or the hold that says why nothing was: one of them, not both.
fn decision<T>(
    field: &str,
    decided: Option<T>,
    hold: Option<v1::Hold>,
) -> Result<Result<T, Hold>, ParseError> {
    match (decided, field::optional("hold", hold)?) {
        (Some(decided), None) => Ok(Ok(decided)),
        (None, Some(hold)) => Ok(Err(hold)),
        (Some(_), Some(hold)) => {
            let why = format!("says {hold}, and {field} says what is done");
            Err(ParseError::new("hold", why))
        }
        (None, None) => Err(ParseError::new("hold", "is missing, and nothing is done")),
    }
}

impl TryFrom<v1::ExplainResponse> for Explanation {
    type Error = ParseError;

    /// Leaves the header aside.
    fn try_from(wire: v1::ExplainResponse) -> Result<Self, ParseError> {
        let done = (!wire.decision.is_empty()).then_some(wire.decision);
        Ok(Self {
            decision: decision("decision", done, wire.hold)?,
            facts: facts(wire.facts)?,
        })
    }
}

impl From<&Explanation> for v1::ExplainResponse {
    /// Without a header, which whoever answers adds.
    fn from(explanation: &Explanation) -> Self {
        let (decision, hold) = match &explanation.decision {
            Ok(decision) => (decision.clone(), None),
            Err(hold) => (String::new(), Some(hold.into())),
        };
        Self {
            header: None,
            decision,
            hold,
            facts: explanation.facts.clone(),
        }
    }
}

/// How long an outage would last at best and at worst.
fn outage(least: Option<u64>, most: Option<u64>) -> Result<Option<(u64, u64)>, ParseError> {
    match (least, most) {
        (None, None) => Ok(None),
        (Some(least), Some(most)) if least <= most => Ok(Some((least, most))),
        (Some(least), Some(most)) => {
            let why = format!("is {most}, and outage_least_ms is {least}");
            Err(ParseError::new("outage_most_ms", why))
        }
        (Some(_), None) => Err(ParseError::new("outage_most_ms", "is missing")),
        (None, Some(_)) => Err(ParseError::new("outage_least_ms", "is missing")),
    }
}

impl TryFrom<v1::what_if_response::Forecast> for Forecast {
    type Error = ParseError;

    fn try_from(wire: v1::what_if_response::Forecast) -> Result<Self, ParseError> {
        let node = (wire.node != 0).then_some(NodeId(wire.node));
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            decision: decision("node", node, wire.hold)?,
            facts: facts(wire.facts)?,
            outage_ms: outage(wire.outage_least_ms, wire.outage_most_ms)?,
        })
    }
}

impl From<&Forecast> for v1::what_if_response::Forecast {
    fn from(forecast: &Forecast) -> Self {
        let (node, hold) = match &forecast.decision {
            Ok(node) => (node.0, None),
            Err(hold) => (0, Some(hold.into())),
        };
        Self {
            service: forecast.service.as_str().to_owned(),
            node,
            hold,
            facts: forecast.facts.clone(),
            outage_least_ms: forecast.outage_ms.map(|(least, _)| least),
            outage_most_ms: forecast.outage_ms.map(|(_, most)| most),
        }
    }
}
