//! Who is to be primary: the one function that decides it, for failovers, for switchovers and for
//! `what-if`. It knows nothing of time or of messages.

use crate::{
    Assignment, Completeness, Considered, LossPolicy, NodeId, NodeName, Note, Position,
    PrimaryPolicy, Zone,
    controller::{Hold, HoldCode},
    limits::CONSIDERED_MAX,
    reject::note,
};
use std::{cmp::Reverse, collections::BTreeSet};

/// An instance that could take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeId,
    pub(crate) name: NodeName,
    pub(crate) zone: Option<Zone>,
    pub(crate) preference: u32,
    pub(crate) load: u32,
    /// How far it has got, as it said when it was asked; None when it has nothing.
    pub(crate) position: Option<Position>,
    /// Whether it has said so, after the old primary was fenced.
    pub(crate) answered: bool,
    /// Whether it still has all that it ever acknowledged.
    pub(crate) whole: bool,
    /// Why it may not take over, if it may not.
    pub(crate) unfit: Option<String>,
}

/// What is to be decided on.
#[derive(Debug, Clone)]
pub(crate) struct Case<'a> {
    pub(crate) assignment: &'a Assignment,
    pub(crate) policy: PrimaryPolicy,
    /// The history that the old primary wrote, as far as it is known.
    pub(crate) history: Option<Note>,
    /// How far the old primary was known to have got.
    pub(crate) last: Option<Position>,
    /// A zone that something was just lost in.
    pub(crate) avoid: Option<Zone>,
    /// Nobody but this one.
    pub(crate) only: Option<NodeId>,
    /// Nothing acknowledged may be lost, whatever the policy allows.
    pub(crate) lossless: bool,
    pub(crate) candidates: Vec<Candidate>,
}

/// Who takes over, and why nobody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Choice {
    pub(crate) to: NodeId,
    pub(crate) completeness: Completeness,
    pub(crate) considered: Vec<Considered>,
    /// Who holds all that the chosen one holds.
    pub(crate) equals: BTreeSet<NodeId>,
}

/// The design's order: data before pins and policy, those before zone, preference, load and name.
pub(crate) fn choose(case: &Case<'_>) -> Result<Choice, Hold> {
    let history = history(case)?;
    let offset = |candidate: &Candidate| offset(candidate, history.as_ref());
    let mut answered: Vec<&Candidate> = case.candidates.iter().filter(|it| it.answered).collect();
    answered.sort_by_key(|it| {
        let avoided = case.avoid.is_some() && it.zone == case.avoid;
        let rank = (it.unfit.is_some(), avoided, Reverse(it.preference), it.load);
        (Reverse(offset(it)), rank, it.name.clone())
    });
    let most = answered.first().map(|first| offset(first));
    let fit = |it: &&&Candidate| it.unfit.is_none() && case.only.is_none_or(|only| only == it.node);
    let Some(chosen) = answered.iter().find(fit) else {
        return Err(nobody(case));
    };
    let heard = answered.iter().filter(|it| it.whole);
    let heard: BTreeSet<NodeId> = heard.map(|it| it.node).collect();
    let leads = Some(offset(chosen)) == most && offset(chosen).is_some() && chosen.whole;
    let proven = leads
        && case
            .assignment
            .proves_complete(&heard, case.policy.write_acks);
    let completeness = if proven {
        Completeness::Proven { heard }
    } else {
        lossy(case, chosen, offset(chosen), &answered, &heard)?
    };
    let equal = |it: &&&Candidate| offset(it) == offset(chosen) && offset(it).is_some();
    let mut equals: BTreeSet<NodeId> = answered.iter().filter(equal).map(|it| it.node).collect();
    equals.insert(chosen.node);
    Ok(Choice {
        to: chosen.node,
        completeness,
        considered: considered(case, &answered, chosen, offset(chosen)),
        equals,
    })
}

/// Offsets compare within one history alone. Where that of the old primary is not known, all who
/// answered must agree on one.
fn history(case: &Case<'_>) -> Result<Option<Note>, Hold> {
    if case.history.is_some() {
        return Ok(case.history.clone());
    }
    let answered = case.candidates.iter().filter(|it| it.answered);
    let histories: BTreeSet<&Note> = answered
        .filter_map(|it| Some(&it.position.as_ref()?.history))
        .collect();
    if histories.len() > 1 && case.policy.loss == LossPolicy::Never {
        let why = format!(
            "{} different histories among those heard from, and the old primary's is not known; \
             compare them, and choose with a policy that allows loss",
            histories.len()
        );
        return Err(Hold::new(HoldCode::NotProven, why));
    }
    Ok(histories.into_iter().next().cloned())
}

fn offset(candidate: &Candidate, history: Option<&Note>) -> Option<u64> {
    let position = candidate.position.as_ref()?;
    (Some(&position.history) == history).then_some(position.offset)
}

fn nobody(case: &Case<'_>) -> Hold {
    if let Some(only) = case.only {
        let named = case.candidates.iter().find(|it| it.node == only);
        let why = match named {
            None => format!("node {only} has no instance of {}", case.assignment.service),
            Some(it) => match &it.unfit {
                Some(why) => format!("{}: {why}", it.name),
                None => format!("{} did not say how far it has got", it.name),
            },
        };
        return Hold::new(HoldCode::NotThatOne, why);
    }
    if case.candidates.is_empty() {
        return Hold::new(HoldCode::NoCandidate, "there is no other instance");
    }
    let each = case.candidates.iter().map(|it| match &it.unfit {
        Some(why) => format!("{}: {why}", it.name),
        None if it.answered => format!("{}: passed over", it.name),
        None => format!("{}: did not say how far it has got", it.name),
    });
    Hold::new(HoldCode::NoCandidate, each.collect::<Vec<_>>().join("; "))
}

/// What the policy allows to be lost, if it allows anything.
fn lossy(
    case: &Case<'_>,
    chosen: &Candidate,
    offset: Option<u64>,
    answered: &[&Candidate],
    heard: &BTreeSet<NodeId>,
) -> Result<Completeness, Hold> {
    let bound = case.last.as_ref().zip(offset);
    let lacks = bound.map(|(last, offset)| last.offset.saturating_sub(offset));
    let allowed = match (case.policy.loss, lacks) {
        (LossPolicy::Never, _) | (LossPolicy::Bounded(_), None) => false,
        (LossPolicy::Bounded(most), Some(lacks)) => lacks <= most,
        (LossPolicy::Available, _) => true,
    };
    if allowed && !case.lossless {
        return Ok(
            lacks.map_or(Completeness::Unknown, |lacks| Completeness::Bounded {
                lacks,
            }),
        );
    }
    let may: BTreeSet<NodeId> = case.assignment.acknowledgers().collect();
    let missing: Vec<String> = case
        .candidates
        .iter()
        .filter(|it| may.contains(&it.node) && !heard.contains(&it.node))
        .map(|it| {
            let restarted = it.answered && !it.whole;
            let why = if restarted {
                " (restarted, not caught up since)"
            } else {
                ""
            };
            format!("{}{why}", it.name)
        })
        .collect();
    let acks = case.policy.write_acks;
    let ahead = answered.first().filter(|first| first.node != chosen.node);
    let why = if let Some(first) = ahead.filter(|_| missing.is_empty()) {
        let unfit = first.unfit.as_deref().unwrap_or("passed over");
        format!(
            "{} is the most advanced and cannot take over: {unfit}",
            first.name
        )
    } else if acks == 0 {
        "write_acks is 0: an acknowledged write may be on the old primary alone".to_owned()
    } else {
        format!(
            "{} of {} who may hold an acknowledged write were heard from, more than {} are needed; \
             missing: {}",
            heard.intersection(&may).count(),
            may.len(),
            may.len()
                .saturating_sub(usize::try_from(acks).unwrap_or(usize::MAX)),
            missing.join(", ")
        )
    };
    Err(Hold::new(HoldCode::NotProven, why))
}

fn considered(
    case: &Case<'_>,
    answered: &[&Candidate],
    chosen: &Candidate,
    most: Option<u64>,
) -> Vec<Considered> {
    let verdict = |it: &Candidate| {
        let behind = it
            .position
            .as_ref()
            .zip(most)
            .map(|(position, most)| most.saturating_sub(position.offset));
        if it.node == chosen.node {
            "chosen".to_owned()
        } else if let Some(why) = &it.unfit {
            why.clone()
        } else if !it.answered {
            "did not say how far it has got".to_owned()
        } else {
            match behind {
                Some(0) => "equally complete, less preferred".to_owned(),
                Some(lag) => format!("{lag} behind"),
                None => "has nothing of this history".to_owned(),
            }
        }
    };
    let silent = case.candidates.iter().filter(|it| !it.answered);
    let all = answered.iter().copied().chain(silent);
    let row = |it: &Candidate| Considered {
        node: it.node,
        position: it.position.clone(),
        verdict: note(&verdict(it)),
    };
    all.take(CONSIDERED_MAX).map(row).collect()
}
