//! The policy of a service as arguments: the keys of the topology file, as flags.

use crate::exit::Failure;
use clap::{Args, ValueEnum};
use tenure_core::{CopiesPolicy, Kind, LossPolicy, Millis, PeersPolicy, Policy, PrimaryPolicy};

/// The kinds of service.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum KindArg {
    /// One primary, and replicas that follow it
    Primary,
    /// Equal peers that share the load
    Peers,
    /// Data items, each kept on several nodes
    Copies,
}

impl From<KindArg> for Kind {
    fn from(kind: KindArg) -> Self {
        match kind {
            KindArg::Primary => Self::Primary,
            KindArg::Peers => Self::Peers,
            KindArg::Copies => Self::Copies,
        }
    }
}

/// What a change of primary may lose.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum LossArg {
    Never,
    Bounded,
    Available,
}

/// What is wanted of a service; flags of another kind are refused.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// primary: what a change of primary may lose
    #[arg(long, value_enum)]
    loss: Option<LossArg>,
    /// primary, with --loss bounded: how much position may be missing
    #[arg(long, value_name = "N")]
    loss_bound: Option<u64>,
    /// primary: replicas wanted
    #[arg(long, value_name = "N")]
    replicas: Option<u32>,
    /// primary: replicas that acknowledge a write
    #[arg(long, value_name = "N")]
    write_acks: Option<u32>,
    /// primary: milliseconds without another automatic failover after one
    #[arg(long, value_name = "MS")]
    anti_flap_ms: Option<u64>,
    /// peers: fewest that must be healthy
    #[arg(long, value_name = "N")]
    healthy_min: Option<u32>,
    /// copies: copies wanted of each item
    #[arg(long, value_name = "N")]
    copies: Option<u32>,
    /// copies: fewest copies for a write
    #[arg(long, value_name = "N")]
    write_min: Option<u32>,
    /// copies: whether the copies of an item go to different zones
    #[arg(long, value_name = "BOOL")]
    spread_zones: Option<bool>,
    /// copies: milliseconds that a lost node is waited for before its copies are replaced
    #[arg(long, value_name = "MS")]
    repair_grace_ms: Option<u64>,
    /// copies: transfers that a node sends at a time, and as many that it receives
    #[arg(long, value_name = "N")]
    transfers_per_node: Option<u32>,
}

impl PolicyArgs {
    /// The policy `before`, with what was given.
    ///
    /// # Errors
    /// When a flag belongs to another kind, or the values contradict each other.
    pub fn over(&self, before: Policy) -> Result<Policy, Failure> {
        self.refuse_strangers(before.kind())?;
        let policy = match before {
            Policy::Primary(now) => Policy::Primary(PrimaryPolicy {
                loss: self.loss_over(now.loss)?,
                replicas: self.replicas.unwrap_or(now.replicas),
                write_acks: self.write_acks.unwrap_or(now.write_acks),
                anti_flap_ms: self.anti_flap_ms.map_or(now.anti_flap_ms, Millis),
            }),
            Policy::Peers(now) => Policy::Peers(PeersPolicy {
                healthy_min: self.healthy_min.unwrap_or(now.healthy_min),
            }),
            Policy::Copies(now) => Policy::Copies(CopiesPolicy {
                copies: self.copies.unwrap_or(now.copies),
                write_min: self.write_min.unwrap_or(now.write_min),
                spread_zones: self.spread_zones.unwrap_or(now.spread_zones),
                repair_grace_ms: self.repair_grace_ms.map_or(now.repair_grace_ms, Millis),
                transfers_per_node: self.transfers_per_node.unwrap_or(now.transfers_per_node),
            }),
        };
        policy.validate().map_err(Failure::invalid)?;
        Ok(policy)
    }

    fn loss_over(&self, now: LossPolicy) -> Result<LossPolicy, Failure> {
        match (self.loss, self.loss_bound, now) {
            (Some(LossArg::Never), None, _) => Ok(LossPolicy::Never),
            (Some(LossArg::Available), None, _) => Ok(LossPolicy::Available),
            (Some(LossArg::Bounded), Some(bound), _)
            | (None, Some(bound), LossPolicy::Bounded(_)) => Ok(LossPolicy::Bounded(bound)),
            (Some(LossArg::Bounded), None, LossPolicy::Bounded(bound)) => {
                Ok(LossPolicy::Bounded(bound))
            }
            (Some(LossArg::Bounded), None, LossPolicy::Never | LossPolicy::Available) => {
                Err(Failure::invalid(
                    "--loss bounded needs --loss-bound N: how much position may be missing",
                ))
            }
            (_, Some(_), _) => Err(Failure::invalid(
                "--loss-bound only goes with --loss bounded",
            )),
            (None, None, now) => Ok(now),
        }
    }

    fn refuse_strangers(&self, kind: Kind) -> Result<(), Failure> {
        let given = [
            (Kind::Primary, "--loss", self.loss.is_some()),
            (Kind::Primary, "--loss-bound", self.loss_bound.is_some()),
            (Kind::Primary, "--replicas", self.replicas.is_some()),
            (Kind::Primary, "--write-acks", self.write_acks.is_some()),
            (Kind::Primary, "--anti-flap-ms", self.anti_flap_ms.is_some()),
            (Kind::Peers, "--healthy-min", self.healthy_min.is_some()),
            (Kind::Copies, "--copies", self.copies.is_some()),
            (Kind::Copies, "--write-min", self.write_min.is_some()),
            (Kind::Copies, "--spread-zones", self.spread_zones.is_some()),
            (
                Kind::Copies,
                "--repair-grace-ms",
                self.repair_grace_ms.is_some(),
            ),
            (
                Kind::Copies,
                "--transfers-per-node",
                self.transfers_per_node.is_some(),
            ),
        ];
        match given.iter().find(|(of, _, given)| *given && *of != kind) {
            None => Ok(()),
            Some((of, flag, _)) => Err(Failure::invalid(format!(
                "{flag} is for services of kind {of}, and this one is of kind {kind}"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        policy: PolicyArgs,
    }

    fn over(kind: Kind, flags: &str) -> Result<Policy, String> {
        let line = Line::parse_from(std::iter::once("x").chain(flags.split_whitespace()));
        line.policy
            .over(Policy::default_for(kind))
            .map_err(|failure| failure.sentence)
    }

    #[test]
    fn flags_change_what_they_name_only() {
        let default = PrimaryPolicy::default();
        let wanted = PrimaryPolicy {
            replicas: 2,
            loss: LossPolicy::Bounded(9),
            ..default
        };
        let policy = over(Kind::Primary, "--replicas 2 --loss bounded --loss-bound 9");
        assert_eq!(policy, Ok(Policy::Primary(wanted)));
        assert_eq!(
            over(Kind::Copies, ""),
            Ok(Policy::default_for(Kind::Copies))
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_a_sentence() {
        let table = [
            (
                Kind::Peers,
                "--replicas 2",
                "--replicas is for services of kind primary, and this one is of kind peers",
            ),
            (
                Kind::Primary,
                "--loss bounded",
                "--loss bounded needs --loss-bound N: how much position may be missing",
            ),
            (
                Kind::Primary,
                "--loss-bound 3",
                "--loss-bound only goes with --loss bounded",
            ),
            (
                Kind::Primary,
                "--loss never --loss-bound 3",
                "--loss-bound only goes with --loss bounded",
            ),
            (
                Kind::Primary,
                "--write-acks 4",
                "write_acks (4) must be at most replicas (1)",
            ),
        ];
        for (kind, flags, sentence) in table {
            assert_eq!(over(kind, flags), Err(sentence.to_owned()), "{flags}");
        }
    }
}
