//! The policy of a service in a topology file: which keys it has depends on its kind.

use super::place::{Place, TopologyError};
use tenure_core::{CopiesPolicy, Kind, LossPolicy, Millis, PeersPolicy, Policy, PrimaryPolicy};
use toml::Table;

/// Keys that a service of any kind has.
const COMMON_KEYS: &[&str] = &["kind", "instances", "first_primary"];

/// The keys of the policy of each kind.
const POLICY_KEYS: &[(Kind, &[&str])] = &[
    (
        Kind::Primary,
        &[
            "loss",
            "loss_bound",
            "replicas",
            "write_acks",
            "anti_flap_ms",
        ],
    ),
    (Kind::Peers, &["healthy_min"]),
    (
        Kind::Copies,
        &[
            "copies",
            "write_min",
            "spread_zones",
            "repair_grace_ms",
            "transfers_per_node",
        ],
    ),
];

pub(super) fn policy(place: &Place<'_>, table: &Table) -> Result<Policy, TopologyError> {
    let kind = kind(place, table)?;
    keys_of(place, table, kind)?;
    let number = |key| place.number(table, key, u32::MAX);
    let policy = match Policy::default_for(kind) {
        Policy::Primary(default) => Policy::Primary(PrimaryPolicy {
            loss: loss(place, table)?.unwrap_or(default.loss),
            replicas: number("replicas")?.unwrap_or(default.replicas),
            write_acks: number("write_acks")?.unwrap_or(default.write_acks.min(replicas(table))),
            anti_flap_ms: number("anti_flap_ms")?
                .map_or(default.anti_flap_ms, |ms| Millis(ms.into())),
        }),
        Policy::Peers(default) => Policy::Peers(PeersPolicy {
            healthy_min: number("healthy_min")?.unwrap_or(default.healthy_min),
        }),
        Policy::Copies(default) => Policy::Copies(CopiesPolicy {
            copies: number("copies")?.unwrap_or(default.copies),
            write_min: number("write_min")?.unwrap_or(default.write_min),
            spread_zones: place
                .flag(table, "spread_zones")?
                .unwrap_or(default.spread_zones),
            repair_grace_ms: number("repair_grace_ms")?
                .map_or(default.repair_grace_ms, |ms| Millis(ms.into())),
            transfers_per_node: number("transfers_per_node")?.unwrap_or(default.transfers_per_node),
        }),
    };
    match policy.validate() {
        Ok(()) => Ok(policy),
        Err(why) => Err(contradiction(place, table, &why.to_string())),
    }
}

/// With no replicas at all nobody can be asked to acknowledge.
fn replicas(table: &Table) -> u32 {
    let given = table.get("replicas").and_then(toml::Value::as_integer);
    given.map_or(u32::MAX, |n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The sentence of the core begins with the key that it is about.
fn contradiction(place: &Place<'_>, table: &Table, sentence: &str) -> TopologyError {
    let key = sentence.split(' ').next().unwrap_or_default();
    match table.get(key) {
        Some(value) => place.at(key).wrong(value, sentence),
        None => place.wrong_key(key, sentence),
    }
}

fn kind(place: &Place<'_>, table: &Table) -> Result<Kind, TopologyError> {
    let needed = r#""primary", "peers" or "copies""#;
    match place.text(table, "kind")? {
        Some("primary") => Ok(Kind::Primary),
        Some("peers") => Ok(Kind::Peers),
        Some("copies") => Ok(Kind::Copies),
        Some(_) => Err(place
            .at("kind")
            .wrong(&table["kind"], &format!("must be {needed}"))),
        None => Err(place.at("kind").missing(needed)),
    }
}

fn keys_of(place: &Place<'_>, table: &Table, kind: Kind) -> Result<(), TopologyError> {
    let of = |kind: Kind| {
        POLICY_KEYS
            .iter()
            .find(|(k, _)| *k == kind)
            .map_or(&[] as &[&str], |(_, keys)| keys)
    };
    let mine = of(kind);
    for (other, keys) in POLICY_KEYS.iter().filter(|(k, _)| *k != kind) {
        if let Some(key) = keys.iter().find(|key| table.contains_key(**key)) {
            let right = format!(
                "is a key of services of kind {other}, and this one is of kind {kind}, which has {}",
                mine.join(", ")
            );
            return Err(place.wrong_key(key, &right));
        }
    }
    let known: Vec<&str> = COMMON_KEYS.iter().chain(mine).copied().collect();
    place.only(table, &known)
}

fn loss(place: &Place<'_>, table: &Table) -> Result<Option<LossPolicy>, TopologyError> {
    let bound = place.number(table, "loss_bound", i64::MAX.unsigned_abs())?;
    let text = place.text(table, "loss")?;
    let loss = match (text, bound) {
        (Some("bounded"), Some(bound)) => Some(LossPolicy::Bounded(bound)),
        (Some("bounded"), None) => {
            return Err(place.at("loss_bound").missing(
                r#"with loss = "bounded", how much position may be missing, as a whole number,"#,
            ));
        }
        (_, Some(_)) => {
            let right = r#"only goes with loss = "bounded""#;
            return Err(place.at("loss_bound").wrong(&table["loss_bound"], right));
        }
        (Some("never"), None) => Some(LossPolicy::Never),
        (Some("available"), None) => Some(LossPolicy::Available),
        (Some(_), None) => {
            let right = r#"must be "never", "bounded" or "available""#;
            return Err(place.at("loss").wrong(&table["loss"], right));
        }
        (None, None) => None,
    };
    Ok(loss)
}
