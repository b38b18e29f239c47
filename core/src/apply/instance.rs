//! Commands on instances.

use super::{Verdict, node, present_node, service, unchanged, within_limit};
use crate::{
    Assignment, Command, Endpoint, Incarnation, Instance, Key, Member, NodeId, NodeRef, Record,
    Reject, RejectCode, Report, Revision, ServiceName, change::Change, copies::STORES_MAX,
    limits::INSTANCES_MAX,
};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::AddInstance {
            service,
            node,
            endpoint,
            preference,
        } => add(change, service, node, endpoint, *preference),
        Command::UpdateInstance {
            service,
            node,
            expected,
            endpoint,
            preference,
        } => update(change, service, node, *expected, endpoint, *preference),
        Command::RemoveInstance {
            service,
            node,
            expected,
        } => remove(change, service, node, *expected),
        Command::ReportInstance {
            service,
            member,
            expected,
            report,
        } => take_report(change, service, *member, *expected, report),
        other => unreachable!("{other:?} is no command on instances"),
    }
}

fn add(
    change: &mut Change<'_>,
    name: &ServiceName,
    wanted: &NodeRef,
    endpoint: &Endpoint,
    preference: u32,
) -> Verdict {
    service(change.state, name)?;
    let node = present_node(change.state, wanted)?;
    if !node.lifecycle.accepts_placement() {
        return Err(
            Reject::new(RejectCode::NodeNotPlaceable, format!("node {}", node.name))
                .detail(format!("it is {}", node.lifecycle)),
        );
    }
    if change.state.instance(name, node.id).is_some() {
        return Err(Reject::new(
            RejectCode::AlreadyExists,
            format!("{name} on {}", node.name),
        ));
    }
    within_limit("instances", change.state.instance_count(), INSTANCES_MAX)?;
    if let Some(ledger) = change.state.ledger(name) {
        let subject = format!("nodes that store copies of {name}");
        within_limit(&subject, ledger.stores().count(), STORES_MAX)?;
    }
    let instance = Instance {
        service: name.clone(),
        node: node.id,
        endpoint: endpoint.clone(),
        preference,
        report: Report::default(),
        reported_in: Incarnation(0),
        created: change.revision,
        modified: change.revision,
    };
    change.put(Record::Instance(Arc::new(instance)));
    Ok(None)
}

fn update(
    change: &mut Change<'_>,
    name: &ServiceName,
    wanted: &NodeRef,
    expected: Revision,
    endpoint: &Endpoint,
    preference: u32,
) -> Verdict {
    let node = present_node(change.state, wanted)?;
    let now = instance(change, name, node.id)?;
    unchanged(
        &Key::Instance(name.clone(), node.id),
        expected,
        now.modified,
    )?;
    let next = Instance {
        endpoint: endpoint.clone(),
        preference,
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

fn remove(
    change: &mut Change<'_>,
    name: &ServiceName,
    wanted: &NodeRef,
    expected: Revision,
) -> Verdict {
    let node = node(change.state, wanted)?;
    let now = instance(change, name, node.id)?;
    unchanged(
        &Key::Instance(name.clone(), node.id),
        expected,
        now.modified,
    )?;
    if let Some(assignment) = change.state.assignment(name).cloned() {
        if assignment
            .primary
            .is_some_and(|primary| primary.node == node.id)
        {
            return Err(Reject::new(
                RejectCode::InstanceIsPrimary,
                format!("{name} on {}", node.name),
            )
            .detail("make another one primary first"));
        }
        if assignment.in_sync.contains(&node.id) || assignment.syncing.contains(&node.id) {
            leave_members(change, &assignment, node.id);
        }
    }
    super::copies::check_removal(change.state, name, &node)?;
    change.delete(&Key::Store(name.clone(), node.id));
    change.delete(&Key::Instance(name.clone(), node.id));
    Ok(None)
}

fn take_report(
    change: &mut Change<'_>,
    name: &ServiceName,
    member: Member,
    expected: Option<Revision>,
    report: &Report,
) -> Verdict {
    let node = present_node(change.state, &NodeRef::Id(member.node))?;
    if node.incarnation != member.incarnation {
        return Err(
            Reject::new(RejectCode::WrongIncarnation, format!("node {}", node.name))
                .values(member.incarnation.0, node.incarnation.0),
        );
    }
    let now = instance(change, name, node.id)?;
    if let Some(expected) = expected {
        unchanged(
            &Key::Instance(name.clone(), node.id),
            expected,
            now.modified,
        )?;
    }
    let next = Instance {
        report: report.clone(),
        reported_in: member.incarnation,
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

/// What the one that leaves has acknowledged may be on the primary alone besides: where agents keep the
/// service, the others count again once they have all that the primary had after it was detached.
fn leave_members(change: &mut Change<'_>, now: &Assignment, node: NodeId) {
    let mut next = if change.state.is_kept_by_agents(&now.service) {
        now.stated_anew()
    } else {
        now.clone()
    };
    next.in_sync.remove(&node);
    next.syncing.remove(&node);
    next.modified = change.revision;
    change.put(Record::Assignment(Arc::new(next)));
}

pub(super) fn instance(
    change: &Change<'_>,
    name: &ServiceName,
    node: NodeId,
) -> Result<Arc<Instance>, Reject> {
    let missing = || Reject::new(RejectCode::NotFound, format!("{name} on node {node}"));
    change
        .state
        .instance(name, node)
        .cloned()
        .ok_or_else(missing)
}

fn put_if_other(change: &mut Change<'_>, now: &Instance, next: Instance) {
    if next != *now {
        let modified = change.revision;
        change.put(Record::Instance(Arc::new(Instance { modified, ..next })));
    }
}
