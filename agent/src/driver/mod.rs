//! What the agent can tell an instance to do, whatever kind of store it is, and the kinds that there are.
//!
//! A [`Driver`] carries out [`Action`]s and says what it sees; it decides nothing. Whoever runs it:
//!
//! * may drop a future of [`Driver::observe`] or [`Driver::act`] at any moment, and call either again:
//!   an action that hangs is pre-empted by dropping its future and acting anew;
//! * need not bound them: each returns within a time that the driver's settings give;
//! * awaits a [`PresenceWatch`] beside them, which tells of an exit as soon as it is seen.

mod command;
mod error;
mod mysql;
mod peer;
mod pid;
mod presence;
mod redis;
mod run;
mod settings;
mod start;

pub use error::{ConfigError, DriverError};
pub use presence::{PresenceTeller, PresenceWatch};

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tenure_core::agent::{Action, Feat, Observation};
use tenure_core::{CopyOrder, Endpoint, Held, Note, ServiceName};

/// What a driver is about to do. Dropping it leaves the driver fit for the next call.
pub type Doing<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One instance's own tongue.
pub trait Driver: Send {
    /// Looks at the instance. Bounded in time; an instance that does not answer is an observation too.
    fn observe(&mut self) -> Doing<'_, Observation>;

    /// Carries out an action. Bounded in time. What came of it is as [`Feat`] says for each action.
    ///
    /// # Errors
    /// [`DriverError`]. Repeating the action is always safe; [`DriverError::retry_helps`] says whether it
    /// can help.
    fn act(&mut self, action: Action) -> Doing<'_, Result<Feat, DriverError>>;

    /// What has copies of items fetched, dropped and verified; None for an instance that holds none. Asked for once.
    fn custodian(&mut self) -> Option<Arc<dyn Custodian>> {
        None
    }

    /// A watch on the instance's process, to be awaited beside everything else. Must be called within a
    /// tokio runtime.
    fn presence(&mut self) -> PresenceWatch;
}

/// What has copies of items fetched, dropped and verified, beside whatever else its driver does.
///
/// A future may be dropped at any moment, when what it was to do is not wanted any more; it need not be bounded, as each
/// returns within a time that the driver's settings give.
pub trait Custodian: Send + Sync {
    /// Carries out an order. What the instance has of the item afterwards, durably; None when it has nothing.
    ///
    /// # Errors
    /// [`DriverError`]; the order is given anew, maybe with another source.
    fn carry_out(&self, order: CopyOrder) -> Doing<'_, Result<Option<Held>, DriverError>>;

    /// How much room there is for copies.
    ///
    /// # Errors
    /// [`DriverError`]; a retry is safe.
    fn room(&self) -> Doing<'_, Result<Room, DriverError>>;
}

/// How much room an instance has for copies, and how busy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Room {
    /// Names the data that are there: another number than before says that nothing of what was there is. 0 when not told.
    pub folder: u64,
    /// Bytes free, and bytes in all.
    pub bytes: Option<(u64, u64)>,
    /// How busy it is, in thousandths of what it can do.
    pub load: u32,
}

/// The instance that a driver is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceAt {
    /// The service.
    pub service: ServiceName,
    /// Where clients and the other instances reach it.
    pub endpoint: Endpoint,
    /// A folder of the agent's in which the driver may keep files. It is made when it is needed.
    pub folder: PathBuf,
}

/// The driver of a kind (`mysql`, `redis`, `command`, `peer`) with its settings.
///
/// # Errors
/// [`ConfigError`] names the key, the value and what would be right; a retry cannot help.
pub fn parse(
    kind: &str,
    instance: InstanceAt,
    settings: toml::Table,
) -> Result<Box<dyn Driver>, ConfigError> {
    match kind {
        "command" => Ok(Box::new(command::Command::parse(instance, settings)?)),
        "mysql" => Ok(Box::new(mysql::Mysql::parse(instance, settings)?)),
        "peer" => Ok(Box::new(peer::Peer::parse(instance, settings)?)),
        "redis" => Ok(Box::new(redis::Redis::parse(instance, settings)?)),
        _ => Err(ConfigError(format!(
            "driver = {kind:?} is not known: use \"mysql\", \"redis\", \"command\" or \"peer\""
        ))),
    }
}

/// A remark within the bounds of one.
fn note(text: &str) -> Note {
    let mut kept = String::new();
    for letter in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if kept.len() + letter.len_utf8() > tenure_core::limits::NOTE_BYTES_MAX {
            break;
        }
        kept.push(letter);
    }
    Note::new(&kept).unwrap_or_default()
}
