//! Services and their policies.

use super::field;
use crate::{ParseError, v1, v1::policy::Kind};
use tenure_core::{
    CopiesPolicy, LossPolicy, Millis, PeersPolicy, Policy, PrimaryPolicy, Revision, Service,
};

impl TryFrom<v1::Policy> for Policy {
    type Error = ParseError;

    fn try_from(wire: v1::Policy) -> Result<Self, ParseError> {
        match wire.kind {
            None => Err(ParseError::new("kind", "is missing")),
            Some(Kind::Primary(policy)) => PrimaryPolicy::try_from(policy)
                .map(Self::Primary)
                .map_err(|error| error.within("primary")),
            Some(Kind::Peers(policy)) => Ok(Self::Peers(PeersPolicy {
                healthy_min: policy.healthy_min,
            })),
            Some(Kind::Copies(policy)) => Ok(Self::Copies(copies(policy))),
        }
    }
}

fn copies(wire: v1::CopiesPolicy) -> CopiesPolicy {
    let usual = CopiesPolicy::default();
    let transfers = wire.transfers_per_node;
    CopiesPolicy {
        copies: wire.copies,
        write_min: wire.write_min,
        spread_zones: wire.spread_zones,
        repair_grace_ms: wire.repair_grace_ms.map_or(usual.repair_grace_ms, Millis),
        transfers_per_node: transfers.unwrap_or(usual.transfers_per_node),
    }
}

impl TryFrom<v1::PrimaryPolicy> for PrimaryPolicy {
    type Error = ParseError;

    fn try_from(wire: v1::PrimaryPolicy) -> Result<Self, ParseError> {
        let loss = match field::known("loss", wire.loss)? {
            v1::LossPolicy::Unspecified => return Err(field::unspecified("loss")),
            v1::LossPolicy::Never => LossPolicy::Never,
            v1::LossPolicy::Bounded => LossPolicy::Bounded(wire.loss_bound),
            v1::LossPolicy::Available => LossPolicy::Available,
        };
        if wire.loss_bound != 0 && !matches!(loss, LossPolicy::Bounded(_)) {
            let why = format!("is {}, and loss is not bounded", wire.loss_bound);
            return Err(ParseError::new("loss_bound", why));
        }
        Ok(Self {
            loss,
            replicas: wire.replicas,
            write_acks: wire.write_acks,
            anti_flap_ms: Millis(wire.anti_flap_ms),
        })
    }
}

/// A policy that someone wants, with its ranges checked. Policies that a server tells are taken
/// as they are: a newer one may allow more.
pub(super) fn wanted_policy(field: &str, wire: Option<v1::Policy>) -> Result<Policy, ParseError> {
    let policy: Policy = field::message(field, wire)?;
    let checked = policy.validate();
    checked.map_err(|error| ParseError::new(field, format!("is refused: {error}")))?;
    Ok(policy)
}

impl From<&Policy> for v1::Policy {
    fn from(policy: &Policy) -> Self {
        let kind = match policy {
            Policy::Primary(policy) => Kind::Primary(policy.into()),
            Policy::Peers(policy) => Kind::Peers(v1::PeersPolicy {
                healthy_min: policy.healthy_min,
            }),
            Policy::Copies(policy) => Kind::Copies(v1::CopiesPolicy {
                copies: policy.copies,
                write_min: policy.write_min,
                spread_zones: policy.spread_zones,
                repair_grace_ms: Some(policy.repair_grace_ms.0),
                transfers_per_node: Some(policy.transfers_per_node),
            }),
        };
        Self { kind: Some(kind) }
    }
}

impl From<&PrimaryPolicy> for v1::PrimaryPolicy {
    fn from(policy: &PrimaryPolicy) -> Self {
        let (loss, loss_bound) = match policy.loss {
            LossPolicy::Never => (v1::LossPolicy::Never, 0),
            LossPolicy::Bounded(bound) => (v1::LossPolicy::Bounded, bound),
            LossPolicy::Available => (v1::LossPolicy::Available, 0),
        };
        Self {
            loss: loss.into(),
            loss_bound,
            replicas: policy.replicas,
            write_acks: policy.write_acks,
            anti_flap_ms: policy.anti_flap_ms.0,
        }
    }
}

impl TryFrom<v1::Service> for Service {
    type Error = ParseError;

    fn try_from(wire: v1::Service) -> Result<Self, ParseError> {
        Ok(Self {
            name: field::service_name("name", &wire.name)?,
            policy: field::message("policy", wire.policy)?,
            created: Revision(wire.created),
            modified: Revision(wire.modified),
        })
    }
}

impl From<&Service> for v1::Service {
    fn from(service: &Service) -> Self {
        Self {
            name: service.name.as_str().to_owned(),
            policy: Some((&service.policy).into()),
            created: service.created.0,
            modified: service.modified.0,
        }
    }
}
