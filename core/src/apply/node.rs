//! Commands on nodes.

use super::{Verdict, copies, node, present_node, unchanged, within_limit};
use crate::{
    Attributes, Command, Created, Incarnation, Key, Lifecycle, Node, NodeName, NodeRef, Note,
    Record, Reject, RejectCode, Revision, Scope, ServiceName, Zone,
    change::Change,
    limits::{NODES_MAX, WEIGHT_MAX},
};
use std::sync::Arc;

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::AddNode {
            name,
            zone,
            labels,
            weight,
        } => add(change, name, zone.as_ref(), labels, *weight),
        Command::UpdateNode {
            node,
            expected,
            zone,
            labels,
            weight,
        } => update(change, node, *expected, zone.as_ref(), labels, *weight),
        Command::JoinNode { node, last } => join(change, node, *last),
        Command::SetLifecycle {
            node,
            expected,
            to,
            reason,
            accept_loss,
        } => {
            if *to == Lifecycle::Draining && !accept_loss {
                copies::check_drain(change.state, &*present_node(change.state, node)?)?;
            }
            set_lifecycle(change, node, *expected, *to, reason)
        }
        Command::RemoveNode {
            node,
            expected,
            reason,
        } => remove(change, node, *expected, reason),
        other => unreachable!("{other:?} is no command on nodes"),
    }
}

fn add(
    change: &mut Change<'_>,
    name: &NodeName,
    zone: Option<&Zone>,
    labels: &Attributes,
    weight: u32,
) -> Verdict {
    if let Some(holder) = change.state.derived.node_names.get(name) {
        return Err(
            Reject::new(RejectCode::AlreadyExists, format!("node {name}"))
                .detail(format!("it is node {holder}")),
        );
    }
    within_limit("nodes", change.state.nodes.len(), NODES_MAX)?;
    check_weight(name, weight)?;
    let id = change.state.next_node();
    let node = Node {
        id,
        name: name.clone(),
        zone: zone.cloned(),
        labels: labels.clone(),
        weight,
        incarnation: Incarnation(0),
        lifecycle: Lifecycle::Joining,
        reason: Note::default(),
        created: change.revision,
        modified: change.revision,
    };
    change.put(Record::Node(Arc::new(node)));
    Ok(Some(Created::Node(id)))
}

fn update(
    change: &mut Change<'_>,
    wanted: &NodeRef,
    expected: Revision,
    zone: Option<&Zone>,
    labels: &Attributes,
    weight: u32,
) -> Verdict {
    let now = present_node(change.state, wanted)?;
    unchanged(&Key::Node(now.id), expected, now.modified)?;
    check_weight(&now.name, weight)?;
    let next = Node {
        zone: zone.cloned(),
        labels: labels.clone(),
        weight,
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

fn join(change: &mut Change<'_>, wanted: &NodeRef, last: Incarnation) -> Verdict {
    let now = present_node(change.state, wanted)?;
    if now.incarnation != last {
        return Err(
            Reject::new(RejectCode::WrongIncarnation, format!("node {}", now.name))
                .values(last.0, now.incarnation.0),
        );
    }
    let lifecycle = match now.lifecycle {
        Lifecycle::Joining => Lifecycle::Active,
        kept @ (Lifecycle::Active
        | Lifecycle::Draining
        | Lifecycle::Maintenance
        | Lifecycle::Removed) => kept,
    };
    let next = Node {
        incarnation: last.next(),
        lifecycle,
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

fn set_lifecycle(
    change: &mut Change<'_>,
    wanted: &NodeRef,
    expected: Revision,
    to: Lifecycle,
    reason: &Note,
) -> Verdict {
    let now = present_node(change.state, wanted)?;
    unchanged(&Key::Node(now.id), expected, now.modified)?;
    if !now.lifecycle.may_become(to) {
        return Err(Reject::new(
            RejectCode::TransitionNotAllowed,
            format!("node {}", now.name),
        )
        .detail(format!(
            "it is {}, and may not become {to} by this command",
            now.lifecycle
        )));
    }
    if to == Lifecycle::Maintenance {
        holds_no_primary(change, &now)?;
    }
    let next = Node {
        lifecycle: to,
        reason: reason.clone(),
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

/// A node under maintenance is given nothing and its silence alarms nobody: a primary there would
/// fail unnoticed. It hands over first.
fn holds_no_primary(change: &Change<'_>, node: &Node) -> Result<(), Reject> {
    let is_primary = |name: &&ServiceName| {
        let primary = change.state.assignment(name).and_then(|now| now.primary);
        primary.is_some_and(|primary| primary.node == node.id)
    };
    let services: Vec<&str> = change
        .state
        .services_on(node.id)
        .filter(is_primary)
        .map(ServiceName::as_str)
        .collect();
    if services.is_empty() {
        return Ok(());
    }
    Err(
        Reject::new(RejectCode::NodeHoldsPrimary, format!("node {}", node.name)).detail(format!(
            "make another instance primary first of: {}",
            services.join(", ")
        )),
    )
}

/// Removal only forgets a node that holds nothing: promise 9 is kept by not having an exception.
fn remove(change: &mut Change<'_>, wanted: &NodeRef, expected: Revision, reason: &Note) -> Verdict {
    let now = node(change.state, wanted)?;
    if !now.is_present() {
        return Ok(None);
    }
    unchanged(&Key::Node(now.id), expected, now.modified)?;
    let services: Vec<&str> = change
        .state
        .services_on(now.id)
        .map(ServiceName::as_str)
        .collect();
    if !services.is_empty() {
        return Err(
            Reject::new(RejectCode::NodeHasInstances, format!("node {}", now.name)).detail(
                format!("remove its instances first: {}", services.join(", ")),
            ),
        );
    }
    change.delete(&Key::Pin(now.id));
    change.delete(&Key::Pause(Scope::Node(now.id)));
    let next = Node {
        lifecycle: Lifecycle::Removed,
        reason: reason.clone(),
        ..(*now).clone()
    };
    put_if_other(change, &now, next);
    Ok(None)
}

fn check_weight(name: &NodeName, weight: u32) -> Result<(), Reject> {
    if weight <= WEIGHT_MAX {
        return Ok(());
    }
    Err(
        Reject::new(RejectCode::Invalid, format!("weight of node {name}"))
            .values(WEIGHT_MAX.into(), weight.into())
            .detail(format!("it must be from 0 to {WEIGHT_MAX}")),
    )
}

fn put_if_other(change: &mut Change<'_>, now: &Node, next: Node) {
    if next != *now {
        let modified = change.revision;
        change.put(Record::Node(Arc::new(Node { modified, ..next })));
    }
}
