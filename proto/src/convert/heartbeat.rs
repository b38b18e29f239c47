//! What members say: heartbeats, with a sign of each of their instances.

use super::{field, node::node_id};
use crate::{ParseError, v1};
use tenure_core::{
    Epoch, Heartbeat, Millis, Presence, Rejoin, Returned, Sign, Standing, Surveyed,
    limits::{IN_SYNC_MAX, SERVICES_MAX},
};

impl TryFrom<v1::Heartbeat> for Heartbeat {
    type Error = ParseError;

    fn try_from(wire: v1::Heartbeat) -> Result<Self, ParseError> {
        let signs: Vec<Sign> = field::messages("signs", wire.signs, SERVICES_MAX)?;
        field::distinct("signs", signs.iter().map(|sign| &sign.service))?;
        Ok(Self {
            session: wire.session,
            sequence: wire.sequence,
            heard: (wire.heard_term, wire.heard_number),
            agent: field::optional_endpoint("agent", &wire.agent)?,
            leaving: wire.leaving,
            signs,
        })
    }
}

impl From<&Heartbeat> for v1::Heartbeat {
    fn from(beat: &Heartbeat) -> Self {
        let (heard_term, heard_number) = beat.heard;
        Self {
            session: beat.session,
            sequence: beat.sequence,
            heard_term,
            heard_number,
            agent: field::optional_endpoint_to_wire(beat.agent.as_ref()),
            leaving: beat.leaving,
            signs: beat.signs.iter().map(Into::into).collect(),
        }
    }
}

fn presence(field: &str, number: i32) -> Result<Presence, ParseError> {
    match field::known(field, number)? {
        v1::Presence::Unspecified => Err(field::unspecified(field)),
        v1::Presence::Running => Ok(Presence::Running),
        v1::Presence::Exited => Ok(Presence::Exited),
        v1::Presence::Unknown => Ok(Presence::Unknown),
    }
}

impl From<Presence> for v1::Presence {
    fn from(presence: Presence) -> Self {
        match presence {
            Presence::Running => Self::Running,
            Presence::Exited => Self::Exited,
            Presence::Unknown => Self::Unknown,
        }
    }
}

impl TryFrom<v1::Standing> for Standing {
    type Error = ParseError;

    fn try_from(wire: v1::Standing) -> Result<Self, ParseError> {
        use v1::standing::Kind;
        Ok(match wire.kind.ok_or_else(field::no_kind)? {
            Kind::Idle(epoch) => Self::Idle(Epoch(epoch)),
            Kind::Primary(epoch) => Self::Primary(Epoch(epoch)),
            Kind::Quiesced(epoch) => Self::Quiesced(Epoch(epoch)),
        })
    }
}

impl From<Standing> for v1::Standing {
    fn from(standing: Standing) -> Self {
        use v1::standing::Kind;
        let kind = match standing {
            Standing::Idle(epoch) => Kind::Idle(epoch.0),
            Standing::Primary(epoch) => Kind::Primary(epoch.0),
            Standing::Quiesced(epoch) => Kind::Quiesced(epoch.0),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Sign> for Sign {
    type Error = ParseError;

    fn try_from(wire: v1::Sign) -> Result<Self, ParseError> {
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            report: field::message("report", wire.report)?,
            presence: presence("presence", wire.presence)?,
            standing: field::message("standing", wire.standing)?,
            permits: field::list("permits", wire.permits, IN_SYNC_MAX, node_id)?,
            linked: wire.linked,
            whole: wire.whole,
            stalled: Millis(wire.stalled_ms),
            sees_primary: wire.sees_primary,
            surveyed: field::optional("surveyed", wire.surveyed)?,
            returned: field::optional("returned", wire.returned)?,
            store: field::optional("store", wire.store)?,
        })
    }
}

impl From<&Sign> for v1::Sign {
    fn from(sign: &Sign) -> Self {
        Self {
            service: sign.service.as_str().to_owned(),
            report: Some((&sign.report).into()),
            presence: v1::Presence::from(sign.presence).into(),
            standing: Some(sign.standing.into()),
            permits: sign.permits.iter().map(|node| node.0).collect(),
            linked: sign.linked,
            whole: sign.whole,
            stalled_ms: sign.stalled.0,
            sees_primary: sign.sees_primary,
            surveyed: sign.surveyed.as_ref().map(Into::into),
            returned: sign.returned.as_ref().map(Into::into),
            store: sign.store.as_ref().map(Into::into),
        }
    }
}

impl TryFrom<v1::Surveyed> for Surveyed {
    type Error = ParseError;

    fn try_from(wire: v1::Surveyed) -> Result<Self, ParseError> {
        Ok(Self {
            ballot: wire.ballot,
            position: field::optional("position", wire.position)?,
            pledged: Millis(wire.pledged_ms),
        })
    }
}

impl From<&Surveyed> for v1::Surveyed {
    fn from(surveyed: &Surveyed) -> Self {
        Self {
            ballot: surveyed.ballot,
            position: surveyed.position.as_ref().map(Into::into),
            pledged_ms: surveyed.pledged.0,
        }
    }
}

fn rejoin(field: &str, number: i32) -> Result<Rejoin, ParseError> {
    match field::known(field, number)? {
        v1::Rejoin::Unspecified => Err(field::unspecified(field)),
        v1::Rejoin::Identical => Ok(Rejoin::Identical),
        v1::Rejoin::Behind => Ok(Rejoin::Behind),
        v1::Rejoin::Ahead => Ok(Rejoin::Ahead),
        v1::Rejoin::Diverged => Ok(Rejoin::Diverged),
    }
}

impl From<Rejoin> for v1::Rejoin {
    fn from(rejoin: Rejoin) -> Self {
        match rejoin {
            Rejoin::Identical => Self::Identical,
            Rejoin::Behind => Self::Behind,
            Rejoin::Ahead => Self::Ahead,
            Rejoin::Diverged => Self::Diverged,
        }
    }
}

impl TryFrom<v1::Returned> for Returned {
    type Error = ParseError;

    fn try_from(wire: v1::Returned) -> Result<Self, ParseError> {
        Ok(Self {
            epoch: Epoch(wire.epoch),
            rejoin: rejoin("rejoin", wire.rejoin)?,
            tail: field::note("tail", &wire.tail)?,
        })
    }
}

impl From<&Returned> for v1::Returned {
    fn from(returned: &Returned) -> Self {
        Self {
            epoch: returned.epoch.0,
            rejoin: v1::Rejoin::from(returned.rejoin).into(),
            tail: returned.tail.as_str().to_owned(),
        }
    }
}
