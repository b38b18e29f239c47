//! What a server of Tenure keeps on disk.
//!
//! # What is durable after which call has returned
//!
//! Durable means: `fdatasync` has returned, and the disk has been told to keep it.
//!
//! | call | when it has returned |
//! |---|---|
//! | [`DataFolder::open`](folder::DataFolder::open) | the folder, its identity and an empty log are durable |
//! | [`LogStore::open`](log_store::LogStore::open) | everything that it found and reports is durable, also what a crash had left in doubt |
//! | `save_vote` | the vote is durable, and everything queued before it |
//! | `append` | nothing yet: the entries can be read. They are durable, and everything queued before them, when the callback is called with `Ok` |
//! | `truncate_after`, `purge` | nothing yet. They are durable with the next append or vote whose completion is reported. Files are removed only after that |
//! | `save_committed` | nothing. It is written with the next batch, and at the latest when the log is closed; after a crash an older position may be found, never one beyond the entries |
//! | dropping the [`LogStore`](log_store::LogStore) | everything that was queued |
//! | [`Store::open`](store::Store::open) | nothing new, save that a checkpoint which a crash had interrupted is completed |
//! | `apply` | nothing: what was applied is in the log, and is applied again after a restart |
//! | `build_snapshot`, [`Checkpoints::make`](store::Checkpoints::make) | the state as of the entry that is returned, read back and found whole |
//! | [`SnapshotReceiver::finish`](snapshot::SnapshotReceiver::finish) | nothing: what was received and not installed is abandoned by a crash |
//! | `install_snapshot` | the received state, in place of the one before |
//!
//! Any error of the disk ends this: every later call fails with the first error, and nothing that
//! was not durable is ever reported as such.

pub mod error;
pub mod folder;
pub mod format;
pub mod image;
pub mod log_store;
pub mod snapshot;
pub mod state_machine;
pub mod state_reader;
pub mod store;
pub mod types;
pub mod wal;
pub mod work;
