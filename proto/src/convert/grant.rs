//! What members are allowed, and what is wanted of their instances; and what primaries ask of those who
//! could be promoted in their place.

use super::{
    assignment::{nodes, nodes_to_wire},
    automation::control_loss,
    cluster::server_id,
    field,
    node::node_id,
    orders::orders,
};
use crate::{ParseError, v1};
use std::collections::BTreeMap;
use tenure_core::{
    Directive, Epoch, Fellow, Grant, Millis, NodeId, PledgeRequest, Wanted,
    limits::{IN_SYNC_MAX, SERVICES_MAX},
};

impl TryFrom<v1::Grant> for Grant {
    type Error = ParseError;

    fn try_from(wire: v1::Grant) -> Result<Self, ParseError> {
        let directives: Vec<Directive> =
            field::messages("directives", wire.directives, SERVICES_MAX)?;
        field::distinct("directives", directives.iter().map(|one| &one.service))?;
        Ok(Self {
            server: server_id("server", wire.server)?,
            term: wire.term,
            number: wire.number,
            member: field::message("member", wire.member)?,
            session: wire.session,
            answers: wire.answers,
            lease: Millis(wire.lease_ms),
            heartbeat: Millis(wire.heartbeat_ms),
            drift_permille: wire.drift_permille,
            control_loss: control_loss("control_loss", wire.control_loss)?,
            directives,
        })
    }
}

impl From<&Grant> for v1::Grant {
    fn from(grant: &Grant) -> Self {
        Self {
            server: grant.server.0,
            term: grant.term,
            number: grant.number,
            member: Some(grant.member.into()),
            session: grant.session,
            answers: grant.answers,
            lease_ms: grant.lease.0,
            heartbeat_ms: grant.heartbeat.0,
            drift_permille: grant.drift_permille,
            control_loss: v1::ControlLoss::from(grant.control_loss).into(),
            directives: grant.directives.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::Directive> for Directive {
    type Error = ParseError;

    fn try_from(wire: v1::Directive) -> Result<Self, ParseError> {
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            epoch: Epoch(wire.epoch),
            wanted: wanted(wire.wanted)?,
            quiesce: wire.quiesce_ms.map(Millis),
            survey: wire.survey,
            probe: wire.probe,
            orders: orders(wire.orders)?,
        })
    }
}

impl From<&Directive> for v1::Directive {
    fn from(directive: &Directive) -> Self {
        Self {
            service: directive.service.as_str().to_owned(),
            epoch: directive.epoch.0,
            wanted: Some(wanted_to_wire(&directive.wanted)),
            quiesce_ms: directive.quiesce.map(|quiesce| quiesce.0),
            survey: directive.survey,
            probe: directive.probe,
            orders: directive.orders.iter().map(Into::into).collect(),
        }
    }
}

fn wanted(wire: Option<v1::directive::Wanted>) -> Result<Wanted, ParseError> {
    use v1::directive::{Peer, Standby, Wanted as Kind};
    match wire.ok_or_else(|| field::no_choice("wanted"))? {
        Kind::Primary(wire) => primary(wire).map_err(|error| error.within("primary")),
        Kind::Replica(wire) => replica(&wire).map_err(|error| error.within("replica")),
        Kind::Standby(Standby {}) => Ok(Wanted::Standby),
        Kind::Peer(Peer {}) => Ok(Wanted::Peer),
    }
}

fn primary(wire: v1::directive::Primary) -> Result<Wanted, ParseError> {
    let members = members(wire.members)?;
    let detached = nodes("detached", wire.detached)?;
    if let Some(stranger) = detached.iter().find(|node| !members.contains_key(node)) {
        let why = format!("names node {stranger}, which is no member");
        return Err(ParseError::new("detached", why));
    }
    Ok(Wanted::Primary {
        write_acks: wire.write_acks,
        strict: wire.strict,
        members,
        detached,
    })
}

/// Refuses a node that comes twice.
fn members(wire: Vec<v1::directive::Fellow>) -> Result<BTreeMap<NodeId, Fellow>, ParseError> {
    let parsed = field::list("members", wire, IN_SYNC_MAX, |place, wire| {
        fellow(&wire).map_err(|error| error.within(place))
    })?;
    field::distinct("members", parsed.iter().map(|(node, _)| node))?;
    Ok(parsed.into_iter().collect())
}

fn fellow(wire: &v1::directive::Fellow) -> Result<(NodeId, Fellow), ParseError> {
    let fellow = Fellow {
        instance: field::endpoint("instance", &wire.instance)?,
        agent: field::optional_endpoint("agent", &wire.agent)?,
    };
    Ok((node_id("node", wire.node)?, fellow))
}

fn replica(wire: &v1::directive::Replica) -> Result<Wanted, ParseError> {
    Ok(Wanted::Replica {
        primary: node_id("primary", wire.primary)?,
        endpoint: field::endpoint("endpoint", &wire.endpoint)?,
    })
}

fn wanted_to_wire(wanted: &Wanted) -> v1::directive::Wanted {
    use v1::directive::{Peer, Primary, Replica, Standby, Wanted as Kind};
    match wanted {
        Wanted::Primary {
            write_acks,
            strict,
            members,
            detached,
        } => Kind::Primary(Primary {
            write_acks: *write_acks,
            strict: *strict,
            members: members.iter().map(fellow_to_wire).collect(),
            detached: nodes_to_wire(detached),
        }),
        Wanted::Replica { primary, endpoint } => Kind::Replica(Replica {
            primary: primary.0,
            endpoint: endpoint.as_str().to_owned(),
        }),
        Wanted::Standby => Kind::Standby(Standby {}),
        Wanted::Peer => Kind::Peer(Peer {}),
    }
}

fn fellow_to_wire((node, fellow): (&NodeId, &Fellow)) -> v1::directive::Fellow {
    v1::directive::Fellow {
        node: node.0,
        instance: fellow.instance.as_str().to_owned(),
        agent: field::optional_endpoint_to_wire(fellow.agent.as_ref()),
    }
}

impl TryFrom<v1::PledgeRequest> for PledgeRequest {
    type Error = ParseError;

    fn try_from(wire: v1::PledgeRequest) -> Result<Self, ParseError> {
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            of: NodeId(wire.of),
            holder: field::message("holder", wire.holder)?,
            epoch: Epoch(wire.epoch),
            lasting: Millis(wire.lasting_ms),
        })
    }
}

impl From<&PledgeRequest> for v1::PledgeRequest {
    fn from(request: &PledgeRequest) -> Self {
        Self {
            service: request.service.as_str().to_owned(),
            of: request.of.0,
            holder: Some(request.holder.into()),
            epoch: request.epoch.0,
            lasting_ms: request.lasting.0,
        }
    }
}
