//! Decides how two data sets compare, from the histories that they belong to.

use tenure_core::Rejoin;

use super::info::Track;

/// How one's own data compares with that of a primary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) rejoin: Rejoin,
    /// Up to which offset they are one.
    pub(super) fork: u64,
}

/// Up to which offset the data is what the history says, when it belongs to it.
fn reach(track: &Track, history: &str) -> Option<u64> {
    if track.history == history {
        return Some(track.offset);
    }
    let (before, upto) = track.before.as_ref()?;
    (before == history).then_some(*upto)
}

/// Compares `own` with `theirs`; None when they have no history in common.
pub(super) fn compare(own: &Track, theirs: &Track) -> Option<Compared> {
    let before = own.before.as_ref().map(|(history, _)| history.as_str());
    let histories = [Some(own.history.as_str()), before];
    let shared = histories.into_iter().flatten().filter_map(|history| {
        let (ours, others) = (reach(own, history)?, reach(theirs, history)?);
        Some(ours.min(others))
    });
    // No further than either has got: an id may have been handed on without a byte.
    let fork = shared.max()?.min(own.offset).min(theirs.offset);
    let rejoin = match (own.offset > fork, theirs.offset > fork) {
        (false, false) => Rejoin::Identical,
        (false, true) => Rejoin::Behind,
        (true, false) => Rejoin::Ahead,
        (true, true) => Rejoin::Diverged,
    };
    Some(Compared { rejoin, fork })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(history: &str, offset: u64, before: Option<(&str, u64)>) -> Track {
        Track {
            history: history.to_owned(),
            offset,
            before: before.map(|(history, upto)| (history.to_owned(), upto)),
        }
    }

    #[test]
    fn verdicts() {
        use Rejoin::{Ahead, Behind, Diverged, Identical};
        let table = [
            // A successor promoted at 50.
            (
                track("a", 50, None),
                track("b", 50, Some(("a", 50))),
                Some((Identical, 50)),
            ),
            (
                track("a", 50, None),
                track("b", 90, Some(("a", 50))),
                Some((Behind, 50)),
            ),
            (
                track("a", 40, None),
                track("b", 50, Some(("a", 50))),
                Some((Behind, 40)),
            ),
            (
                track("a", 70, None),
                track("b", 50, Some(("a", 50))),
                Some((Ahead, 50)),
            ),
            (
                track("a", 70, None),
                track("b", 90, Some(("a", 50))),
                Some((Diverged, 50)),
            ),
            // One history.
            (
                track("a", 50, None),
                track("a", 50, None),
                Some((Identical, 50)),
            ),
            (
                track("a", 50, None),
                track("a", 51, None),
                Some((Behind, 50)),
            ),
            (
                track("a", 51, None),
                track("a", 50, None),
                Some((Ahead, 50)),
            ),
            // It had been promoted itself, from what the other still is.
            (
                track("b", 50, Some(("a", 50))),
                track("a", 60, None),
                Some((Behind, 50)),
            ),
            (
                track("b", 55, Some(("a", 50))),
                track("a", 50, None),
                Some((Ahead, 50)),
            ),
            (
                track("b", 55, Some(("a", 50))),
                track("a", 60, None),
                Some((Diverged, 50)),
            ),
            // Both were promoted from the same.
            (
                track("b", 50, Some(("a", 50))),
                track("c", 70, Some(("a", 60))),
                Some((Behind, 50)),
            ),
            (
                track("b", 60, Some(("a", 60))),
                track("c", 50, Some(("a", 50))),
                Some((Ahead, 50)),
            ),
            (
                track("b", 65, Some(("a", 60))),
                track("c", 70, Some(("a", 50))),
                Some((Diverged, 50)),
            ),
            // Nothing in common.
            (track("a", 50, None), track("c", 50, Some(("b", 50))), None),
        ];
        for (own, theirs, expected) in table {
            let found = compare(&own, &theirs).map(|it| (it.rejoin, it.fork));
            assert_eq!(found, expected, "{own:?} {theirs:?}");
        }
    }
}
