//! What is measured, by name.

use serde::Serialize;

use crate::options::Fault;

/// A figure of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// From the signal until the writer is told of the new primary.
    Notice,
    /// From the signal until the new primary acknowledges a write.
    Served,
    /// The longest time between two acknowledged writes around a planned change.
    Pause,
    /// Writes of which the writer does not know whether they were done, during a planned change.
    Failed,
    /// Writes that were refused, so that nothing was done, and that the writer made again.
    Refused,
    /// By the system's own account: from the last sign of life until the evidence was complete.
    Detected,
    /// The same until the change was decided on and committed.
    Committed,
    /// The same until the new primary said that it serves.
    Confirmed,
    /// The longest time between two acknowledged writes while nothing happens.
    GapBefore,
    /// The same from the loss of a server on.
    GapAfter,
    /// Changes of primary: one where the fault calls for one, none otherwise.
    Changes,
    /// Writes without `WAIT` that the old primary acknowledged after it woke, or while another served.
    StalePlain,
    /// Of these, and of those before that since the cut: lost.
    StalePlainLost,
    /// Writes with `WAIT 1` that the old primary acknowledged after it woke, or while another served.
    StaleWaited,
    /// Writes acknowledged with `WAIT 1`, by whomever.
    Acknowledged,
    /// Of these, lost: read back at the end of the round.
    Lost,
    /// Rounds in which the system did not do in time what it should.
    Unfinished,
}

impl Metric {
    /// The words in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "signal to the client's notice",
            Self::Served => "signal to the first acknowledged write",
            Self::Pause => "longest pause of acknowledged writes",
            Self::Failed => "writes of unknown outcome",
            Self::Refused => "writes refused with nothing done, made again",
            Self::Detected => "its receipt: last sign of life to the verdict",
            Self::Committed => "its receipt: the same to the commit",
            Self::Confirmed => "its receipt: the same to the new primary's word",
            Self::GapBefore => "longest gap at the writer before",
            Self::GapAfter => "longest gap at the writer after",
            Self::Changes => "changes of primary",
            Self::StalePlain => "plain writes acknowledged by the old primary",
            Self::StalePlainLost => "plain writes acknowledged and lost",
            Self::StaleWaited => "WAIT 1 writes acknowledged by the old primary",
            Self::Acknowledged => "WAIT 1 writes acknowledged in all",
            Self::Lost => "WAIT 1 writes acknowledged and lost",
            Self::Unfinished => "rounds that did not end",
        }
    }

    /// The unit.
    pub fn unit(self) -> &'static str {
        match self {
            Self::Notice
            | Self::Served
            | Self::Pause
            | Self::Detected
            | Self::Committed
            | Self::Confirmed
            | Self::GapBefore
            | Self::GapAfter => "ms",
            Self::Failed
            | Self::Refused
            | Self::Changes
            | Self::StalePlain
            | Self::StalePlainLost
            | Self::StaleWaited
            | Self::Acknowledged
            | Self::Lost
            | Self::Unfinished => "count",
        }
    }
}

/// One figure.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    pub fault: Fault,
    pub metric: Metric,
    pub value: f64,
}
