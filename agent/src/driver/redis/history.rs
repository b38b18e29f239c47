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

    /// Own and other: history, offset, and what it came from.
    type Case<'a> = (
        (&'a str, u64, Option<(&'a str, u64)>),
        (&'a str, u64, Option<(&'a str, u64)>),
        Option<(Rejoin, u64)>,
    );

    fn assert_all(table: &[Case<'_>]) {
        for (own, theirs, expected) in table {
            let found = compare(
                &track(own.0, own.1, own.2),
                &track(theirs.0, theirs.1, theirs.2),
            );
            let found = found.map(|it| (it.rejoin, it.fork));
            assert_eq!(found, *expected, "{own:?} {theirs:?}");
        }
    }

    #[test]
    fn beside_a_successor_and_in_one_history() {
        use Rejoin::{Ahead, Behind, Diverged, Identical};
        let promoted = Some(("a", 50));
        assert_all(&[
            (("a", 50, None), ("b", 50, promoted), Some((Identical, 50))),
            (("a", 50, None), ("b", 90, promoted), Some((Behind, 50))),
            (("a", 40, None), ("b", 50, promoted), Some((Behind, 40))),
            (("a", 70, None), ("b", 50, promoted), Some((Ahead, 50))),
            (("a", 70, None), ("b", 90, promoted), Some((Diverged, 50))),
            (("a", 50, None), ("a", 50, None), Some((Identical, 50))),
            (("a", 50, None), ("a", 51, None), Some((Behind, 50))),
            (("a", 51, None), ("a", 50, None), Some((Ahead, 50))),
        ]);
    }

    #[test]
    fn after_promotions_of_its_own_and_of_both() {
        use Rejoin::{Ahead, Behind, Diverged};
        let promoted = Some(("a", 50));
        let later = Some(("a", 60));
        assert_all(&[
            (("b", 50, promoted), ("a", 60, None), Some((Behind, 50))),
            (("b", 55, promoted), ("a", 50, None), Some((Ahead, 50))),
            (("b", 55, promoted), ("a", 60, None), Some((Diverged, 50))),
            (("b", 50, promoted), ("c", 70, later), Some((Behind, 50))),
            (("b", 60, later), ("c", 50, promoted), Some((Ahead, 50))),
            (("b", 65, later), ("c", 70, promoted), Some((Diverged, 50))),
            (("a", 50, None), ("c", 50, Some(("b", 50))), None),
        ]);
    }
}
