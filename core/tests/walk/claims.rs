//! What single entries must keep to, said once more and in other words than in `apply`.

use tenure_core::{
    Account, Applied, Command, Completeness, Envelope, Epoch, FenceProof, LossPolicy, Member,
    NodeId, Outcome, Policy, ServiceName, State,
};

/// Checks the promises that an invariant of states cannot say, because a batch may do more at once.
pub fn check(before: &State, after: &State, envelope: &Envelope, applied: &Applied, label: &str) {
    if applied.events.is_empty() {
        return;
    }
    if let Command::SetPrimary {
        service,
        succeeds,
        accept_loss,
        ..
    } = &envelope.command
    {
        change_of_primary(before, after, service, (*succeeds, *accept_loss), label);
    }
    if let Command::Promote {
        service,
        to,
        succeeds,
        account,
        ..
    } = &envelope.command
    {
        promotion(before, after, service, (*to, *succeeds), account, label);
    }
    for (name, now) in before.services() {
        let was = before.assignment(name);
        let Some((was, primary)) = was.and_then(|was| was.primary.map(|p| (was, p))) else {
            continue;
        };
        let unasked = !matches!(
            envelope.command,
            Command::SetPrimary { .. }
                | Command::Promote { .. }
                | Command::RemoveService { .. }
                | Command::Batch(_)
        );
        let kept = after.assignment(name).and_then(|now| now.primary) == Some(primary);
        assert!(kept || !unasked, "{label}: {name} moved by another command");
        let same_kind = after
            .services()
            .get(name)
            .is_none_or(|s| s.kind() == now.kind());
        let batch = matches!(envelope.command, Command::Batch(_));
        assert!(same_kind || batch, "{label}: {name} changed its kind");
        assert!(was.epoch >= Epoch(1), "{label}: a primary by no epoch");
    }
    if let Outcome::Done(done) = &applied.outcome {
        assert_eq!(done.revision, after.revision(), "{label}");
        assert_eq!(done.revision.0, after.applied().0, "{label}");
    }
}

fn change_of_primary(
    before: &State,
    after: &State,
    name: &ServiceName,
    (succeeds, accept_loss): (Epoch, bool),
    label: &str,
) {
    let was = before.assignment(name).expect("it was changed");
    let now = after.assignment(name).expect("it was changed");
    assert_eq!(was.epoch, succeeds, "{label}");
    assert_eq!(now.epoch, succeeds.next(), "{label}");
    let to = now.primary.expect("it was set").node;
    if was.primary.is_none() || was.in_sync.contains(&to) {
        assert_eq!(now.loss, was.loss, "{label}");
        return;
    }
    assert!(accept_loss, "{label}: a loss that nobody accepted");
    assert_eq!(now.loss, was.loss.next(), "{label}");
    let Policy::Primary(policy) = before.services()[name].policy else {
        panic!("{label}: a primary of another kind");
    };
    assert_ne!(policy.loss, LossPolicy::Never, "{label}: promise 3");
}

/// Promises 1 to 4, of one promotion.
fn promotion(
    before: &State,
    after: &State,
    name: &ServiceName,
    (to, succeeds): (Member, Epoch),
    account: &Account,
    label: &str,
) {
    let was = before.assignment(name).expect("it was changed");
    let now = after.assignment(name).expect("it was changed");
    assert_eq!(
        (was.epoch, now.epoch),
        (succeeds, succeeds.next()),
        "{label}"
    );
    assert_eq!(now.primary, Some(to), "{label}");
    assert!(now.in_sync.contains(&to.node), "{label}");
    let nobody = account.fence == FenceProof::Nobody;
    assert_eq!(nobody, was.primary.is_none(), "{label}: promise 2");
    let lossy = !account.completeness.is_lossless();
    assert_eq!(
        now.loss.0,
        was.loss.0 + u64::from(lossy),
        "{label}: promise 3"
    );
    let Policy::Primary(policy) = before.services()[name].policy else {
        panic!("{label}: a primary of another kind");
    };
    assert!(
        !lossy || policy.loss != LossPolicy::Never,
        "{label}: promise 3"
    );
    if let Completeness::Proven { heard } = &account.completeness {
        let others: Vec<NodeId> = was.acknowledgers().collect();
        let unheard = others.iter().filter(|node| !heard.contains(node)).count();
        let acks = usize::try_from(policy.write_acks).expect("it is small");
        assert!(
            unheard < acks,
            "{label}: a write may be on who was not heard from"
        );
    }
    let receipt = after.receipt(name, now.epoch).expect("promise 4");
    assert_eq!((receipt.from, receipt.to), (was.primary, to), "{label}");
    assert_eq!(receipt.account, *account, "{label}");
}
