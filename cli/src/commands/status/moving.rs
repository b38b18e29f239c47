//! What of failover an operator is to know: primaries that move or are held, failovers that nobody has
//! acknowledged, pauses.

use super::{
    super::{explain, pause, until},
    FindingShape,
};
use crate::{clock, cluster::Cluster, exit::Failure, output::shape};
use futures::{StreamExt, stream};
use std::collections::BTreeMap;
use tenure_core::{
    Assignment, Receipt, RecordKind, Role, ServiceName, Severity, State, Timestamp,
    controller::{Hold, HoldCode},
};

/// How many services are explained; where more are without a primary one cause has hit them all.
const EXPLAINED_MAX: usize = 20;

/// How many questions are under way at a time.
const ASKED_AT_ONCE: usize = 4;

/// How many receipts are looked through for failovers that nobody has acknowledged.
const RECEIPTS_MAX: u32 = 500;

const KINDS: &[RecordKind] = &[
    RecordKind::Node,
    RecordKind::Service,
    RecordKind::Assignment,
    RecordKind::Instance,
    RecordKind::Pause,
];

/// What is to be said; nothing without a leader, who alone knows.
pub(super) async fn findings(cluster: &Cluster, has_leader: bool) -> Vec<FindingShape> {
    if !has_leader {
        return Vec::new();
    }
    match read(cluster).await {
        Ok(findings) => findings,
        Err(why) => vec![FindingShape {
            severity: Severity::Warning,
            subject: "automation".to_owned(),
            what: format!("failovers and pauses cannot be read: {why}"),
        }],
    }
}

async fn read(cluster: &Cluster) -> Result<Vec<FindingShape>, Failure> {
    let (state, receipts) = tokio::try_join!(
        cluster.state(KINDS, &[]),
        cluster.receipts(None, RECEIPTS_MAX)
    )?;
    let unserved = unserved(&state);
    let asked = unserved.iter().take(EXPLAINED_MAX).map(|name| async move {
        let explained = cluster.explain(name).await;
        of_service(name, explained.map(|it| it.decision))
    });
    let mut findings: Vec<FindingShape> = stream::iter(asked)
        .buffered(ASKED_AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    if let Some(more @ 1..) = unserved.len().checked_sub(EXPLAINED_MAX) {
        findings.push(FindingShape {
            severity: Severity::Critical,
            subject: "services".to_owned(),
            what: format!("{more} more have no primary that serves"),
        });
    }
    findings.extend(unacknowledged(&state, &receipts));
    let now = u64::try_from(clock::now().as_millis()).unwrap_or(u64::MAX);
    findings.extend(pauses(&state, Timestamp(now)));
    Ok(findings)
}

/// The services with a primary by their kind that nobody serves as one now.
fn unserved(state: &State) -> Vec<ServiceName> {
    let names = state.services().keys();
    let assigned = names.filter_map(|name| state.assignment(name));
    assigned
        .filter(|now| !is_served(state, now))
        .map(|now| now.service.clone())
        .collect()
}

/// Whether the primary is well and has not said that it is something else. One that says nothing of its
/// role is watched by no agent: an operator answers for it.
fn is_served(state: &State, now: &Assignment) -> bool {
    let Some(primary) = now.primary else {
        return false;
    };
    let instance = state.instance(&now.service, primary.node);
    instance.is_some_and(|instance| {
        let is_confirmed = match instance.report.role {
            None => true,
            Some(role) => role == (Role::Primary, now.epoch),
        };
        state.health(instance).serves() && is_confirmed
    })
}

fn of_service(name: &ServiceName, decision: Result<Result<String, Hold>, Failure>) -> FindingShape {
    let (severity, what) = match &decision {
        // The leader hears more than is written down.
        Ok(Err(hold)) if hold.code == HoldCode::Nothing => (Severity::Warning, hold.to_string()),
        Ok(Ok(doing)) => (Severity::Warning, format!("moving: {doing}")),
        Ok(held @ Err(_)) => (Severity::Critical, explain::wording(held)),
        Err(why) => (
            Severity::Warning,
            format!("what is done about it is not known: {why}"),
        ),
    };
    FindingShape {
        severity,
        subject: format!("service {name}"),
        what,
    }
}

/// Of each service the latest failover, if nobody has acknowledged it.
fn unacknowledged(state: &State, receipts: &[Receipt]) -> Vec<FindingShape> {
    let mut latest: BTreeMap<&ServiceName, &Receipt> = BTreeMap::new();
    let failovers = receipts.iter().filter(|it| it.account.cause.is_failover());
    for receipt in failovers {
        let known = latest.entry(&receipt.service).or_insert(receipt);
        if known.epoch < receipt.epoch {
            *known = receipt;
        }
    }
    let open = latest.into_values().filter(|it| !it.acknowledged);
    open.map(|receipt| FindingShape {
        severity: Severity::Warning,
        subject: format!("service {}", receipt.service),
        what: format!(
            "failed over to {}, epoch {}, at {} ({}); {}; `tenure ack {}` when it was looked at",
            shape::node_name(state, receipt.to.node),
            receipt.epoch,
            clock::utc(receipt.stamp),
            receipt.account.cause,
            receipt.account.completeness,
            receipt.service
        ),
    })
    .collect()
}

fn pauses(state: &State, now: Timestamp) -> Vec<FindingShape> {
    let pauses = state.pauses().values();
    let stand = pauses.filter(|pause| pause.until.is_none_or(|until| until > now));
    stand
        .map(|pause| FindingShape {
            severity: Severity::Warning,
            subject: pause::wording(state, &pause.scope),
            what: format!(
                "automation is paused {}: {}",
                until::wording(pause.until),
                pause.reason
            ),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{super::super::receipts::wording::tests, *};
    use std::sync::Arc;
    use tenure_core::{
        Attributes, Endpoint, Epoch, Health, Incarnation, Instance, Member, NodeId, Note, Pause,
        Policy, PrimaryPolicy, Record, Report, Revision, Scope, Service,
    };

    fn redis() -> ServiceName {
        ServiceName::new("redis-server").unwrap()
    }

    /// A service whose primary is on db-1, by epoch 4.
    fn state(health: Health, role: Option<(Role, Epoch)>) -> State {
        let mut state = tests::nodes();
        state.put(Record::Service(Arc::new(Service {
            name: redis(),
            policy: Policy::Primary(PrimaryPolicy::default()),
            created: Revision(4),
            modified: Revision(4),
        })));
        let primary = Member {
            node: NodeId(1),
            incarnation: Incarnation(1),
        };
        state.put(Record::Assignment(Arc::new(Assignment {
            primary: Some(primary),
            epoch: Epoch(4),
            ..Assignment::vacant(redis(), Revision(5))
        })));
        state.put(Record::Instance(Arc::new(Instance {
            service: redis(),
            node: NodeId(1),
            endpoint: Endpoint::new("10.0.0.1:6379").unwrap(),
            preference: 100,
            report: Report {
                health,
                role,
                position: None,
                note: Note::default(),
                attributes: Attributes::default(),
            },
            reported_in: Incarnation(1),
            created: Revision(6),
            modified: Revision(6),
        })));
        state
    }

    fn told(findings: &[FindingShape]) -> Vec<String> {
        let told = findings
            .iter()
            .map(|it| format!("{} {}: {}", it.severity, it.subject, it.what));
        told.collect()
    }

    #[test]
    fn a_service_is_served_by_a_primary_that_is_well_and_says_so() {
        let says = |role, epoch| Some((role, Epoch(epoch)));
        let table = [
            (Health::Healthy, says(Role::Primary, 4), true),
            (Health::Degraded, says(Role::Primary, 4), true),
            (Health::Healthy, None, true),
            (Health::Healthy, says(Role::Primary, 3), false),
            (Health::Healthy, says(Role::Replica, 4), false),
            (Health::Failing, says(Role::Primary, 4), false),
            (Health::Unknown, None, false),
        ];
        for (health, role, is_served) in table {
            let unserved = unserved(&state(health, role));
            assert_eq!(unserved.is_empty(), is_served, "{health}, {role:?}");
        }
        let mut vacant = state(Health::Healthy, None);
        let nobody = Assignment::vacant(redis(), Revision(9));
        vacant.put(Record::Assignment(Arc::new(nobody)));
        assert_eq!(unserved(&vacant), [redis()]);
    }

    #[test]
    fn a_hold_is_critical_and_a_move_a_warning() {
        let hold = |code, why: &str| Ok(Err(Hold::new(code, why)));
        let decisions = [
            hold(HoldCode::Storm, "3 members of zone a"),
            Ok(Ok("failover (node lost): asking the others".to_owned())),
            Err(Failure::local("no leader")),
        ];
        let findings = decisions.map(|decision| of_service(&redis(), decision));
        let wanted = [
            "CRITICAL service redis-server: held: too much was lost at once: 3 members of zone a",
            "WARNING service redis-server: moving: failover (node lost): asking the others",
            "WARNING service redis-server: what is done about it is not known: no leader",
        ];
        assert_eq!(told(&findings), wanted);
    }

    #[test]
    fn the_latest_failover_is_to_be_acknowledged() {
        let earlier = Receipt {
            epoch: Epoch(3),
            ..tests::failover()
        };
        let findings = unacknowledged(&tests::nodes(), &[tests::failover(), earlier.clone()]);
        let wanted = "\
WARNING service redis-server: failed over to db-2, epoch 5, at 2000-02-28T23:59:59Z (node lost); \
nothing acknowledged was lost: most advanced of 2 heard from; `tenure ack redis-server` when it was \
looked at";
        assert_eq!(told(&findings), [wanted]);
        let noted = Receipt {
            acknowledged: true,
            ..tests::failover()
        };
        assert!(unacknowledged(&tests::nodes(), &[noted, earlier]).is_empty());
    }

    #[test]
    fn a_pause_is_a_warning_as_long_as_it_stands() {
        let mut state = tests::nodes();
        for (scope, until) in [
            (Scope::Cluster, None),
            (Scope::Node(NodeId(2)), Some(Timestamp(5))),
            (Scope::Service(redis()), Some(Timestamp(951_782_400_000))),
        ] {
            state.put(Record::Pause(Arc::new(Pause {
                scope,
                until,
                reason: Note::new("site test").unwrap(),
                modified: Revision(7),
            })));
        }
        let wanted = [
            "WARNING the cluster: automation is paused until it is taken away: site test",
            "WARNING service redis-server: automation is paused until 2000-02-29T00:00:00Z: site test",
        ];
        assert_eq!(told(&pauses(&state, Timestamp(5))), wanted);
    }
}
