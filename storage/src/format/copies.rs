//! Correspondence between what concerns copies of items, in log entries and rows, and its messages.

use tenure_core::copies::{
    Checked, Checksum, CopiesCommand, CopyState, Item, ItemName, ItemRecord, OneCopy, Placing,
    Rebalance, RebalanceStep, Removing, Reported, Stage, StoreRecord,
};
use tenure_core::{NodeId, Revision};

use super::v1::copies as msg;
use super::{FormatError, codec};

pub(super) fn encode_command(what: &CopiesCommand) -> Option<msg::What> {
    use msg::What;
    Some(match what {
        CopiesCommand::Place(items) => What::Place(msg::Placings {
            items: items.iter().map(placing).collect(),
        }),
        CopiesCommand::Report(items) => What::Report(msg::Reports {
            items: items.iter().map(report).collect(),
        }),
        CopiesCommand::Verify(items) => What::Verify(msg::Verifications {
            items: items.iter().map(verification).collect(),
        }),
        CopiesCommand::Assign(items) => What::Assign(one_copies(items)),
        CopiesCommand::Drop(items) => What::Drop(one_copies(items)),
        CopiesCommand::Dropped(items) => What::Dropped(one_copies(items)),
        CopiesCommand::Remove(items) => What::Remove(msg::Removals {
            items: items.iter().map(removal).collect(),
        }),
        CopiesCommand::Empty { node, accept_loss } => What::Empty(msg::Empty {
            node: node.0,
            accept_loss: *accept_loss,
        }),
        CopiesCommand::Lose { member } => What::Lose(codec::member::message(*member)),
        CopiesCommand::Regain { member } => What::Regain(codec::member::message(*member)),
        CopiesCommand::Renew { member, folder } => What::Renew(msg::Renew {
            member: codec::member::encode(member),
            folder: *folder,
        }),
        CopiesCommand::Rebalance(step) => What::Rebalance(
            match step {
                RebalanceStep::Start => msg::RebalanceStep::Start,
                RebalanceStep::Pause => msg::RebalanceStep::Pause,
                RebalanceStep::Resume => msg::RebalanceStep::Resume,
                RebalanceStep::Stop => msg::RebalanceStep::Stop,
            }
            .into(),
        ),
    })
}

pub(super) fn decode_command(found: Option<msg::What>) -> Result<CopiesCommand, FormatError> {
    use msg::What;
    Ok(match found.ok_or(FormatError::UnknownCommand)? {
        What::Place(found) => CopiesCommand::Place(all(found.items, placing_of)?),
        What::Report(found) => CopiesCommand::Report(all(found.items, report_of)?),
        What::Verify(found) => CopiesCommand::Verify(all(found.items, verification_of)?),
        What::Assign(found) => CopiesCommand::Assign(all(found.items, one_copy_of)?),
        What::Drop(found) => CopiesCommand::Drop(all(found.items, one_copy_of)?),
        What::Dropped(found) => CopiesCommand::Dropped(all(found.items, one_copy_of)?),
        What::Remove(found) => CopiesCommand::Remove(all(found.items, removal_of)?),
        What::Empty(found) => CopiesCommand::Empty {
            node: NodeId(found.node),
            accept_loss: found.accept_loss,
        },
        What::Lose(found) => CopiesCommand::Lose {
            member: codec::member::decode(Some(found))?,
        },
        What::Regain(found) => CopiesCommand::Regain {
            member: codec::member::decode(Some(found))?,
        },
        What::Renew(found) => CopiesCommand::Renew {
            member: codec::member::decode(found.member)?,
            folder: found.folder,
        },
        What::Rebalance(number) => CopiesCommand::Rebalance(step_of(number)?),
    })
}

fn all<M, T>(
    found: Vec<M>,
    one: impl Fn(M) -> Result<T, FormatError>,
) -> Result<Vec<T>, FormatError> {
    found.into_iter().map(one).collect()
}

fn step_of(number: i32) -> Result<RebalanceStep, FormatError> {
    match msg::RebalanceStep::try_from(number) {
        Ok(msg::RebalanceStep::Start) => Ok(RebalanceStep::Start),
        Ok(msg::RebalanceStep::Pause) => Ok(RebalanceStep::Pause),
        Ok(msg::RebalanceStep::Resume) => Ok(RebalanceStep::Resume),
        Ok(msg::RebalanceStep::Stop) => Ok(RebalanceStep::Stop),
        Ok(msg::RebalanceStep::Unspecified) | Err(_) => Err(FormatError::UnknownValue {
            what: "step of a rebalance",
            number: number.into(),
        }),
    }
}

fn text(name: &ItemName) -> String {
    name.as_str().to_owned()
}

pub(super) fn name(text: &str) -> Result<ItemName, FormatError> {
    ItemName::new(text).map_err(|why| FormatError::invalid("name of an item", why))
}

fn bytes(sum: Option<&Checksum>) -> Vec<u8> {
    sum.map_or_else(Vec::new, |sum| sum.as_bytes().to_vec())
}

fn checksum(found: &[u8]) -> Result<Option<Checksum>, FormatError> {
    if found.is_empty() {
        return Ok(None);
    }
    let checksum = Checksum::new(found);
    checksum
        .map(Some)
        .map_err(|why| FormatError::invalid("checksum of an item", why))
}

fn ids(nodes: &[NodeId]) -> Vec<u64> {
    nodes.iter().map(|node| node.0).collect()
}

fn nodes(ids: Vec<u64>) -> Vec<NodeId> {
    ids.into_iter().map(NodeId).collect()
}

fn small(what: &'static str, number: u32) -> Result<u8, FormatError> {
    u8::try_from(number).map_err(|why| FormatError::invalid(what, why))
}

fn placing(one: &Placing) -> msg::Placing {
    msg::Placing {
        item: text(&one.item),
        wanted: one.wanted.into(),
        nodes: ids(&one.nodes),
    }
}

fn placing_of(found: msg::Placing) -> Result<Placing, FormatError> {
    Ok(Placing {
        item: name(&found.item)?,
        wanted: small("number of copies", found.wanted)?,
        nodes: nodes(found.nodes),
    })
}

fn report(one: &Reported) -> msg::Report {
    msg::Report {
        item: text(&one.item),
        replaces: one.replaces,
        version: one.version,
        checksum: bytes(one.checksum.as_ref()),
        size: one.size,
        holders: ids(&one.holders),
    }
}

fn report_of(found: msg::Report) -> Result<Reported, FormatError> {
    Ok(Reported {
        item: name(&found.item)?,
        replaces: found.replaces,
        version: found.version,
        checksum: checksum(&found.checksum)?,
        size: found.size,
        holders: nodes(found.holders),
    })
}

fn verification(one: &Checked) -> msg::Verification {
    msg::Verification {
        item: text(&one.item),
        node: one.node.0,
        version: one.version,
        found: bytes(one.found.as_ref()),
    }
}

fn verification_of(found: msg::Verification) -> Result<Checked, FormatError> {
    Ok(Checked {
        item: name(&found.item)?,
        node: NodeId(found.node),
        version: found.version,
        found: checksum(&found.found)?,
    })
}

fn one_copies(copies: &[OneCopy]) -> msg::OneCopies {
    let one = |copy: &OneCopy| msg::OneCopy {
        item: text(&copy.item),
        node: copy.node.0,
    };
    msg::OneCopies {
        items: copies.iter().map(one).collect(),
    }
}

fn one_copy_of(found: msg::OneCopy) -> Result<OneCopy, FormatError> {
    Ok(OneCopy {
        item: name(&found.item)?,
        node: NodeId(found.node),
    })
}

fn removal(one: &Removing) -> msg::Removal {
    msg::Removal {
        item: text(&one.item),
        version: one.version,
    }
}

fn removal_of(found: msg::Removal) -> Result<Removing, FormatError> {
    Ok(Removing {
        item: name(&found.item)?,
        version: found.version,
    })
}

fn state(state: CopyState) -> msg::CopyState {
    match state {
        // That a node drains is told by its own row.
        CopyState::InSync | CopyState::Leaving => msg::CopyState::InSync,
        CopyState::Syncing => msg::CopyState::Syncing,
        CopyState::Stale => msg::CopyState::Stale,
        CopyState::Dropping => msg::CopyState::Dropping,
    }
}

fn state_of(number: i32) -> Result<CopyState, FormatError> {
    match msg::CopyState::try_from(number) {
        Ok(msg::CopyState::InSync) => Ok(CopyState::InSync),
        Ok(msg::CopyState::Syncing) => Ok(CopyState::Syncing),
        Ok(msg::CopyState::Stale) => Ok(CopyState::Stale),
        Ok(msg::CopyState::Dropping) => Ok(CopyState::Dropping),
        Err(_) => Err(FormatError::UnknownValue {
            what: "state of a copy",
            number: number.into(),
        }),
    }
}

fn stage(stage: Stage) -> msg::Stage {
    match stage {
        Stage::Vacant => msg::Stage::Vacant,
        Stage::Written => msg::Stage::Written,
        Stage::Removed => msg::Stage::Removed,
    }
}

fn stage_of(number: i32) -> Result<Stage, FormatError> {
    match msg::Stage::try_from(number) {
        Ok(msg::Stage::Vacant) => Ok(Stage::Vacant),
        Ok(msg::Stage::Written) => Ok(Stage::Written),
        Ok(msg::Stage::Removed) => Ok(Stage::Removed),
        Err(_) => Err(FormatError::UnknownValue {
            what: "stage of an item",
            number: number.into(),
        }),
    }
}

impl From<&ItemRecord> for msg::Item {
    fn from(record: &ItemRecord) -> Self {
        let item = &record.item;
        let states = item.copies.iter().map(|(_, of)| i32::from(state(*of)));
        let mut states: Vec<i32> = states.collect();
        if states.iter().all(|state| *state == 0) {
            states.clear();
        }
        Self {
            service: codec::service_name::encode(&record.service),
            name: text(&item.name),
            version: item.version,
            checksum: bytes(item.checksum.as_ref()),
            size: item.size,
            wanted: if item.follows { 0 } else { item.wanted.into() },
            stage: stage(item.stage).into(),
            nodes: item.copies.iter().map(|(node, _)| node.0).collect(),
            states,
        }
    }
}

impl TryFrom<msg::Item> for ItemRecord {
    type Error = FormatError;

    fn try_from(found: msg::Item) -> Result<Self, FormatError> {
        let wrong = |why: &'static str| FormatError::invalid("copies of an item", why);
        if !found.nodes.is_sorted_by(|a, b| a < b) {
            return Err(wrong("their nodes are not in order"));
        }
        let mut states = all(found.states, state_of)?;
        if states.is_empty() {
            states.resize(found.nodes.len(), CopyState::InSync);
        } else if states.len() != found.nodes.len() {
            return Err(wrong("as many states as nodes are expected"));
        } else if states.iter().all(|state| *state == CopyState::InSync) {
            return Err(wrong("states are told though all are in sync"));
        }
        let wanted = small("number of copies", found.wanted)?;
        let item = Item {
            name: name(&found.name)?,
            version: found.version,
            checksum: checksum(&found.checksum)?,
            size: found.size,
            wanted,
            follows: wanted == 0,
            stage: stage_of(found.stage)?,
            copies: nodes(found.nodes).into_iter().zip(states).collect(),
        };
        let service = codec::service_name::decode(found.service)?;
        Ok(Self { service, item })
    }
}

impl From<&StoreRecord> for msg::Store {
    fn from(record: &StoreRecord) -> Self {
        Self {
            service: codec::service_name::encode(&record.service),
            node: record.node.0,
            lost: record.lost,
            folder: record.folder,
        }
    }
}

impl TryFrom<msg::Store> for StoreRecord {
    type Error = FormatError;

    fn try_from(found: msg::Store) -> Result<Self, FormatError> {
        Ok(Self {
            service: codec::service_name::decode(found.service)?,
            node: NodeId(found.node),
            lost: found.lost,
            folder: found.folder,
        })
    }
}

impl From<&Rebalance> for msg::Rebalance {
    fn from(record: &Rebalance) -> Self {
        Self {
            service: codec::service_name::encode(&record.service),
            paused: record.paused,
            since: record.since.0,
        }
    }
}

impl TryFrom<msg::Rebalance> for Rebalance {
    type Error = FormatError;

    fn try_from(found: msg::Rebalance) -> Result<Self, FormatError> {
        Ok(Self {
            service: codec::service_name::decode(found.service)?,
            paused: found.paused,
            since: Revision(found.since),
        })
    }
}
