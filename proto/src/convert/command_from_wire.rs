//! Commands as clients send them, parsed.

use super::{
    assignment::{nodes, pin_kind, until},
    automation::wanted_automation,
    field,
    node::lifecycle,
    service::wanted_policy,
};
use crate::{ParseError, v1, v1::command::Kind};
use tenure_core::{
    ClientId, Command, Epoch, Incarnation, Revision,
    limits::{BATCH_COMMANDS_MAX, WEIGHT_MAX},
};

type Parsed = Result<Command, ParseError>;

impl TryFrom<v1::Command> for Command {
    type Error = ParseError;

    fn try_from(wire: v1::Command) -> Parsed {
        match wire.kind {
            Some(Kind::Batch(batch)) => commands(batch).map_err(|error| error.within("batch")),
            kind => single(kind),
        }
    }
}

fn commands(batch: v1::Batch) -> Parsed {
    let one =
        |place: &str, wire: v1::Command| single(wire.kind).map_err(|error| error.within(place));
    field::list("commands", batch.commands, BATCH_COMMANDS_MAX, one).map(Command::Batch)
}

/// A command that is no batch.
fn single(kind: Option<Kind>) -> Parsed {
    let (name, parsed) = match kind.ok_or_else(field::no_kind)? {
        Kind::OpenClient(v1::OpenClient {}) => ("open_client", Ok(Command::OpenClient)),
        Kind::CloseClient(wire) => ("close_client", close_client(&wire)),
        Kind::SetSettings(wire) => ("set_settings", Ok(set_settings(&wire))),
        Kind::RaiseFeatureLevel(wire) => ("raise_feature_level", Ok(raise_feature_level(&wire))),
        Kind::AddNode(wire) => ("add_node", add_node(wire)),
        Kind::UpdateNode(wire) => ("update_node", update_node(wire)),
        Kind::JoinNode(wire) => ("join_node", join_node(wire)),
        Kind::SetLifecycle(wire) => ("set_lifecycle", set_lifecycle(wire)),
        Kind::RemoveNode(wire) => ("remove_node", remove_node(wire)),
        Kind::AddService(wire) => ("add_service", add_service(wire)),
        Kind::UpdateService(wire) => ("update_service", update_service(wire)),
        Kind::RemoveService(wire) => ("remove_service", remove_service(&wire)),
        Kind::AddInstance(wire) => ("add_instance", add_instance(wire)),
        Kind::UpdateInstance(wire) => ("update_instance", update_instance(wire)),
        Kind::RemoveInstance(wire) => ("remove_instance", remove_instance(wire)),
        Kind::ReportInstance(wire) => ("report_instance", report_instance(wire)),
        Kind::SetPrimary(wire) => ("set_primary", set_primary(wire)),
        Kind::SetInSync(wire) => ("set_in_sync", set_in_sync(wire)),
        Kind::SetPin(wire) => ("set_pin", set_pin(wire)),
        Kind::RemovePin(wire) => ("remove_pin", remove_pin(wire)),
        Kind::SetAutomation(wire) => ("set_automation", set_automation(wire)),
        Kind::SetPause(wire) => ("set_pause", set_pause(wire)),
        Kind::RemovePause(wire) => ("remove_pause", remove_pause(wire)),
        Kind::Acknowledge(wire) => ("acknowledge", acknowledge(&wire)),
        Kind::Batch(_) => (
            "batch",
            Err(ParseError::new("", "stands in a batch: they do not nest")),
        ),
    };
    parsed.map_err(|error| error.within(name))
}

fn close_client(wire: &v1::CloseClient) -> Parsed {
    if wire.client == 0 {
        return Err(ParseError::new("client", "is 0, which is no registration"));
    }
    Ok(Command::CloseClient {
        client: ClientId(wire.client),
    })
}

fn set_settings(wire: &v1::SetSettings) -> Command {
    Command::SetSettings {
        expected: Revision(wire.expected),
        history_max: wire.history_max,
        clients_max: wire.clients_max,
    }
}

fn raise_feature_level(wire: &v1::RaiseFeatureLevel) -> Command {
    Command::RaiseFeatureLevel {
        from: wire.from,
        to: wire.to,
    }
}

fn weight(value: u32) -> Result<u32, ParseError> {
    if value > WEIGHT_MAX {
        let why = format!("is {value}, at most {WEIGHT_MAX} is allowed");
        return Err(ParseError::new("weight", why));
    }
    Ok(value)
}

fn add_node(wire: v1::AddNode) -> Parsed {
    Ok(Command::AddNode {
        name: field::node_name("name", &wire.name)?,
        zone: field::zone("zone", &wire.zone)?,
        labels: field::attributes("labels", wire.labels)?,
        weight: weight(wire.weight)?,
    })
}

fn update_node(wire: v1::UpdateNode) -> Parsed {
    Ok(Command::UpdateNode {
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
        zone: field::zone("zone", &wire.zone)?,
        labels: field::attributes("labels", wire.labels)?,
        weight: weight(wire.weight)?,
    })
}

fn join_node(wire: v1::JoinNode) -> Parsed {
    Ok(Command::JoinNode {
        node: field::message("node", wire.node)?,
        last: Incarnation(wire.last),
    })
}

fn set_lifecycle(wire: v1::SetLifecycle) -> Parsed {
    Ok(Command::SetLifecycle {
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
        to: lifecycle("to", wire.to)?,
        reason: field::note("reason", &wire.reason)?,
        accept_loss: wire.accept_loss,
    })
}

fn remove_node(wire: v1::RemoveNode) -> Parsed {
    Ok(Command::RemoveNode {
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
        reason: field::note("reason", &wire.reason)?,
    })
}

fn add_service(wire: v1::AddService) -> Parsed {
    Ok(Command::AddService {
        name: field::service_name("name", &wire.name)?,
        policy: wanted_policy("policy", wire.policy)?,
    })
}

fn update_service(wire: v1::UpdateService) -> Parsed {
    Ok(Command::UpdateService {
        name: field::service_name("name", &wire.name)?,
        expected: Revision(wire.expected),
        policy: wanted_policy("policy", wire.policy)?,
    })
}

fn remove_service(wire: &v1::RemoveService) -> Parsed {
    Ok(Command::RemoveService {
        name: field::service_name("name", &wire.name)?,
        expected: Revision(wire.expected),
    })
}

fn add_instance(wire: v1::AddInstance) -> Parsed {
    Ok(Command::AddInstance {
        service: field::service_name("service", &wire.service)?,
        node: field::message("node", wire.node)?,
        endpoint: field::endpoint("endpoint", &wire.endpoint)?,
        preference: wire.preference,
    })
}

fn update_instance(wire: v1::UpdateInstance) -> Parsed {
    Ok(Command::UpdateInstance {
        service: field::service_name("service", &wire.service)?,
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
        endpoint: field::endpoint("endpoint", &wire.endpoint)?,
        preference: wire.preference,
    })
}

fn remove_instance(wire: v1::RemoveInstance) -> Parsed {
    Ok(Command::RemoveInstance {
        service: field::service_name("service", &wire.service)?,
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
    })
}

fn report_instance(wire: v1::ReportInstance) -> Parsed {
    Ok(Command::ReportInstance {
        service: field::service_name("service", &wire.service)?,
        member: field::message("member", wire.member)?,
        expected: wire.expected.map(Revision),
        report: field::message("report", wire.report)?,
    })
}

fn set_primary(wire: v1::SetPrimary) -> Parsed {
    Ok(Command::SetPrimary {
        service: field::service_name("service", &wire.service)?,
        to: field::message("to", wire.to)?,
        succeeds: Epoch(wire.succeeds),
        accept_loss: wire.accept_loss,
        reason: field::note("reason", &wire.reason)?,
    })
}

fn set_in_sync(wire: v1::SetInSync) -> Parsed {
    Ok(Command::SetInSync {
        service: field::service_name("service", &wire.service)?,
        epoch: Epoch(wire.epoch),
        expected: Revision(wire.expected),
        in_sync: nodes("in_sync", wire.in_sync)?,
    })
}

fn set_pin(wire: v1::SetPin) -> Parsed {
    Ok(Command::SetPin {
        node: field::message("node", wire.node)?,
        expected: wire.expected.map(Revision),
        kind: pin_kind("kind", wire.kind)?,
        until: until(wire.until_ms),
        reason: field::note("reason", &wire.reason)?,
    })
}

fn remove_pin(wire: v1::RemovePin) -> Parsed {
    Ok(Command::RemovePin {
        node: field::message("node", wire.node)?,
        expected: Revision(wire.expected),
    })
}

fn set_automation(wire: v1::SetAutomation) -> Parsed {
    Ok(Command::SetAutomation {
        expected: Revision(wire.expected),
        automation: wanted_automation("automation", wire.automation)?,
    })
}

fn set_pause(wire: v1::SetPause) -> Parsed {
    Ok(Command::SetPause {
        scope: field::message("scope", wire.scope)?,
        expected: wire.expected.map(Revision),
        until: until(wire.until_ms),
        reason: field::note("reason", &wire.reason)?,
    })
}

fn remove_pause(wire: v1::RemovePause) -> Parsed {
    Ok(Command::RemovePause {
        scope: field::message("scope", wire.scope)?,
        expected: Revision(wire.expected),
    })
}

fn acknowledge(wire: &v1::Acknowledge) -> Parsed {
    Ok(Command::Acknowledge {
        service: field::service_name("service", &wire.service)?,
        epoch: Epoch(wire.epoch),
    })
}
