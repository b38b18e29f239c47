//! What a folder looks like after the power was cut.
//!
//! A program runs with the recorder preloaded ([`run`]); the trace it leaves is replayed operation by operation on a model
//! of a disk ([`disk`]). After any operation the model can be asked for an [`image`]: the folder as the machine could find
//! it after a power cut at that point, for a [`Treatment`] of what no sync had covered.
//!
//! What the model takes for durable:
//! - what is in a file: everything before the last `fsync` or `fdatasync` of it that returned, its length included.
//!   `sync_file_range` does not count;
//! - a name: what happened to it before the last `fsync` of the folder it is in that returned.
//!
//! Of the rest, any page (or 512-byte sector of a torn page) may be on the disk in any version that it went through, and
//! names change in the order in which the program changed them.

pub mod chance;
pub mod damage;
pub mod disk;
pub mod image;
pub mod loads;
pub mod marks;
pub mod names;
pub mod pages;
pub mod pending;
pub mod report;
pub mod run;
pub mod sweep;
pub mod trace;

/// What becomes of changes that no sync covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fate {
    /// None of them is on the disk.
    Dropped,
    /// All of them are on the disk.
    Kept,
    /// Some are, chosen by the seed.
    Partial(u64),
}

/// One way in which a power cut can go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Treatment {
    /// Of what is in the files.
    pub contents: Fate,
    /// Of the names.
    pub names: Fate,
}

impl Treatment {
    /// Nothing unsynced survives.
    pub const DROPPED: Self = Self {
        contents: Fate::Dropped,
        names: Fate::Dropped,
    };
    /// Everything unsynced survives, as after the death of the process alone.
    pub const KEPT: Self = Self {
        contents: Fate::Kept,
        names: Fate::Kept,
    };
    /// Names survive, what is in the files does not: what ext4 makes of a rename without a sync.
    pub const EMPTY_FILES: Self = Self {
        contents: Fate::Dropped,
        names: Fate::Kept,
    };
    /// What is in the files survives, names do not.
    pub const LOST_NAMES: Self = Self {
        contents: Fate::Kept,
        names: Fate::Dropped,
    };

    /// A part survives, chosen by `seed`.
    #[must_use]
    pub fn partial(seed: u64) -> Self {
        Self {
            contents: Fate::Partial(seed),
            names: Fate::Partial(seed ^ 0x6e61_6d65),
        }
    }
}
