//! Why something asked of one item was refused.

use tenure_proto::v1::{self, item_refusal::Code};

/// What kind of reason it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusalCode {
    /// The name breaks a rule; a retry cannot help.
    BadName,
    /// The item is not known: place it first.
    NoSuchItem,
    /// The node holds no copies for the service.
    NoSuchNode,
    /// The node is lost, drains or takes no new copies.
    NodeTakesNone,
    /// The node was never given a copy of the item: locate it again.
    NotACopy,
    /// The node has a copy of the item already.
    AlreadyACopy,
    /// The item is at another version than the caller built on: locate it again and decide anew.
    Changed,
    /// The version was overwritten, or is 0.
    OldVersion,
    /// The data are not those of the first report of the version.
    ChecksumDiffers,
    /// The checksum is of another length than those of the item.
    ChecksumLength,
    /// No checksum was ever reported.
    NothingToCompare,
    /// The write reached fewer copies than it must: write to more, or again.
    TooFewCopies,
    /// More of something than is allowed.
    TooMany,
    /// A number of copies that is not from 1 to 16.
    BadWanted,
    /// The item would have too few fresh copies without it.
    CopyNeeded,
    /// Items would be left with too few fresh copies.
    WouldLeaveTooFew,
    /// A reason that only newer servers know, by its number.
    Newer(i32),
}

/// Why something asked of one item was refused. Nothing was changed of that item.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct ItemRefusal {
    /// What kind of reason.
    pub code: RefusalCode,
    /// The reason as a sentence.
    pub detail: String,
    /// What was said, where two values disagree.
    pub expected: Option<u64>,
    /// What is the case.
    pub actual: Option<u64>,
}

impl From<v1::ItemRefusal> for ItemRefusal {
    fn from(wire: v1::ItemRefusal) -> Self {
        Self {
            code: code(wire.code),
            detail: wire.detail,
            expected: wire.expected,
            actual: wire.actual,
        }
    }
}

fn code(number: i32) -> RefusalCode {
    match Code::try_from(number) {
        Ok(Code::BadName) => RefusalCode::BadName,
        Ok(Code::NoSuchItem) => RefusalCode::NoSuchItem,
        Ok(Code::NoSuchNode) => RefusalCode::NoSuchNode,
        Ok(Code::NodeTakesNone) => RefusalCode::NodeTakesNone,
        Ok(Code::NotACopy) => RefusalCode::NotACopy,
        Ok(Code::AlreadyACopy) => RefusalCode::AlreadyACopy,
        Ok(Code::Changed) => RefusalCode::Changed,
        Ok(Code::OldVersion) => RefusalCode::OldVersion,
        Ok(Code::ChecksumDiffers) => RefusalCode::ChecksumDiffers,
        Ok(Code::ChecksumLength) => RefusalCode::ChecksumLength,
        Ok(Code::NothingToCompare) => RefusalCode::NothingToCompare,
        Ok(Code::TooFewCopies) => RefusalCode::TooFewCopies,
        Ok(Code::TooMany) => RefusalCode::TooMany,
        Ok(Code::BadWanted) => RefusalCode::BadWanted,
        Ok(Code::CopyNeeded) => RefusalCode::CopyNeeded,
        Ok(Code::WouldLeaveTooFew) => RefusalCode::WouldLeaveTooFew,
        Ok(Code::Unspecified) | Err(_) => RefusalCode::Newer(number),
    }
}
