//! What a sweep came to.

use std::fmt;

/// How often each thing happened in a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Points of the trace at which the power was cut.
    pub boundaries: usize,
    /// Cuts: boundaries times treatments.
    pub cuts: usize,
    /// Different images among them; each was opened once.
    pub images: usize,
    /// Images in which opening took something away: the torn end of a file, or a file that was not finished.
    pub repaired: usize,
    /// Images that were refused.
    pub refused: usize,
    /// Cuts after which something promised was missing, or something was there that nobody had asked for.
    pub broken: usize,
    /// Images at whose opening the code panicked.
    pub panicked: usize,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            boundaries,
            cuts,
            images,
            repaired,
            refused,
            broken,
            panicked,
        } = self;
        write!(
            f,
            "{boundaries} boundaries, {cuts} cuts, {images} images opened: {repaired} repaired, "
        )?;
        write!(
            f,
            "{refused} refused, {panicked} panicked; {broken} cuts broke a promise"
        )
    }
}

/// The outcome of a sweep.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each thing happened.
    pub counts: Counts,
    /// Some of the refusals, panics and broken promises, each with the cut that shows it.
    pub complaints: Vec<String>,
}

impl Report {
    /// Adds what another sweep came to.
    pub fn add(&mut self, other: Self) {
        let Counts {
            boundaries,
            cuts,
            images,
            repaired,
            refused,
            broken,
            panicked,
        } = other.counts;
        self.counts.boundaries += boundaries;
        self.counts.cuts += cuts;
        self.counts.images += images;
        self.counts.repaired += repaired;
        self.counts.refused += refused;
        self.counts.broken += broken;
        self.counts.panicked += panicked;
        for text in other.complaints {
            self.complain(|| text);
        }
    }

    const KEPT: usize = 5;

    /// Keeps a complaint, unless there are enough of them.
    pub fn complain(&mut self, text: impl FnOnce() -> String) {
        if self.complaints.len() < Self::KEPT {
            self.complaints.push(text());
        }
    }
}
