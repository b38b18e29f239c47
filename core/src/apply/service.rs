//! Commands on services.

use super::{Verdict, copies, service, unchanged, within_limit};
use crate::{
    Assignment, Command, Key, Kind, NodeId, Policy, Record, Reject, RejectCode, Revision, Scope,
    Service, ServiceName, change::Change, limits::SERVICES_MAX,
};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::AddService { name, policy } => add(change, name, *policy),
        Command::UpdateService {
            name,
            expected,
            policy,
        } => update(change, name, *expected, *policy),
        Command::RemoveService { name, expected } => remove(change, name, *expected),
        other => unreachable!("{other:?} is no command on services"),
    }
}

fn add(change: &mut Change<'_>, name: &ServiceName, policy: Policy) -> Verdict {
    if change.state.services.contains_key(name) {
        return Err(Reject::new(
            RejectCode::AlreadyExists,
            format!("service {name}"),
        ));
    }
    within_limit("services", change.state.services.len(), SERVICES_MAX)?;
    check(name, &policy)?;
    copies::check_policy(change.state, &policy)?;
    let vacant = policy.kind() == Kind::Primary && !change.state.assignments.contains_key(name);
    if vacant {
        // Assignments outlive their services, so the bound on services does not bound them.
        let known = change.state.assignments.len();
        within_limit("names of services with a primary", known, SERVICES_MAX)?;
    }
    let at = change.revision;
    let service = Service {
        name: name.clone(),
        policy,
        created: at,
        modified: at,
    };
    change.put(Record::Service(Arc::new(service)));
    if vacant {
        change.put(Record::Assignment(Arc::new(Assignment::vacant(
            name.clone(),
            at,
        ))));
    }
    Ok(None)
}

fn update(
    change: &mut Change<'_>,
    name: &ServiceName,
    expected: Revision,
    policy: Policy,
) -> Verdict {
    let now = service(change.state, name)?;
    unchanged(&Key::Service(name.clone()), expected, now.modified)?;
    if policy.kind() != now.kind() {
        return Err(
            Reject::new(RejectCode::KindIsFixed, format!("service {name}")).detail(format!(
                "it is of kind {}; remove it and add it as {}",
                now.kind(),
                policy.kind()
            )),
        );
    }
    check(name, &policy)?;
    copies::check_policy(change.state, &policy)?;
    if policy != now.policy {
        if acks_of(&policy) > acks_of(&now.policy) {
            state_members_anew(change, name);
        }
        let next = Service {
            policy,
            modified: change.revision,
            ..(*now).clone()
        };
        change.put(Record::Service(Arc::new(next)));
    }
    Ok(None)
}

fn acks_of(policy: &Policy) -> u32 {
    match policy {
        Policy::Primary(policy) => policy.write_acks,
        Policy::Peers(_) | Policy::Copies(_) => 0,
    }
}

/// Promise 3: what was acknowledged while fewer had to may be on fewer than the new number says.
fn state_members_anew(change: &mut Change<'_>, name: &ServiceName) {
    let Some(now) = change.state.assignment(name).cloned() else {
        return;
    };
    if now.primary.is_some() && change.state.is_kept_by_agents(name) {
        let next = Assignment {
            modified: change.revision,
            ..now.stated_anew()
        };
        change.put(Record::Assignment(Arc::new(next)));
    }
}

/// Takes the last instance, the primary, along. The assignment stays, vacant, with its epoch: a
/// service that is added again under the name goes on counting, so that no fencing token of the
/// old one is ever valid again.
fn remove(change: &mut Change<'_>, name: &ServiceName, expected: Revision) -> Verdict {
    let now = service(change.state, name)?;
    unchanged(&Key::Service(name.clone()), expected, now.modified)?;
    copies::check_service(change.state, name)?;
    let assignment = change.state.assignment(name).cloned();
    let primary = assignment
        .as_ref()
        .and_then(|now| now.primary)
        .map(|primary| primary.node);
    let nodes: Vec<NodeId> = change
        .state
        .instances(name)
        .map(|instance| instance.node)
        .collect();
    let others = nodes.iter().filter(|node| Some(**node) != primary).count();
    if others > 0 {
        return Err(
            Reject::new(RejectCode::ServiceHasInstances, format!("service {name}")).detail(
                format!("remove the {others} instance(s) that are not its primary first"),
            ),
        );
    }
    change.delete(&Key::Rebalance(name.clone()));
    if let Some(node) = primary {
        change.delete(&Key::Instance(name.clone(), node));
    }
    if let Some(now) = assignment {
        let next = Assignment {
            epoch: now.epoch,
            loss: now.loss,
            ..Assignment::vacant(name.clone(), change.revision)
        };
        change.put(Record::Assignment(Arc::new(next)));
    }
    let epochs: Vec<_> = change.state.receipts(name).map(|one| one.epoch).collect();
    for epoch in epochs {
        change.delete(&Key::Receipt(name.clone(), epoch));
    }
    change.delete(&Key::Pause(Scope::Service(name.clone())));
    change.delete(&Key::Service(name.clone()));
    Ok(None)
}

fn check(name: &ServiceName, policy: &Policy) -> Result<(), Reject> {
    policy
        .validate()
        .map_err(|why| Reject::new(RejectCode::Invalid, format!("policy of {name}")).detail(why))
}
