//! Promotions: the fence proof that one must rest on, and what it must prove of completeness.

use crate::{
    fixture::*,
    promotions::{account, heard, now, policy_of, resting_on, with},
};
use tenure_core::{
    Cause, Completeness, Created, Epoch, FenceProof, Loss, LossPolicy, Millis, RejectCode,
};

use Expect::{Changes, Rejects};

/// Promise 2: a proof, and one that fits.
#[test]
fn a_promotion_rests_on_a_fence_proof_that_fits() {
    let silent = Millis(1_100);
    let proven = || heard(&[2]);
    let unfenced = || Rejects(RejectCode::NotFenced, "the primary of sql", None);
    table_on(
        &risen(),
        [
            (
                "confirmed",
                resting_on(FenceProof::Confirmed, proven()),
                Changes("assignment of sql"),
            ),
            (
                "its lease ran out",
                resting_on(FenceProof::LeaseOver { silent }, proven()),
                Changes("assignment of sql"),
            ),
            (
                "there was nobody, it says, and there is",
                resting_on(FenceProof::Nobody, proven()),
                unfenced(),
            ),
            (
                "an operator vouches, who asked for it",
                with(|it| {
                    it.account.cause = Cause::Operator;
                    it.account.fence = FenceProof::Operator;
                }),
                Changes("assignment of sql"),
            ),
            (
                "an operator vouches, who did not ask",
                resting_on(FenceProof::Operator, proven()),
                unfenced(),
            ),
        ],
    );
    let idle = |fence: FenceProof| {
        with(|it| {
            (it.service, it.succeeds) = ("idle", 0);
            it.syncing = Vec::new();
            it.account = account(Cause::First, fence, Completeness::First);
        })
    };
    let unfenced = || Rejects(RejectCode::NotFenced, "the primary of idle", None);
    table_on(
        &risen(),
        [
            (
                "the first",
                idle(FenceProof::Nobody),
                Changes("assignment of idle"),
            ),
            (
                "confirmed by nobody",
                idle(FenceProof::Confirmed),
                unfenced(),
            ),
            ("nobody exited", idle(FenceProof::Exited), unfenced()),
            (
                "nobody had a lease",
                idle(FenceProof::LeaseOver { silent }),
                unfenced(),
            ),
            (
                "nobody to vouch for",
                idle(FenceProof::Operator),
                unfenced(),
            ),
        ],
    );
}

/// Promise 3, by what the policy of `sql` (may lose 10) and of `safe` (may lose nothing) say.
#[test]
fn a_promotion_is_complete_as_the_policy_wants_it() {
    let unproven = || Rejects(RejectCode::NotProven, "sql on node 2", None);
    let exited = |completeness| resting_on(FenceProof::Exited, completeness);
    table_on(
        &risen(),
        [
            (
                "heard from all",
                exited(heard(&[2])),
                Changes("assignment of sql"),
            ),
            (
                "heard from others too",
                exited(heard(&[2, 3])),
                Changes("assignment of sql"),
            ),
            ("heard from nobody", exited(heard(&[])), unproven()),
            (
                "not heard from the one itself",
                exited(heard(&[3])),
                unproven(),
            ),
            (
                "nothing was written, it says",
                exited(Completeness::First),
                unproven(),
            ),
            (
                "equal to one that was not fenced in order",
                exited(Completeness::Equal),
                unproven(),
            ),
            (
                "equal to one that confirmed its fence",
                resting_on(FenceProof::Confirmed, Completeness::Equal),
                Changes("assignment of sql"),
            ),
        ],
    );
}

#[test]
fn a_promotion_loses_what_the_policy_lets_it_lose() {
    let forbidden = |subject| Rejects(RejectCode::LossForbidden, subject, None);
    let exited = |completeness| resting_on(FenceProof::Exited, completeness);
    let safe = |completeness| {
        with(|it| {
            it.service = "safe";
            it.syncing = Vec::new();
            it.account.completeness = completeness;
        })
    };
    table_on(
        &risen(),
        [
            (
                "within the bound",
                exited(Completeness::Bounded { lacks: 10 }),
                Changes("assignment of sql"),
            ),
            (
                "over the bound",
                exited(Completeness::Bounded { lacks: 11 }),
                forbidden("sql on node 2"),
            ),
            (
                "not known",
                exited(Completeness::Unknown),
                forbidden("sql on node 2"),
            ),
            (
                "a loss of nothing, under never",
                safe(Completeness::Bounded { lacks: 0 }),
                forbidden("safe on node 2"),
            ),
            (
                "not known, under never",
                safe(Completeness::Unknown),
                forbidden("safe on node 2"),
            ),
            (
                "nobody else was in sync, under never",
                safe(heard(&[2])),
                Rejects(RejectCode::NotProven, "safe on node 2", None),
            ),
        ],
    );
}

#[test]
fn under_available_anything_goes_and_is_counted() {
    for completeness in [
        Completeness::Unknown,
        Completeness::Bounded { lacks: 1 << 40 },
    ] {
        let mut world = risen();
        world.must(policy_of(&world, LossPolicy::Available, 1));
        let lossy = resting_on(FenceProof::Exited, completeness);
        assert_eq!(world.must(lossy), Some(Created::Epoch(Epoch(2))));
        let sql = now(&world, "sql");
        assert_eq!((sql.epoch, sql.loss), (Epoch(2), Loss(1)));
    }
}
