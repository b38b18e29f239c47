//! Commands by which a primary is changed on evidence, and the receipts of it.

use super::{
    Verdict,
    assignment::{assignment, may_be_primary},
    instance::instance,
    present_node, service, unchanged,
};
use crate::{
    Account, Assignment, Cause, Command, Completeness, Created, Epoch, FenceProof, Key, LossPolicy,
    Member, NodeId, NodeRef, Note, Policy, PrimaryPolicy, Receipt, Record, Reject, RejectCode,
    Revision, ServiceName, Timestamp,
    change::Change,
    limits::{CONSIDERED_MAX, EVIDENCE_MAX, IN_SYNC_MAX, RECEIPTS_PER_SERVICE_MAX},
};
use std::{collections::BTreeSet, sync::Arc};

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the router in mod.rs is exhaustive"
)]
pub(super) fn run(change: &mut Change<'_>, stamp: Timestamp, command: &Command) -> Verdict {
    match command {
        Command::Promote {
            service,
            to,
            succeeds,
            in_sync,
            syncing,
            account,
            reason,
        } => {
            let followers = Followers { in_sync, syncing };
            promote(
                change, stamp, service, *to, *succeeds, followers, account, reason,
            )
        }
        Command::SetMembers {
            service,
            epoch,
            expected,
            in_sync,
            syncing,
        } => {
            let members = Followers { in_sync, syncing };
            set_members(change, service, *epoch, *expected, members)
        }
        Command::CompleteReceipt {
            service,
            epoch,
            timeline,
        } => on_receipt(change, service, *epoch, |receipt| {
            for (phase, at) in timeline {
                receipt.account.timeline.entry(*phase).or_insert(*at);
            }
        }),
        Command::NoteReturn {
            service,
            epoch,
            returned,
        } => on_receipt(change, service, *epoch, |receipt| {
            receipt.returned = returned.clone();
        }),
        Command::Acknowledge { service, epoch } => on_receipt(change, service, *epoch, |receipt| {
            receipt.acknowledged = true;
        }),
        other => unreachable!("{other:?} is no command on receipts"),
    }
}

/// Who follows a primary.
#[derive(Clone, Copy)]
struct Followers<'a> {
    in_sync: &'a BTreeSet<NodeId>,
    syncing: &'a BTreeSet<NodeId>,
}

/// Promise 1 rests on the comparison with `succeeds`, promise 2 on [`check_fence`], promise 3 on
/// [`check_complete`]: what the leader decided is checked here again, by every server.
#[expect(
    clippy::too_many_arguments,
    reason = "they are the fields of one command"
)]
fn promote(
    change: &mut Change<'_>,
    stamp: Timestamp,
    name: &ServiceName,
    to: Member,
    succeeds: Epoch,
    followers: Followers<'_>,
    account: &Account,
    reason: &Note,
) -> Verdict {
    let now = assignment(change, name)?;
    if now.epoch != succeeds {
        return Err(
            Reject::new(RejectCode::WrongEpoch, format!("service {name}"))
                .values(succeeds.0, now.epoch.0),
        );
    }
    let node = present_node(change.state, &NodeRef::Id(to.node))?;
    if node.member() != to {
        let subject = format!("node {}", node.name);
        return Err(Reject::new(RejectCode::WrongIncarnation, subject)
            .values(to.incarnation.0, node.incarnation.0));
    }
    let candidate = instance(change, name, node.id)?;
    may_be_primary(change, &node, &candidate)?;
    if now.primary == Some(to) {
        return Err(Reject::new(
            RejectCode::AlreadyPrimary,
            format!("{name} on {}", node.name),
        ));
    }
    check_fence(&now, account)?;
    check_complete(change, &now, to.node, account)?;
    check_size(account)?;
    check_members(change, name, to.node, followers)?;
    let epoch = now.epoch.next();
    let lossless = account.completeness.is_lossless();
    let next = Assignment {
        service: name.clone(),
        primary: Some(to),
        epoch,
        loss: if lossless { now.loss } else { now.loss.next() },
        in_sync: followers.in_sync.clone(),
        syncing: followers.syncing.clone(),
        reason: reason.clone(),
        modified: change.revision,
    };
    change.put(Record::Assignment(Arc::new(next)));
    change.put(Record::Receipt(Arc::new(Receipt {
        service: name.clone(),
        epoch,
        from: now.primary,
        to,
        account: account.clone(),
        stamp,
        acknowledged: false,
        returned: Note::default(),
    })));
    drop_oldest(change, name);
    Ok(Some(Created::Epoch(epoch)))
}

fn drop_oldest(change: &mut Change<'_>, name: &ServiceName) {
    let epochs: Vec<Epoch> = change.state.receipts(name).map(|one| one.epoch).collect();
    let over = epochs.len().saturating_sub(RECEIPTS_PER_SERVICE_MAX);
    for epoch in epochs.into_iter().take(over) {
        change.delete(&Key::Receipt(name.clone(), epoch));
    }
}

/// Promise 2: the log holds a proof that the old primary serves no more, and one that fits.
fn check_fence(now: &Assignment, account: &Account) -> Result<(), Reject> {
    let fits = match account.fence {
        FenceProof::Nobody => now.primary.is_none(),
        FenceProof::Operator => now.primary.is_some() && account.cause == Cause::Operator,
        FenceProof::Confirmed | FenceProof::Exited | FenceProof::LeaseOver { .. } => {
            now.primary.is_some()
        }
    };
    if fits {
        return Ok(());
    }
    let subject = format!("the primary of {}", now.service);
    Err(Reject::new(RejectCode::NotFenced, subject).detail(account.fence))
}

/// Promise 3: what the policy wants of the new primary is there.
fn check_complete(
    change: &Change<'_>,
    now: &Assignment,
    to: NodeId,
    account: &Account,
) -> Result<(), Reject> {
    let policy = primary_policy(change, &now.service)?;
    let holds = match &account.completeness {
        Completeness::First => now.primary.is_none(),
        Completeness::Equal => matches!(account.fence, FenceProof::Confirmed),
        Completeness::Proven { heard } => {
            heard.contains(&to) && now.proves_complete(heard, policy.write_acks)
        }
        Completeness::Bounded { lacks } => return allow(policy.loss, Some(*lacks), now, to),
        Completeness::Unknown => return allow(policy.loss, None, now, to),
    };
    if holds {
        return Ok(());
    }
    let subject = format!("{} on node {to}", now.service);
    Err(Reject::new(RejectCode::NotProven, subject).detail(&account.completeness))
}

fn allow(loss: LossPolicy, lacks: Option<u64>, now: &Assignment, to: NodeId) -> Result<(), Reject> {
    let allowed = match (loss, lacks) {
        (LossPolicy::Never, _) | (LossPolicy::Bounded(_), None) => false,
        (LossPolicy::Bounded(most), Some(lacks)) => lacks <= most,
        (LossPolicy::Available, _) => true,
    };
    if allowed {
        return Ok(());
    }
    let subject = format!("{} on node {to}", now.service);
    Err(
        Reject::new(RejectCode::LossForbidden, subject).detail(format!(
            "the policy is {loss}; change it first, if the data may be given up"
        )),
    )
}

fn primary_policy(change: &Change<'_>, name: &ServiceName) -> Result<PrimaryPolicy, Reject> {
    match service(change.state, name)?.policy {
        Policy::Primary(policy) => Ok(policy),
        Policy::Peers(_) | Policy::Copies(_) => Err(Reject::new(
            RejectCode::NotAPrimaryService,
            format!("service {name}"),
        )),
    }
}

fn check_size(account: &Account) -> Result<(), Reject> {
    let (evidence, considered) = (account.evidence.len(), account.considered.len());
    if evidence <= EVIDENCE_MAX && considered <= CONSIDERED_MAX {
        return Ok(());
    }
    Err(
        Reject::new(RejectCode::LimitReached, "the account").detail(format!(
            "{evidence} pieces of evidence (at most {EVIDENCE_MAX}), \
             {considered} candidates (at most {CONSIDERED_MAX})"
        )),
    )
}

fn check_members(
    change: &Change<'_>,
    name: &ServiceName,
    primary: NodeId,
    followers: Followers<'_>,
) -> Result<(), Reject> {
    let Followers { in_sync, syncing } = followers;
    let bad = |why: String| {
        Err(Reject::new(RejectCode::BadInSyncSet, format!("service {name}")).detail(why))
    };
    let count = in_sync.len().saturating_add(syncing.len());
    if count > IN_SYNC_MAX {
        return Err(
            Reject::new(RejectCode::LimitReached, format!("members of {name}"))
                .values(IN_SYNC_MAX as u64, count as u64),
        );
    }
    if !in_sync.contains(&primary) {
        return bad(format!("the primary, node {primary}, is not in it"));
    }
    if let Some(both) = in_sync.intersection(syncing).next() {
        return bad(format!("node {both} is both in sync and syncing"));
    }
    let mut all = in_sync.union(syncing);
    match all.find(|node| change.state.instance(name, **node).is_none()) {
        Some(stranger) => bad(format!("node {stranger} has no instance of it")),
        None => Ok(()),
    }
}

fn set_members(
    change: &mut Change<'_>,
    name: &ServiceName,
    epoch: Epoch,
    expected: Revision,
    members: Followers<'_>,
) -> Verdict {
    let now = assignment(change, name)?;
    if now.epoch != epoch {
        return Err(
            Reject::new(RejectCode::WrongEpoch, format!("service {name}"))
                .values(epoch.0, now.epoch.0),
        );
    }
    unchanged(&Key::Assignment(name.clone()), expected, now.modified)?;
    let Some(primary) = now.primary else {
        let subject = format!("service {name}");
        return Err(
            Reject::new(RejectCode::BadInSyncSet, subject).detail("there is no primary yet")
        );
    };
    check_members(change, name, primary.node, members)?;
    if *members.in_sync != now.in_sync || *members.syncing != now.syncing {
        let next = Assignment {
            in_sync: members.in_sync.clone(),
            syncing: members.syncing.clone(),
            modified: change.revision,
            ..(*now).clone()
        };
        change.put(Record::Assignment(Arc::new(next)));
    }
    Ok(None)
}

fn on_receipt(
    change: &mut Change<'_>,
    name: &ServiceName,
    epoch: Epoch,
    edit: impl FnOnce(&mut Receipt),
) -> Verdict {
    let Some(now) = change.state.receipt(name, epoch) else {
        let key = Key::Receipt(name.clone(), epoch);
        return Err(Reject::new(RejectCode::NotFound, key));
    };
    let mut next = (**now).clone();
    edit(&mut next);
    change.put(Record::Receipt(Arc::new(next)));
    Ok(None)
}
