//! Commands on the copies of items. A batch is taken item by item, outside of any roll-back: each is checked by itself, and
//! what was taken stays taken whatever comes after it.

use super::{Verdict, present_node, service};
use crate::copies::{
    Accepted, CopiesCommand, ItemName, Ledger, Obstacles, OneCopy, Placing, Rebalance,
    RebalanceStep, Refusal, Removing, StoreRecord,
};
use crate::{
    Instance, Key, Member, Node, NodeId, NodeRef, Policy, Record, Reject, RejectCode, ServiceName,
    State, change::Change, copies::ITEMS_PER_REQUEST_MAX,
};
use std::sync::Arc;

/// Items named in a reject; its detail has room for no more.
const NAMED: usize = 8;

type Answer = Result<Accepted, Refusal>;

pub(super) fn run(change: &mut Change<'_>, name: &ServiceName, what: &CopiesCommand) -> Verdict {
    if change.state.ledger(name).is_none() {
        let kind = service(change.state, name)?.kind();
        let reject = Reject::new(RejectCode::NotACopiesService, format!("service {name}"));
        return Err(reject.detail(format!("it is of kind {kind}")));
    }
    if what.items() > ITEMS_PER_REQUEST_MAX {
        let (most, given) = (ITEMS_PER_REQUEST_MAX as u64, what.items() as u64);
        return Err(Reject::new(RejectCode::LimitReached, "the batch of items").values(most, given));
    }
    match what {
        CopiesCommand::Lose { member } => turn(change, name, *member, true),
        CopiesCommand::Regain { member } => turn(change, name, *member, false),
        CopiesCommand::Rebalance(step) => rebalance(change, name, *step),
        CopiesCommand::Empty { node, accept_loss } => empty(change, name, *node, *accept_loss),
        CopiesCommand::Renew { member, folder } => renew(change, name, *member, *folder),
        batch @ (CopiesCommand::Place(_)
        | CopiesCommand::Report(_)
        | CopiesCommand::Verify(_)
        | CopiesCommand::Assign(_)
        | CopiesCommand::Drop(_)
        | CopiesCommand::Dropped(_)
        | CopiesCommand::Remove(_)) => {
            take(change, name, batch);
            Ok(None)
        }
    }
}

/// Takes a batch and keeps an answer for each of its items.
fn take(change: &mut Change<'_>, name: &ServiceName, batch: &CopiesCommand) {
    let Some(ledger) = change.state.ledger_mut(name) else {
        return;
    };
    let (answers, names): (Vec<Answer>, Vec<&ItemName>) = match batch {
        CopiesCommand::Place(items) => {
            let place =
                |one: &Placing| ledger.place(&one.item, one.wanted, &one.nodes).map(nothing);
            let answers = items.iter().map(place).collect();
            (answers, items.iter().map(|one| &one.item).collect())
        }
        CopiesCommand::Report(items) => {
            let answers = ledger.report(items).unwrap_or_default();
            (answers, items.iter().map(|one| &one.item).collect())
        }
        CopiesCommand::Verify(items) => {
            let answers = ledger.verify(items).unwrap_or_default().into_iter();
            let same = |(one, same): (&crate::copies::Checked, Result<bool, Refusal>)| {
                let (item, version) = (one.item.clone(), one.version);
                match same? {
                    true => Ok(Accepted::default()),
                    false => Err(Refusal::ChecksumDiffers { item, version }),
                }
            };
            let answers = items.iter().zip(answers).map(same).collect();
            (answers, items.iter().map(|one| &one.item).collect())
        }
        CopiesCommand::Assign(items) => each(ledger, items, Ledger::assign),
        CopiesCommand::Drop(items) => each(ledger, items, Ledger::drop_copy),
        CopiesCommand::Dropped(items) => each(ledger, items, Ledger::dropped),
        CopiesCommand::Remove(items) => {
            let remove = |one: &Removing| ledger.remove_item(&one.item, one.version).map(nothing);
            let answers = items.iter().map(remove).collect();
            (answers, items.iter().map(|one| &one.item).collect())
        }
        CopiesCommand::Empty { .. }
        | CopiesCommand::Lose { .. }
        | CopiesCommand::Regain { .. }
        | CopiesCommand::Renew { .. }
        | CopiesCommand::Rebalance(_) => return,
    };
    let changed = |answer: &Answer| matches!(answer, Ok(_) | Err(Refusal::ChecksumDiffers { .. }));
    for (answer, item) in answers.iter().zip(names) {
        if changed(answer) {
            change.touched.push(Key::Item(name.clone(), item.clone()));
        }
    }
    change.answers = Some(answers);
}

fn nothing<T>(_: T) -> Accepted {
    Accepted::default()
}

fn each<'a>(
    ledger: &mut Ledger,
    copies: &'a [OneCopy],
    act: impl Fn(&mut Ledger, &ItemName, NodeId) -> Result<(), Refusal>,
) -> (Vec<Answer>, Vec<&'a ItemName>) {
    let one = |copy: &OneCopy| act(ledger, &copy.item, copy.node).map(nothing);
    let answers = copies.iter().map(one).collect();
    (answers, copies.iter().map(|copy| &copy.item).collect())
}

/// The node that a member is, in the life that is meant, as a holder of copies.
fn member(change: &Change<'_>, name: &ServiceName, member: Member) -> Result<Arc<Node>, Reject> {
    let node = present_node(change.state, &NodeRef::Id(member.node))?;
    if node.incarnation != member.incarnation {
        let reject = Reject::new(RejectCode::WrongIncarnation, format!("node {}", node.name));
        return Err(reject.values(member.incarnation.0, node.incarnation.0));
    }
    instance(change, name, &node)?;
    Ok(node)
}

fn instance(change: &Change<'_>, name: &ServiceName, node: &Node) -> Result<Arc<Instance>, Reject> {
    let found = change.state.instance(name, node.id).cloned();
    found.ok_or_else(|| Reject::new(RejectCode::NotFound, format!("{name} on {}", node.name)))
}

fn turn(change: &mut Change<'_>, name: &ServiceName, of: Member, lost: bool) -> Verdict {
    let node = member(change, name, of)?;
    let store = change.state.ledger(name).and_then(|it| it.store(node.id));
    let Some((was, folder)) = store.map(|store| (store.is_lost(), store.folder())) else {
        return Ok(None);
    };
    if was != lost {
        put_store(change, name, node.id, lost, folder);
    }
    Ok(None)
}

fn put_store(change: &mut Change<'_>, name: &ServiceName, node: NodeId, lost: bool, folder: u64) {
    if lost || folder != 0 {
        let service = name.clone();
        change.put(Record::Store(Arc::new(StoreRecord {
            service,
            node,
            lost,
            folder,
        })));
    } else {
        change.delete(&Key::Store(name.clone(), node));
    }
}

fn renew(change: &mut Change<'_>, name: &ServiceName, of: Member, folder: u64) -> Verdict {
    let node = member(change, name, of)?.id;
    if folder == 0 {
        let reject = Reject::new(RejectCode::Invalid, format!("the data of {name} on {node}"));
        return Err(reject.detail("0 names no data"));
    }
    let Some(ledger) = change.state.ledger_mut(name) else {
        return Ok(None);
    };
    let known = ledger.store(node).map_or(0, crate::copies::Store::folder);
    if known == folder {
        return Ok(None);
    }
    let held = if known == 0 {
        Vec::new()
    } else {
        ledger.items_on(node)
    };
    drop(ledger.renew(node, folder));
    touch(change, name, held);
    change.touched.push(Key::Store(name.clone(), node));
    Ok(None)
}

fn touch(change: &mut Change<'_>, name: &ServiceName, items: Vec<ItemName>) {
    let key = |item| Key::Item(name.clone(), item);
    change.touched.extend(items.into_iter().map(key));
}

/// Told to watchers as a change of the instance, and kept in the history: what is lost by it is lost for good.
fn empty(change: &mut Change<'_>, name: &ServiceName, node: NodeId, accept: bool) -> Verdict {
    let node = present_node(change.state, &NodeRef::Id(node))?;
    let now = instance(change, name, &node)?;
    let Some(ledger) = change.state.ledger_mut(name) else {
        return Ok(None);
    };
    if ledger.is_evacuated(node.id) {
        return Ok(None);
    }
    if !accept {
        let obstacles = ledger.removal_obstacles(node.id, NAMED);
        refuse(&node, name, obstacles.unwrap_or_default())?;
    }
    let held = ledger.items_on(node.id);
    drop(ledger.empty(node.id));
    touch(change, name, held);
    let modified = change.revision;
    change.put(Record::Instance(Arc::new(Instance {
        modified,
        ..(*now).clone()
    })));
    Ok(None)
}

fn rebalance(change: &mut Change<'_>, name: &ServiceName, step: RebalanceStep) -> Verdict {
    let now = change.state.rebalance(name).cloned();
    let paused = match (step, &now) {
        (RebalanceStep::Stop, _) => {
            change.delete(&Key::Rebalance(name.clone()));
            return Ok(None);
        }
        (RebalanceStep::Start, Some(now)) => now.paused,
        (RebalanceStep::Start, None) => false,
        (RebalanceStep::Pause | RebalanceStep::Resume, None) => {
            let reject = Reject::new(RejectCode::NotFound, format!("a rebalance of {name}"));
            return Err(reject.detail("start one first"));
        }
        (RebalanceStep::Pause, Some(_)) => true,
        (RebalanceStep::Resume, Some(_)) => false,
    };
    if now.is_none_or(|now| now.paused != paused) {
        let (service, since) = (name.clone(), change.revision);
        change.put(Record::Rebalance(Arc::new(Rebalance {
            service,
            paused,
            since,
        })));
    }
    Ok(None)
}

/// Promise 9: a drain that would leave items with too few fresh copies is refused with their names.
pub(super) fn check_drain(state: &State, node: &Node) -> Result<(), Reject> {
    if state.settings.feature_level < 3 {
        return Ok(());
    }
    for service in state.services_on(node.id) {
        if let Some(ledger) = state.ledger(service) {
            let obstacles = ledger.drain_obstacles(node.id, NAMED);
            refuse(node, service, obstacles.unwrap_or_default())?;
        }
    }
    Ok(())
}

/// An instance goes when the ledger has nothing on its node any more: promise 9 is kept by not having an exception.
pub(super) fn check_removal(state: &State, name: &ServiceName, node: &Node) -> Result<(), Reject> {
    let Some(store) = state.ledger(name).and_then(|ledger| ledger.store(node.id)) else {
        return Ok(());
    };
    if store.items() == 0 {
        return Ok(());
    }
    let subject = format!("{name} on {}", node.name);
    let reject = Reject::new(RejectCode::StoreHoldsCopies, subject).values(0, store.items());
    Err(reject.detail("drain the node and wait, or empty it (which says what would be lost) first"))
}

/// A service goes when it has no items any more.
pub(super) fn check_service(state: &State, name: &ServiceName) -> Result<(), Reject> {
    let items = state.ledger(name).map_or(0, Ledger::count);
    if items == 0 {
        return Ok(());
    }
    let reject = Reject::new(RejectCode::ServiceHasItems, format!("service {name}"));
    Err(reject.values(0, items).detail("remove its items first"))
}

/// Policies that servers of an earlier level would not understand.
pub(super) fn check_policy(state: &State, policy: &Policy) -> Result<(), Reject> {
    let usual = crate::CopiesPolicy::default();
    let newer = matches!(policy, Policy::Copies(policy)
        if policy.repair_grace_ms != usual.repair_grace_ms
            || policy.transfers_per_node != usual.transfers_per_node);
    let active = state.settings.feature_level;
    if newer && active < 3 {
        let reject = Reject::new(RejectCode::FeatureLevelTooLow, "the policy");
        return Err(reject.values(3, active.into()));
    }
    Ok(())
}

fn refuse(node: &Node, service: &ServiceName, obstacles: Obstacles) -> Result<(), Reject> {
    if obstacles.count == 0 {
        return Ok(());
    }
    let subject = format!("node {} for {service}", node.name);
    let named: Vec<&str> = obstacles.first.iter().map(ItemName::as_str).collect();
    let reject = Reject::new(RejectCode::CopiesNeeded, subject).values(0, obstacles.count);
    Err(reject.detail(format!(
        "{} item(s) would have too few fresh copies, or in too few zones: {}",
        obstacles.count,
        named.join(", ")
    )))
}
