//! A record of what the agent keeps, as it is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tenure_core::agent::{Kept, KeptRules, KeptService};
use tenure_core::{ControlLoss, Endpoint, Epoch, Millis, Moment, NodeId, ServiceName};

/// Of how many others that could take over the addresses are kept, of all services together. Of a service
/// whose others find no room an agent that is started anew asks nobody.
pub(super) const ELECTORS_MAX: usize = 128;

/// A record. Format version 2; version 1 had neither `electors` nor `rules`. Fields are never changed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Stored {
    /// One more with each record.
    pub(super) sequence: u64,
    /// The boot of the machine that the moments belong to.
    pub(super) boot: String,
    pub(super) node: NodeId,
    pub(super) services: BTreeMap<ServiceName, StoredService>,
    #[serde(default)]
    electors: BTreeMap<ServiceName, BTreeMap<NodeId, Endpoint>>,
    #[serde(default)]
    rules: Option<StoredRules>,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct StoredRules {
    lease: Millis,
    heartbeat: Millis,
    drift_permille: u32,
    control_loss: ControlLoss,
}

impl From<KeptRules> for StoredRules {
    fn from(kept: KeptRules) -> Self {
        Self {
            lease: kept.lease,
            heartbeat: kept.heartbeat,
            drift_permille: kept.drift_permille,
            control_loss: kept.control_loss,
        }
    }
}

impl From<StoredRules> for KeptRules {
    fn from(stored: StoredRules) -> Self {
        Self {
            lease: stored.lease,
            heartbeat: stored.heartbeat,
            drift_permille: stored.drift_permille,
            control_loss: stored.control_loss,
        }
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct StoredService {
    epoch: Epoch,
    holds: Option<Epoch>,
    held: Option<Epoch>,
    run: u64,
    whole: bool,
    leased_until: Moment,
    pledged_until: Moment,
    surveyed: Epoch,
    /// Not written by earlier agents, and left out where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    terms: Option<(u32, bool)>,
}

impl From<KeptService> for StoredService {
    fn from(kept: KeptService) -> Self {
        Self {
            epoch: kept.epoch,
            holds: kept.holds,
            held: kept.held,
            run: kept.run,
            whole: kept.whole,
            leased_until: kept.leased_until,
            pledged_until: kept.pledged_until,
            surveyed: kept.surveyed,
            terms: kept.terms,
        }
    }
}

impl From<StoredService> for KeptService {
    fn from(stored: StoredService) -> Self {
        Self {
            epoch: stored.epoch,
            holds: stored.holds,
            held: stored.held,
            run: stored.run,
            whole: stored.whole,
            leased_until: stored.leased_until,
            pledged_until: stored.pledged_until,
            surveyed: stored.surveyed,
            terms: stored.terms,
        }
    }
}

impl Stored {
    pub(super) fn of(kept: &Kept, sequence: u64, boot: &str, node: NodeId) -> Self {
        let services = kept.services.iter();
        let mut room = ELECTORS_MAX;
        let electors = kept.electors.iter();
        let electors = electors.filter(|(_, whom)| match room.checked_sub(whom.len()) {
            Some(left) => {
                room = left;
                true
            }
            None => false,
        });
        Self {
            sequence,
            boot: boot.to_owned(),
            node,
            services: services
                .map(|(name, service)| (name.clone(), (*service).into()))
                .collect(),
            electors: electors
                .map(|(name, whom)| (name.clone(), whom.clone()))
                .collect(),
            rules: kept.rules.map(Into::into),
        }
    }

    pub(super) fn into_kept(self) -> Kept {
        let services = self.services.into_iter();
        Kept {
            services: services
                .map(|(name, service)| (name, service.into()))
                .collect(),
            electors: self.electors,
            rules: self.rules.map(Into::into),
        }
    }
}
