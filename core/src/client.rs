//! Registrations of clients, by which a retried request is recognised and applied once.
//!
//! The scheme is that of section 6.3 of Ongaro's dissertation, "Consensus: Bridging Theory and Practice"
//! (2014), with a window instead of a single outstanding request, as in RIFL (Lee et al., SOSP 2015).

use crate::{ClientId, LogIndex, Outcome};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Names one request of one client, the same in every retry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestId {
    /// The registration.
    pub client: ClientId,
    /// Which request, counted by the client from 1.
    pub sequence: u64,
    /// Every request below this one has been answered: its answer need not be kept.
    pub first_incomplete: u64,
}

/// A client's registration and its recent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its id: the index of the entry that registered it.
    pub id: ClientId,
    /// Last entry by which it was active; the least recently active one is dropped when there are too many.
    pub last_active: LogIndex,
    /// Requests below this one are settled and not answered again.
    pub first_incomplete: u64,
    /// Answers by sequence.
    pub answers: BTreeMap<u64, Outcome>,
}

impl Client {
    /// How much text the answers from `first` on hold, in bytes.
    pub(crate) fn text_bytes(&self, first: u64) -> usize {
        let kept = self.answers.range(first..).map(|(_, answer)| answer);
        kept.map(Outcome::text_bytes).sum()
    }
}
