//! How the cluster decides by itself, and for what it does not for a while.

use super::{
    assignment::{until, until_to_wire},
    field,
    node::node_id,
};
use crate::{ParseError, v1, v1::scope::Kind};
use tenure_core::{Automation, ControlLoss, Millis, Pause, Revision, Scope};

pub(super) fn control_loss(field: &str, number: i32) -> Result<ControlLoss, ParseError> {
    match field::known(field, number)? {
        v1::ControlLoss::Unspecified => Err(field::unspecified(field)),
        v1::ControlLoss::Pledge => Ok(ControlLoss::Pledge),
        v1::ControlLoss::Fence => Ok(ControlLoss::Fence),
    }
}

impl From<ControlLoss> for v1::ControlLoss {
    fn from(loss: ControlLoss) -> Self {
        match loss {
            ControlLoss::Pledge => Self::Pledge,
            ControlLoss::Fence => Self::Fence,
        }
    }
}

impl TryFrom<v1::Automation> for Automation {
    type Error = ParseError;

    fn try_from(wire: v1::Automation) -> Result<Self, ParseError> {
        Ok(Self {
            fast_heartbeat: Millis(wire.fast_heartbeat_ms),
            fast_lease: Millis(wire.fast_lease_ms),
            slow_heartbeat: Millis(wire.slow_heartbeat_ms),
            slow_lease: Millis(wire.slow_lease_ms),
            drift_permille: wire.drift_permille,
            control_loss: control_loss("control_loss", wire.control_loss)?,
            agent_grace: Millis(wire.agent_grace_ms),
            replica_grace: Millis(wire.replica_grace_ms),
            stuck_after: Millis(wire.stuck_after_ms),
            survey: Millis(wire.survey_ms),
            switchover: Millis(wire.switchover_ms),
            storm_window: Millis(wire.storm_window_ms),
            storm_budget: wire.storm_budget,
            earlier_lease: Millis(wire.earlier_lease_ms),
            modified: Revision(wire.modified),
        })
    }
}

/// Settings that someone wants, with their ranges checked. Those that a server tells are taken as
/// they are: a newer one may allow more.
pub(super) fn wanted_automation(
    field: &str,
    wire: Option<v1::Automation>,
) -> Result<Automation, ParseError> {
    let automation: Automation = field::message(field, wire)?;
    let checked = automation.validate();
    checked.map_err(|error| ParseError::new(field, format!("is refused: {error}")))?;
    Ok(automation)
}

impl From<&Automation> for v1::Automation {
    fn from(automation: &Automation) -> Self {
        Self {
            fast_heartbeat_ms: automation.fast_heartbeat.0,
            fast_lease_ms: automation.fast_lease.0,
            slow_heartbeat_ms: automation.slow_heartbeat.0,
            slow_lease_ms: automation.slow_lease.0,
            drift_permille: automation.drift_permille,
            control_loss: v1::ControlLoss::from(automation.control_loss).into(),
            agent_grace_ms: automation.agent_grace.0,
            replica_grace_ms: automation.replica_grace.0,
            stuck_after_ms: automation.stuck_after.0,
            survey_ms: automation.survey.0,
            switchover_ms: automation.switchover.0,
            storm_window_ms: automation.storm_window.0,
            storm_budget: automation.storm_budget,
            earlier_lease_ms: automation.earlier_lease.0,
            modified: automation.modified.0,
        }
    }
}

impl TryFrom<v1::Scope> for Scope {
    type Error = ParseError;

    fn try_from(wire: v1::Scope) -> Result<Self, ParseError> {
        match wire.kind.ok_or_else(field::no_kind)? {
            Kind::Cluster(_) => Ok(Self::Cluster),
            Kind::Service(name) => field::service_name("service", &name).map(Self::Service),
            Kind::Node(node) => node_id("node", node).map(Self::Node),
        }
    }
}

impl From<&Scope> for v1::Scope {
    fn from(scope: &Scope) -> Self {
        let kind = match scope {
            Scope::Cluster => Kind::Cluster(true),
            Scope::Service(name) => Kind::Service(name.as_str().to_owned()),
            Scope::Node(node) => Kind::Node(node.0),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<v1::Pause> for Pause {
    type Error = ParseError;

    fn try_from(wire: v1::Pause) -> Result<Self, ParseError> {
        Ok(Self {
            scope: field::message("scope", wire.scope)?,
            until: until(wire.until_ms),
            reason: field::note("reason", &wire.reason)?,
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Pause> for v1::Pause {
    fn from(pause: &Pause) -> Self {
        Self {
            scope: Some((&pause.scope).into()),
            until_ms: until_to_wire(pause.until),
            reason: pause.reason.as_str().to_owned(),
            modified: pause.modified.0,
        }
    }
}
