//! Instances and what they say of themselves.

use super::{field, node::node_id};
use crate::{ParseError, v1};
use tenure_core::{Epoch, Health, Incarnation, Instance, Position, Report, Revision, Role};

fn health(field: &str, number: i32) -> Result<Health, ParseError> {
    Ok(match field::known(field, number)? {
        v1::Health::Unknown => Health::Unknown,
        v1::Health::Starting => Health::Starting,
        v1::Health::Healthy => Health::Healthy,
        v1::Health::Degraded => Health::Degraded,
        v1::Health::Failing => Health::Failing,
    })
}

impl From<Health> for v1::Health {
    fn from(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Starting => Self::Starting,
            Health::Healthy => Self::Healthy,
            Health::Degraded => Self::Degraded,
            Health::Failing => Self::Failing,
        }
    }
}

fn role(number: i32, epoch: u64) -> Result<Option<(Role, Epoch)>, ParseError> {
    let role = match field::known("role", number)? {
        v1::Role::Unspecified if epoch == 0 => return Ok(None),
        v1::Role::Unspecified => {
            let why = format!("is {epoch}, and no role is held by it");
            return Err(ParseError::new("epoch", why));
        }
        v1::Role::Primary => Role::Primary,
        v1::Role::Replica => Role::Replica,
        v1::Role::Peer => Role::Peer,
    };
    Ok(Some((role, Epoch(epoch))))
}

impl From<Role> for v1::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Primary => Self::Primary,
            Role::Replica => Self::Replica,
            Role::Peer => Self::Peer,
        }
    }
}

impl TryFrom<v1::Position> for Position {
    type Error = ParseError;

    fn try_from(wire: v1::Position) -> Result<Self, ParseError> {
        Ok(Self {
            history: field::note("history", &wire.history)?,
            offset: wire.offset,
        })
    }
}

impl From<&Position> for v1::Position {
    fn from(position: &Position) -> Self {
        Self {
            history: position.history.as_str().to_owned(),
            offset: position.offset,
        }
    }
}

impl TryFrom<v1::Report> for Report {
    type Error = ParseError;

    fn try_from(wire: v1::Report) -> Result<Self, ParseError> {
        Ok(Self {
            health: health("health", wire.health)?,
            role: role(wire.role, wire.epoch)?,
            position: field::optional("position", wire.position)?,
            note: field::note("note", &wire.note)?,
            attributes: field::attributes("attributes", wire.attributes)?,
        })
    }
}

impl From<&Report> for v1::Report {
    fn from(report: &Report) -> Self {
        let (role, epoch) = match report.role {
            Some((role, epoch)) => (role.into(), epoch.0),
            None => (v1::Role::Unspecified, 0),
        };
        Self {
            health: v1::Health::from(report.health).into(),
            role: role.into(),
            epoch,
            position: report.position.as_ref().map(Into::into),
            note: report.note.as_str().to_owned(),
            attributes: field::attributes_to_wire(&report.attributes),
        }
    }
}

impl TryFrom<v1::Instance> for Instance {
    type Error = ParseError;

    fn try_from(wire: v1::Instance) -> Result<Self, ParseError> {
        Ok(Self {
            service: field::service_name("service", &wire.service)?,
            node: node_id("node", wire.node)?,
            endpoint: field::endpoint("endpoint", &wire.endpoint)?,
            preference: wire.preference,
            report: field::message("report", wire.report)?,
            reported_in: Incarnation(wire.reported_in),
            created: Revision(wire.created),
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Instance> for v1::Instance {
    fn from(instance: &Instance) -> Self {
        Self {
            service: instance.service.as_str().to_owned(),
            node: instance.node.0,
            endpoint: instance.endpoint.as_str().to_owned(),
            preference: instance.preference,
            report: Some((&instance.report).into()),
            reported_in: instance.reported_in.0,
            created: instance.created.0,
            modified: instance.modified.0,
        }
    }
}
