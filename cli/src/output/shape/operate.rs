//! The shapes of what operators ask of the leader.

use super::{Receipt, node_name};
use serde::Serialize;
use tenure_client::MovedPrimary;
use tenure_core::{self as core, controller};

/// Why the leader does nothing. `code` is the number of the kind of reason, `kind` its words.
#[derive(Debug, Serialize)]
pub struct Hold {
    code: u32,
    kind: String,
    why: String,
}

impl From<&controller::Hold> for Hold {
    fn from(hold: &controller::Hold) -> Self {
        Self {
            code: hold.code.number(),
            kind: hold.code.to_string(),
            why: hold.why.clone(),
        }
    }
}

/// What the leader does about a service (`decision`), or why nothing is done (`hold`).
#[derive(Debug, Serialize)]
pub struct Explanation {
    service: String,
    decision: Option<String>,
    hold: Option<Hold>,
    /// One sentence each.
    facts: Vec<String>,
}

impl Explanation {
    /// The explanation, with the service that it is about.
    pub fn new(service: &core::ServiceName, explained: &controller::Explanation) -> Self {
        Self {
            service: service.to_string(),
            decision: explained.decision.clone().ok(),
            hold: explained.decision.as_ref().err().map(Into::into),
            facts: explained.facts.clone(),
        }
    }
}

/// What would be decided of one service: who takes over, or why nobody does (`hold`). The outage is at
/// best and at worst; null when nobody takes writes until somebody acts.
#[derive(Debug, Serialize)]
pub struct Forecast {
    service: String,
    takes_over: Option<String>,
    takes_over_id: Option<u64>,
    hold: Option<Hold>,
    outage_least_ms: Option<u64>,
    outage_most_ms: Option<u64>,
    facts: Vec<String>,
}

impl Forecast {
    /// The forecast, with the name of a node from the state.
    pub fn new(state: &core::State, forecast: &controller::Forecast) -> Self {
        let to = forecast.decision.as_ref().ok();
        Self {
            service: forecast.service.to_string(),
            takes_over: to.map(|node| node_name(state, *node)),
            takes_over_id: to.map(|node| node.0),
            hold: forecast.decision.as_ref().err().map(Into::into),
            outage_least_ms: forecast.outage_ms.map(|(least, _)| least),
            outage_most_ms: forecast.outage_ms.map(|(_, most)| most),
            facts: forecast.facts.clone(),
        }
    }
}

/// A primary that was moved.
#[derive(Debug, Serialize)]
pub struct Moved {
    service: String,
    /// The primary now.
    primary: String,
    primary_id: u64,
    epoch: u64,
    /// Null when the new primary has not confirmed in time; the change is committed all the same.
    receipt: Option<Receipt>,
}

impl Moved {
    /// What was moved, with names from the state.
    pub fn new(state: &core::State, service: &core::ServiceName, moved: &MovedPrimary) -> Self {
        let receipt = moved.receipt.as_ref();
        Self {
            service: service.to_string(),
            primary: node_name(state, moved.node),
            primary_id: moved.node.0,
            epoch: moved.epoch.0,
            receipt: receipt.map(|receipt| Receipt::new(state, receipt)),
        }
    }
}

/// How the cluster decides by itself. `modified` is 0 as long as nobody has set anything.
#[derive(Debug, Serialize)]
pub struct Automation {
    fast_heartbeat_ms: u64,
    fast_lease_ms: u64,
    slow_heartbeat_ms: u64,
    slow_lease_ms: u64,
    drift_permille: u32,
    /// pledge or fence.
    control_loss: String,
    agent_grace_ms: u64,
    replica_grace_ms: u64,
    stuck_after_ms: u64,
    survey_ms: u64,
    switchover_ms: u64,
    storm_window_ms: u64,
    storm_budget: u32,
    modified: u64,
}

impl From<&core::Automation> for Automation {
    fn from(now: &core::Automation) -> Self {
        Self {
            fast_heartbeat_ms: now.fast_heartbeat.0,
            fast_lease_ms: now.fast_lease.0,
            slow_heartbeat_ms: now.slow_heartbeat.0,
            slow_lease_ms: now.slow_lease.0,
            drift_permille: now.drift_permille,
            control_loss: now.control_loss.to_string(),
            agent_grace_ms: now.agent_grace.0,
            replica_grace_ms: now.replica_grace.0,
            stuck_after_ms: now.stuck_after.0,
            survey_ms: now.survey.0,
            switchover_ms: now.switchover.0,
            storm_window_ms: now.storm_window.0,
            storm_budget: now.storm_budget,
            modified: now.modified.0,
        }
    }
}

/// A pause of automation. `until_ms` is wall-clock milliseconds since 1970, null for no end.
#[derive(Debug, Serialize)]
pub struct Pause {
    /// cluster, service or node.
    scope: &'static str,
    /// Only of a service.
    service: Option<String>,
    /// Only of a node.
    node: Option<String>,
    node_id: Option<u64>,
    until_ms: Option<u64>,
    reason: String,
    modified: u64,
}

impl Pause {
    /// The pause, with the name of its node.
    pub fn new(state: &core::State, pause: &core::Pause) -> Self {
        let (scope, service, node) = match &pause.scope {
            core::Scope::Cluster => ("cluster", None, None),
            core::Scope::Service(name) => ("service", Some(name.to_string()), None),
            core::Scope::Node(id) => ("node", None, Some(*id)),
        };
        Self {
            scope,
            service,
            node: node.map(|id| node_name(state, id)),
            node_id: node.map(|id| id.0),
            until_ms: pause.until.map(|until| until.0),
            reason: pause.reason.to_string(),
            modified: pause.modified.0,
        }
    }
}
