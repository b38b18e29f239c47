//! Every sentence with which it is decided to do nothing.

use super::*;

const PINNED: &str = "its node is pinned down: fan";
const ALLOW: &str =
    "; look at what there is before you allow loss by `tenure service update db --loss available`";

fn held(rows: impl IntoIterator<Item = (HoldCode, &'static str, Told)>) {
    for (code, sentence, told) in rows {
        let hold = told.choose().expect_err(sentence);
        let why = hold.why.strip_suffix(ALLOW).unwrap_or(&hold.why);
        assert_eq!((hold.code, why), (code, sentence));
        let helps = why != hold.why || why.ends_with("a policy that allows loss");
        assert_eq!(helps, code == HoldCode::NotProven, "{hold}");
    }
}

#[test]
fn what_is_not_proven_can_be_allowed() {
    let mut told = changed(|it| it.of(4).answered = false);
    told.lossless = true;
    for loss in [LossPolicy::Bounded(1), LossPolicy::Available] {
        told.loss = loss;
        let hold = told.choose().expect_err("nothing may be lost");
        let does = "; look at what there is before you use `tenure failover db --accept-loss`";
        assert!(hold.why.ends_with(does), "{hold}");
    }
}

#[test]
fn nobody_may_take_over() {
    held([
        (
            HoldCode::NoCandidate,
            "there is no other instance",
            changed(|it| it.candidates.clear()),
        ),
        (
            HoldCode::NoCandidate,
            "n2: its node is pinned down: fan; n3: did not say how far it has got; n4: it is failing",
            {
                let mut told = changed(|it| it.of(3).answered = false);
                told.of(2).unfit = Some(PINNED.to_owned());
                told.of(4).unfit = Some("it is failing".to_owned());
                told
            },
        ),
        (
            HoldCode::NotThatOne,
            "node 9 has no instance of db",
            changed(|it| it.only = Some(9)),
        ),
        (HoldCode::NotThatOne, "n3: its node is pinned down: fan", {
            let mut told = changed(|it| it.only = Some(3));
            told.of(3).unfit = Some(PINNED.to_owned());
            told
        }),
        (
            HoldCode::NotThatOne,
            "n3 did not say how far it has got",
            changed(|it| (it.only, it.of(3).answered) = (Some(3), false)),
        ),
    ]);
}

#[test]
fn those_heard_from_prove_nothing() {
    held([
        (
            HoldCode::NotProven,
            "write_acks is 0: an acknowledged write may be on the old primary alone",
            changed(|it| it.write_acks = 0),
        ),
        (
            HoldCode::NotProven,
            "2 of 3 who may hold an acknowledged write were heard from, more than 2 are needed; \
             missing: n4",
            changed(|it| it.of(4).answered = false),
        ),
        (
            HoldCode::NotProven,
            "2 of 3 who may hold an acknowledged write were heard from, more than 2 are needed; \
             missing: n3 (started anew, not caught up since)",
            changed(|it| it.of(3).whole = false),
        ),
        (
            HoldCode::NotProven,
            "nobody but the old primary was in sync",
            changed(|it| it.assignment = assignment(&[], &[2, 3, 4])),
        ),
        (
            HoldCode::NotProven,
            "nobody who was in sync was heard from; missing: n2",
            changed(|it| {
                it.assignment = assignment(&[2], &[3, 4]);
                (it.write_acks, it.of(2).answered) = (2, false);
            }),
        ),
    ]);
}

#[test]
fn the_best_is_not_good_enough() {
    held([
        (
            HoldCode::NotProven,
            "n2 is ahead of n3 and cannot take over: its node is pinned down: fan",
            {
                let mut told = changed(|it| it.of(2).position = Some(at("h", 101)));
                told.of(2).unfit = Some(PINNED.to_owned());
                told
            },
        ),
        (
            HoldCode::NotProven,
            "n2 is ahead of n3 and cannot take over: another one was named",
            changed(|it| (it.only, it.of(2).position) = (Some(3), Some(at("h", 101)))),
        ),
        (
            HoldCode::NotProven,
            "n2 is ahead of n3 and cannot take over: another one was named",
            changed(|it| (it.only, it.of(3).position) = (Some(3), Some(at("g", 500)))),
        ),
        (
            HoldCode::NotProven,
            "2 different histories among those heard from, and the old primary's is not known; \
             compare them, and choose with a policy that allows loss",
            changed(|it| (it.history, it.of(3).position) = (None, Some(at("g", 5)))),
        ),
        (
            HoldCode::NotProven,
            "2 different histories among those heard from, and none is the old primary's; \
             compare them, and choose with a policy that allows loss",
            changed(|it| (it.history, it.of(3).position) = (Some("f"), Some(at("g", 5)))),
        ),
    ]);
}
