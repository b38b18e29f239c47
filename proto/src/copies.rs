//! Items and their copies, wire ⇄ core. What is asked of one item is refused by itself: its refusal stands where its answer
//! would.

use crate::v1::{self, item_refusal::Code};
use bytes::Bytes;
use tenure_core::{
    NodeId,
    controller::{RebalanceProgress, RepairProgress, VerifyProgress},
    copies::{
        Accepted, Checksum, CopyState, Item, ItemName, Located, Refusal, Reported, Store, Summary,
    },
};

/// A checksum as it is sent; empty is none.
#[must_use]
pub fn checksum_to_wire(checksum: Option<&Checksum>) -> Bytes {
    checksum.map_or_else(Bytes::new, |sum| Bytes::copy_from_slice(sum.as_bytes()))
}

/// A checksum that was sent; empty is none.
///
/// # Errors
/// [`Refusal::ChecksumLength`] when it is too long.
pub fn checksum_from_wire(bytes: &[u8]) -> Result<Option<Checksum>, Refusal> {
    match bytes {
        [] => Ok(None),
        some => Checksum::new(some).map(Some),
    }
}

/// A report on one item.
///
/// # Errors
/// [`Refusal::BadName`], [`Refusal::ChecksumLength`].
pub fn reported(wire: v1::ReportedItem) -> Result<Reported, Refusal> {
    Ok(Reported {
        item: ItemName::new(&wire.name)?,
        replaces: wire.replaces,
        version: wire.version,
        checksum: checksum_from_wire(&wire.checksum)?,
        size: wire.size,
        holders: wire.holders.into_iter().map(NodeId).collect(),
    })
}

impl From<&Reported> for v1::ReportedItem {
    fn from(reported: &Reported) -> Self {
        Self {
            name: reported.item.as_str().to_owned(),
            replaces: reported.replaces,
            version: reported.version,
            checksum: checksum_to_wire(reported.checksum.as_ref()),
            size: reported.size,
            holders: ids(&reported.holders),
        }
    }
}

fn ids(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

fn code(refusal: &Refusal) -> Code {
    match refusal {
        Refusal::BadName(_) => Code::BadName,
        Refusal::NoSuchItem(_) => Code::NoSuchItem,
        Refusal::NoSuchNode(_) | Refusal::NodeKnown(_) => Code::NoSuchNode,
        Refusal::NodeTakesNone(_) => Code::NodeTakesNone,
        Refusal::NotACopy { .. } => Code::NotACopy,
        Refusal::AlreadyACopy { .. } => Code::AlreadyACopy,
        Refusal::Changed { .. } => Code::Changed,
        Refusal::OldVersion { .. } => Code::OldVersion,
        Refusal::ChecksumDiffers { .. } => Code::ChecksumDiffers,
        Refusal::ChecksumLength { .. } => Code::ChecksumLength,
        Refusal::NothingToCompare(_) => Code::NothingToCompare,
        Refusal::TooFewCopies { .. } => Code::TooFewCopies,
        Refusal::TooMany { .. } => Code::TooMany,
        Refusal::BadWanted(_) => Code::BadWanted,
        Refusal::CopyNeeded { .. } => Code::CopyNeeded,
        Refusal::WouldLeaveTooFew { .. } => Code::WouldLeaveTooFew,
    }
}

fn values(refusal: &Refusal) -> Option<(u64, u64)> {
    let wide = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    match refusal {
        Refusal::Changed {
            expected, actual, ..
        } => Some((*expected, *actual)),
        Refusal::OldVersion { given, actual, .. } => Some((*given, *actual)),
        Refusal::ChecksumLength { given, expected } => Some((wide(*expected), wide(*given))),
        Refusal::TooFewCopies { have, need, .. } => Some((wide(*need), wide(*have))),
        Refusal::TooMany { given, max, .. } => Some((wide(*max), wide(*given))),
        Refusal::BadName(_)
        | Refusal::NoSuchItem(_)
        | Refusal::NoSuchNode(_)
        | Refusal::NodeKnown(_)
        | Refusal::NodeTakesNone(_)
        | Refusal::NotACopy { .. }
        | Refusal::AlreadyACopy { .. }
        | Refusal::ChecksumDiffers { .. }
        | Refusal::NothingToCompare(_)
        | Refusal::BadWanted(_)
        | Refusal::CopyNeeded { .. }
        | Refusal::WouldLeaveTooFew { .. } => None,
    }
}

impl From<&Refusal> for v1::ItemRefusal {
    fn from(refusal: &Refusal) -> Self {
        let values = values(refusal);
        Self {
            code: code(refusal).into(),
            detail: refusal.to_string(),
            expected: values.map(|(expected, _)| expected),
            actual: values.map(|(_, actual)| actual),
        }
    }
}

/// Where an item is, or why that is not told.
#[must_use]
pub fn located_to_wire(located: &Result<Located, Refusal>) -> v1::Located {
    match located {
        Ok(located) => v1::Located {
            version: located.version,
            checksum: checksum_to_wire(located.checksum.as_ref()),
            size: located.size,
            fresh: ids(&located.fresh),
            writable: ids(&located.writable),
            refusal: None,
        },
        Err(refusal) => v1::Located {
            refusal: Some(refusal.into()),
            ..v1::Located::default()
        },
    }
}

/// What a report came to.
#[must_use]
pub fn accepted_to_wire(answer: &Result<Accepted, Refusal>) -> v1::report_copies_response::Result {
    match answer {
        Ok(accepted) => v1::report_copies_response::Result {
            usable: accepted.usable.into(),
            missing: accepted.missing.into(),
            refusal: None,
        },
        Err(refusal) => v1::report_copies_response::Result {
            refusal: Some(refusal.into()),
            ..v1::report_copies_response::Result::default()
        },
    }
}

fn state(state: CopyState) -> v1::CopyState {
    match state {
        CopyState::InSync => v1::CopyState::InSync,
        CopyState::Syncing => v1::CopyState::Syncing,
        CopyState::Stale => v1::CopyState::Stale,
        CopyState::Leaving => v1::CopyState::Leaving,
        CopyState::Dropping => v1::CopyState::Dropping,
    }
}

/// An item with all of its copies; `is_lost` says which nodes are not heard from.
#[must_use]
pub fn item_to_wire(item: &Item, is_lost: impl Fn(NodeId) -> bool) -> v1::Item {
    let copy = |(node, state_of): &(NodeId, CopyState)| v1::item::Copy {
        node: node.0,
        state: state(*state_of).into(),
        lost: is_lost(*node),
    };
    let copies: Vec<v1::item::Copy> = item.copies.iter().map(copy).collect();
    let in_sync = i32::from(v1::CopyState::InSync);
    let counts = |copy: &&v1::item::Copy| copy.state == in_sync && !copy.lost;
    let counted = copies.iter().filter(counts).count();
    v1::Item {
        name: item.name.as_str().to_owned(),
        version: item.version,
        checksum: checksum_to_wire(item.checksum.as_ref()),
        size: item.size,
        wanted: item.wanted.into(),
        counted: u32::try_from(counted).unwrap_or(u32::MAX),
        copies,
    }
}

/// The numbers of a service, without what is under way.
#[must_use]
pub fn summary_to_wire(summary: &Summary) -> v1::CopiesStatusResponse {
    let usable = |(copies, items): (&u8, &u64)| v1::copies_status_response::Usable {
        copies: (*copies).into(),
        items: *items,
    };
    v1::CopiesStatusResponse {
        items: summary.items,
        unwritten: summary.unwritten,
        bytes: summary.bytes,
        under_replicated: summary.under_replicated,
        missing_bytes: summary.missing_bytes,
        spare: summary.spare,
        by_usable: summary.by_usable.iter().map(usable).collect(),
        ..v1::CopiesStatusResponse::default()
    }
}

impl From<&RepairProgress> for v1::RepairStatus {
    fn from(repair: &RepairProgress) -> Self {
        let waiting = repair.waiting;
        Self {
            items: repair.items,
            bytes: repair.bytes,
            running: u32::try_from(repair.running).unwrap_or(u32::MAX),
            done: repair.done,
            done_bytes: repair.done_bytes,
            bytes_per_second: repair.bytes_per_second,
            seconds: repair.seconds,
            failed: repair.failed,
            waits_for_grace: waiting.grace,
            waits_for_limits: waiting.limits,
            waits_after_failure: waiting.backoff,
            no_source: waiting.no_source,
            no_room: waiting.no_room,
            paused: repair.paused,
        }
    }
}

impl From<&RebalanceProgress> for v1::RebalanceStatus {
    fn from(rebalance: &RebalanceProgress) -> Self {
        use v1::rebalance_status::State;
        let state = if rebalance.paused {
            State::Paused
        } else {
            State::Running
        };
        Self {
            state: state.into(),
            looked: rebalance.looked,
            total: rebalance.total,
            moves: rebalance.moves,
            bytes: rebalance.bytes,
        }
    }
}

impl From<&VerifyProgress> for v1::VerifyStatus {
    fn from(verify: &VerifyProgress) -> Self {
        let differing = verify.differing.iter();
        let differing = differing.map(|(item, node, why)| v1::Differing {
            item: item.as_str().to_owned(),
            node: node.0,
            why: why.clone(),
        });
        Self {
            running: verify.running,
            copies: verify.copies,
            compared: verify.compared,
            differ: verify.differ,
            unread: verify.unread,
            differing: differing.collect(),
        }
    }
}

impl From<&Store> for v1::StoreStatus {
    fn from(store: &Store) -> Self {
        let (fresh, fresh_bytes) = store.fresh();
        Self {
            node: store.node().0,
            zone: store.zone().map(ToString::to_string).unwrap_or_default(),
            weight: store.weight(),
            lost: store.is_lost(),
            draining: store.is_draining(),
            items: store.items(),
            fresh,
            fresh_bytes,
            ..Self::default()
        }
    }
}
