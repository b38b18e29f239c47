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
    let fit = |it: &&&Candidate| it.unfit.is_none() && case.only.is_none_or(|only| only == it.node);
    let Some(first) = answered.iter().find(fit) else {
        return Err(nobody(case));
    };
    let whole = answered.iter().filter(|it| it.whole);
    let heard: BTreeSet<NodeId> = whole.clone().map(|it| it.node).collect();
    let most = whole.filter_map(|it| offset(it)).max();
    let acks = case.policy.write_acks;
    let proves = case.assignment.proves_complete(&heard, acks);
    // One that was started anew may be ahead by what nobody acknowledged, and proves nothing.
    let complete = |it: &&&Candidate| proves && it.whole && most.is_some() && offset(it) == most;
    let proven = answered.iter().filter(fit).find(complete);
    let chosen = proven.unwrap_or(first);
    let completeness = match proven {
        Some(_) => Completeness::Proven { heard },
        None => lossy(case, chosen, history.as_ref(), &answered, &heard)?,
    };
    let equal = |it: &&&Candidate| offset(it) == offset(chosen) && offset(it).is_some();
    let mut equals: BTreeSet<NodeId> = answered.iter().filter(equal).map(|it| it.node).collect();
    equals.insert(chosen.node);
    Ok(Choice {
        to: chosen.node,
        completeness,
        considered: considered(case, &answered, chosen, history.as_ref()),
        equals,
    })
}

/// Offsets compare within one history alone: that of the old primary. Where it is not known, or nobody
/// who answered has any of it, all who answered must agree on one: of as many as prove completeness one
/// would have it, had anything been acknowledged in it.
fn history(case: &Case<'_>) -> Result<Option<Note>, Hold> {
    let answered = case.candidates.iter().filter(|it| it.answered);
    let positions = answered.filter_map(|it| Some((it, it.position.as_ref()?)));
    let histories: BTreeSet<&Note> = positions.clone().map(|(_, at)| &at.history).collect();
    let known = case.history.as_ref();
    if let Some(known) = known.filter(|known| histories.contains(known)) {
        return Ok(Some(known.clone()));
    }
    if histories.len() > 1 && case.policy.loss == LossPolicy::Never {
        let why = format!(
            "{} different histories among those heard from, and {}; compare them, and choose with a \
             policy that allows loss",
            histories.len(),
            match known {
                Some(_) => "none is the old primary's",
                None => "the old primary's is not known",
            }
        );
        return Err(Hold::new(HoldCode::NotProven, why));
    }
    let complete = |it: &Candidate| it.whole && case.assignment.in_sync.contains(&it.node);
    let best = positions.max_by_key(|(it, at)| (complete(it), at.offset, at.history.clone()));
    Ok(best.map(|(_, at)| at.history.clone()))
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
    history: Option<&Note>,
    answered: &[&Candidate],
    heard: &BTreeSet<NodeId>,
) -> Result<Completeness, Hold> {
    let last = case.last.as_ref();
    let last = last.filter(|last| Some(&last.history) == history);
    let bound = last.zip(offset(chosen, history));
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
    let why = unproven(case, chosen, history, answered, heard);
    let why = format!("{why}; {}", what_would_help(case));
    Err(Hold::new(HoldCode::NotProven, why))
}

/// What an operator can do when nobody will come who proves it.
fn what_would_help(case: &Case<'_>) -> String {
    let service = &case.assignment.service;
    match case.policy.loss {
        LossPolicy::Never => format!(
            "look at what there is before you allow loss by \
             `tenure service update {service} --loss available`"
        ),
        LossPolicy::Bounded(_) | LossPolicy::Available => {
            format!(
                "look at what there is before you use `tenure failover {service} --accept-loss`"
            )
        }
    }
}

/// What is missing of a proof.
fn unproven(
    case: &Case<'_>,
    chosen: &Candidate,
    history: Option<&Note>,
    answered: &[&Candidate],
    heard: &BTreeSet<NodeId>,
) -> String {
    let may: BTreeSet<NodeId> = case.assignment.acknowledgers().collect();
    let acks = usize::try_from(case.policy.write_acks).unwrap_or(usize::MAX);
    let counted = heard.intersection(&may).count();
    if acks == 0 {
        return "write_acks is 0: an acknowledged write may be on the old primary alone".to_owned();
    }
    if counted.saturating_add(acks) <= may.len() {
        return format!(
            "{counted} of {} who may hold an acknowledged write were heard from, more than {} are \
             needed; missing: {}",
            may.len(),
            may.len().saturating_sub(acks),
            names(case, |it| may.contains(&it.node)
                && !heard.contains(&it.node))
        );
    }
    let in_sync = &case.assignment.in_sync;
    if in_sync.is_disjoint(&may) {
        return "nobody but the old primary was in sync".to_owned();
    }
    if in_sync.intersection(&may).all(|node| !heard.contains(node)) {
        let missing = names(case, |it| in_sync.contains(&it.node));
        return format!("nobody who was in sync was heard from; missing: {missing}");
    }
    let own = offset(chosen, history);
    let ahead = |it: &&&Candidate| it.whole && offset(it, history) > own;
    match answered.iter().find(ahead) {
        Some(ahead) => format!(
            "{} is ahead of {} and cannot take over: {}",
            ahead.name,
            chosen.name,
            ahead.unfit.as_deref().unwrap_or("another one was named")
        ),
        None if own.is_none() => format!(
            "nobody heard from has the history that the old primary wrote; {} would come first",
            chosen.name
        ),
        None => format!(
            "{} was started anew, and has not caught up since",
            chosen.name
        ),
    }
}

fn names(case: &Case<'_>, which: impl Fn(&Candidate) -> bool) -> String {
    let named = case.candidates.iter().filter(|it| which(it));
    let each = named.map(|it| {
        let anew = it.answered && !it.whole;
        let why = if anew {
            " (started anew, not caught up since)"
        } else {
            ""
        };
        format!("{}{why}", it.name)
    });
    each.collect::<Vec<_>>().join(", ")
}

fn considered(
    case: &Case<'_>,
    answered: &[&Candidate],
    chosen: &Candidate,
    history: Option<&Note>,
) -> Vec<Considered> {
    let most = offset(chosen, history);
    let verdict = |it: &Candidate| {
        let both = most.zip(offset(it, history));
        if it.node == chosen.node {
            "chosen".to_owned()
        } else if let Some(why) = &it.unfit {
            why.clone()
        } else if !it.answered {
            "did not say how far it has got".to_owned()
        } else if !it.whole {
            "was started anew, and has not caught up since".to_owned()
        } else {
            match both {
                Some((most, at)) if at < most => format!("{} behind", most.saturating_sub(at)),
                Some((most, at)) if at > most => {
                    format!(
                        "{} ahead, and another one was named",
                        at.saturating_sub(most)
                    )
                }
                Some(_) => "equally complete, less preferred".to_owned(),
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

#[cfg(test)]
mod tests;
