//! What an item is called, what tells one state of its data from another, and how fresh a copy of it is.

use super::Refusal;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Longest name of an item, in bytes.
pub const ITEM_NAME_BYTES_MAX: usize = 255;
/// Longest checksum, in bytes: SHA-256 fits.
pub const CHECKSUM_BYTES_MAX: usize = 32;
/// Most copies of one item, those included that are to go: twice what a policy may ask for.
pub const COPIES_MAX: usize = 32;
/// Most copies that may be wanted of one item.
pub const WANTED_MAX: u8 = 16;
/// Most items in one request: a report, a verification, a question where items are.
pub const ITEMS_PER_REQUEST_MAX: usize = 4_096;

/// Name of an item, unique in its service: 1 to [`ITEM_NAME_BYTES_MAX`] bytes of UTF-8 without control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ItemName(Box<str>);

impl TryFrom<String> for ItemName {
    type Error = Refusal;

    fn try_from(text: String) -> Result<Self, Refusal> {
        Self::new(&text)
    }
}

impl From<ItemName> for String {
    fn from(name: ItemName) -> Self {
        name.0.into()
    }
}

impl ItemName {
    /// Takes a name.
    ///
    /// # Errors
    /// [`Refusal::BadName`] says which rule was broken; a retry cannot help.
    pub fn new(text: &str) -> Result<Self, Refusal> {
        let fault = if text.is_empty() {
            Some("it is empty".to_owned())
        } else if text.len() > ITEM_NAME_BYTES_MAX {
            let bytes = text.len();
            Some(format!(
                "it has {bytes} bytes, at most {ITEM_NAME_BYTES_MAX} are allowed"
            ))
        } else {
            let control = text.char_indices().find(|(_, c)| c.is_control());
            control.map(|(at, _)| format!("a control character stands at byte {at}"))
        };
        match fault {
            Some(fault) => Err(Refusal::BadName(fault)),
            None => Ok(Self(text.into())),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ItemName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a service computes over an item's data: equal checksums at equal versions mean equal data.
/// Its length is the service's choice and is the same for all states of an item.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Checksum {
    length: u8,
    bytes: [u8; CHECKSUM_BYTES_MAX],
}

impl Checksum {
    /// Takes a checksum of 1 to [`CHECKSUM_BYTES_MAX`] bytes.
    ///
    /// # Errors
    /// [`Refusal::ChecksumLength`] when it is empty or longer; a retry cannot help.
    pub fn new(given: &[u8]) -> Result<Self, Refusal> {
        let wrong = Refusal::ChecksumLength {
            given: given.len(),
            expected: CHECKSUM_BYTES_MAX,
        };
        let length = u8::try_from(given.len()).map_err(|_| wrong.clone())?;
        let mut bytes = [0; CHECKSUM_BYTES_MAX];
        match bytes.get_mut(..given.len()) {
            Some(room) if length > 0 => room.copy_from_slice(given),
            Some(_) | None => return Err(wrong),
        }
        Ok(Self { length, bytes })
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes()
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// How fresh a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CopyState {
    /// It holds the item's version, and counts.
    InSync,
    /// It was assigned and has not yet held any version.
    Syncing,
    /// It held an earlier version and missed a write, or its checksum differs.
    Stale,
    /// It holds the item's version and is still read from, but no longer counts: its node drains.
    Leaving,
    /// It was let go: it is neither read nor written, and is forgotten when its node says that it has deleted it.
    Dropping,
}

impl fmt::Display for CopyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::InSync => "in sync",
            Self::Syncing => "syncing",
            Self::Stale => "stale",
            Self::Leaving => "leaving",
            Self::Dropping => "dropping",
        })
    }
}

/// Where an item stands between its placement and its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It was placed and not written since. Its version is 0, or that of the data of an item of this name that was removed:
    /// so no node takes old data for new ones.
    #[default]
    Vacant,
    /// It has data.
    Written,
    /// It was removed, and is forgotten once its nodes have deleted their copies.
    Removed,
}

/// Stands for an item in plans and in what is kept about running transfers. It is valid in this process, for
/// this ledger, until the item is removed; it is never stored or sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemId(pub(super) u32);
