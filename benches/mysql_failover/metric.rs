//! What is measured, by name.

use std::collections::BTreeMap;

use serde::Serialize;

/// A figure of one fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// From the signal until the writers are told of the new primary.
    Notice,
    /// From the signal until the new primary acknowledges a commit.
    Served,
    /// By the receipt: from the last sign of life until the evidence was complete.
    Detected,
    /// The same until the old primary was proven to serve no more.
    Fenced,
    /// The same until the candidates had said how far they have got.
    Surveyed,
    /// The same until the change was decided on and committed.
    Committed,
    /// The same until the new primary said that it serves.
    Confirmed,
    /// From the signal until all three are in sync again, the old primary too.
    Whole,
    /// The longest time between two commits of a writer around a planned change.
    Pause,
    /// Commits whose outcome the writer does not know.
    Unknown,
    /// Writes that were refused, so that nothing was done, and that the writer made again.
    Refused,
    /// Changes of primary: one is right.
    Changes,
    /// Commits that the old primary acknowledged after it woke, or while another served.
    Stale,
    /// Commits acknowledged, by whomever.
    Acknowledged,
    /// Of these, lost: read back at the end of the round.
    Lost,
    /// Rounds in which something did not happen in time.
    Unfinished,
}

impl Metric {
    /// The words in tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Notice => "signal to the client's notice",
            Self::Served => "signal to the first commit at the new primary",
            Self::Detected => "its receipt: last sign of life to the verdict",
            Self::Fenced => "its receipt: the same to the fence",
            Self::Surveyed => "its receipt: the same to the positions",
            Self::Committed => "its receipt: the same to the decision",
            Self::Confirmed => "its receipt: the same to the new primary's word",
            Self::Whole => "signal to all three in sync again",
            Self::Pause => "longest pause of a writer",
            Self::Unknown => "commits of unknown outcome",
            Self::Refused => "writes refused with nothing done, made again",
            Self::Changes => "changes of primary",
            Self::Stale => "commits acknowledged by the old primary",
            Self::Acknowledged => "commits acknowledged in all",
            Self::Lost => "commits acknowledged and lost",
            Self::Unfinished => "rounds that did not end",
        }
    }

    /// Whether it is a count; a time in milliseconds otherwise.
    pub fn is_count(self) -> bool {
        matches!(
            self,
            Self::Unknown
                | Self::Refused
                | Self::Changes
                | Self::Stale
                | Self::Acknowledged
                | Self::Lost
                | Self::Unfinished
        )
    }
}

/// At most one figure per metric.
pub type Figures = BTreeMap<Metric, f64>;

/// Adds to a count.
#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
pub fn add(figures: &mut Figures, metric: Metric, number: usize) {
    *figures.entry(metric).or_default() += number as f64;
}
