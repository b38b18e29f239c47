//! Commands on assignments: who is primary, and who holds every acknowledged write.

use super::{Verdict, instance::instance, present_node, service, unchanged};
use crate::{
    Assignment, Command, Created, Epoch, Instance, Key, Kind, LossPolicy, Node, NodeId, NodeRef,
    Note, PinKind, Policy, Record, Reject, RejectCode, Revision, ServiceName, change::Change,
    limits::IN_SYNC_MAX,
};
use std::{collections::BTreeSet, sync::Arc};

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, command: &Command) -> Verdict {
    match command {
        Command::SetPrimary {
            service,
            to,
            succeeds,
            accept_loss,
            reason,
        } => set_primary(change, service, to, *succeeds, *accept_loss, reason),
        Command::SetInSync {
            service,
            epoch,
            expected,
            in_sync,
        } => set_in_sync(change, service, *epoch, *expected, in_sync),
        other => unreachable!("{other:?} is no command on assignments"),
    }
}

/// Promise 1 rests on the comparison with `succeeds`: of two changes decided on the same epoch the
/// second is rejected. Promise 3 rests on the in-sync set: whoever is outside it may lack
/// acknowledged writes, and becomes primary only where loss is accepted in so many words.
fn set_primary(
    change: &mut Change<'_>,
    name: &ServiceName,
    to: &NodeRef,
    succeeds: Epoch,
    accept_loss: bool,
    reason: &Note,
) -> Verdict {
    let now = assignment(change, name)?;
    if now.epoch != succeeds {
        return Err(
            Reject::new(RejectCode::WrongEpoch, format!("service {name}"))
                .values(succeeds.0, now.epoch.0),
        );
    }
    let node = present_node(change.state, to)?;
    let candidate = instance(change, name, node.id)?;
    may_be_primary(change, &node, &candidate)?;
    if now.primary == Some(node.member()) {
        return Err(Reject::new(
            RejectCode::AlreadyPrimary,
            format!("{name} on {}", node.name),
        ));
    }
    let first = now.primary.is_none();
    if !first {
        beside_agents(
            change,
            name,
            "move its primary with `switchover` or `failover`",
        )?;
    }
    let complete = first || now.in_sync.contains(&node.id);
    if !complete {
        allow_loss(change, name, &node, accept_loss)?;
    }
    let epoch = now.epoch.next();
    let next = Assignment {
        primary: Some(node.member()),
        epoch,
        loss: if complete { now.loss } else { now.loss.next() },
        in_sync: if complete && !first {
            now.in_sync.clone()
        } else {
            [node.id].into()
        },
        syncing: if complete && !first {
            let others = now.syncing.iter().filter(|other| **other != node.id);
            others.copied().collect()
        } else {
            BTreeSet::new()
        },
        reason: reason.clone(),
        modified: change.revision,
        service: name.clone(),
    };
    change.put(Record::Assignment(Arc::new(next)));
    Ok(Some(Created::Epoch(epoch)))
}

/// Promises 1 and 3: the old primary holds a lease, and the members acknowledge, until their agents have been
/// told otherwise. So what rests on no proof is no way to change a service of which an agent speaks.
fn beside_agents(change: &Change<'_>, name: &ServiceName, instead: &str) -> Result<(), Reject> {
    if change.state.is_kept_by_agents(name) {
        return Err(
            Reject::new(RejectCode::KeptByAgents, format!("service {name}")).detail(instead),
        );
    }
    Ok(())
}

pub(super) fn may_be_primary(
    change: &Change<'_>,
    node: &Node,
    candidate: &Instance,
) -> Result<(), Reject> {
    if !node.lifecycle.accepts_placement() {
        return Err(
            Reject::new(RejectCode::NodeNotPlaceable, format!("node {}", node.name))
                .detail(format!("it is {}", node.lifecycle)),
        );
    }
    if let Some(pin) = change.state.pins.get(&node.id)
        && pin.kind == PinKind::Down
    {
        return Err(
            Reject::new(RejectCode::NodePinnedDown, format!("node {}", node.name))
                .detail(&pin.reason),
        );
    }
    if candidate.preference == 0 {
        let subject = format!("{} on {}", candidate.service, node.name);
        return Err(Reject::new(RejectCode::NeverPrimary, subject));
    }
    Ok(())
}

fn allow_loss(
    change: &Change<'_>,
    name: &ServiceName,
    node: &Node,
    accept_loss: bool,
) -> Result<(), Reject> {
    let subject = format!("{name} on {}", node.name);
    if !accept_loss {
        return Err(Reject::new(RejectCode::NotInSync, subject)
            .detail("choose one of the in-sync set, or accept the loss explicitly"));
    }
    match service(change.state, name)?.policy {
        Policy::Primary(policy) if policy.loss == LossPolicy::Never => {
            Err(Reject::new(RejectCode::LossForbidden, subject)
                .detail("change the service's policy first, if its data may be given up"))
        }
        Policy::Primary(_) | Policy::Peers(_) | Policy::Copies(_) => Ok(()),
    }
}

fn set_in_sync(
    change: &mut Change<'_>,
    name: &ServiceName,
    epoch: Epoch,
    expected: Revision,
    in_sync: &BTreeSet<NodeId>,
) -> Verdict {
    let now = assignment(change, name)?;
    if now.epoch != epoch {
        return Err(
            Reject::new(RejectCode::WrongEpoch, format!("service {name}"))
                .values(epoch.0, now.epoch.0),
        );
    }
    unchanged(&Key::Assignment(name.clone()), expected, now.modified)?;
    beside_agents(change, name, "its members follow what the agents report")?;
    if in_sync.len() > IN_SYNC_MAX {
        return Err(
            Reject::new(RejectCode::LimitReached, format!("in-sync set of {name}"))
                .values(IN_SYNC_MAX as u64, in_sync.len() as u64),
        );
    }
    let subject = format!("service {name}");
    let bad = |why: String| Err(Reject::new(RejectCode::BadInSyncSet, &subject).detail(why));
    match now.primary {
        None => return bad("there is no primary yet".to_owned()),
        Some(primary) if !in_sync.contains(&primary.node) => {
            return bad(format!("the primary, node {}, is not in it", primary.node));
        }
        Some(_) => {}
    }
    let stranger = in_sync
        .iter()
        .find(|node| change.state.instance(name, **node).is_none());
    if let Some(stranger) = stranger {
        return bad(format!("node {stranger} has no instance of it"));
    }
    if *in_sync != now.in_sync {
        let next = Assignment {
            in_sync: in_sync.clone(),
            syncing: now.syncing.difference(in_sync).copied().collect(),
            modified: change.revision,
            ..(*now).clone()
        };
        change.put(Record::Assignment(Arc::new(next)));
    }
    Ok(None)
}

pub(super) fn assignment(
    change: &Change<'_>,
    name: &ServiceName,
) -> Result<Arc<Assignment>, Reject> {
    let service = service(change.state, name)?;
    let none = || Reject::new(RejectCode::NotAPrimaryService, format!("service {name}"));
    if service.kind() != Kind::Primary {
        return Err(none());
    }
    change.state.assignment(name).cloned().ok_or_else(none)
}
