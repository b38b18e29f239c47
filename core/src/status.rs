//! Status: what is wrong with a state, as findings with a severity that monitoring understands.

use crate::{
    Assignment, CopiesPolicy, Health, Instance, Lifecycle, Policy, PrimaryPolicy, Service, State,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How bad a finding is, in the order of monitoring plug-ins: 0, 1, 2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is wrong.
    Ok,
    /// Somebody should look at it.
    Warning,
    /// Somebody must act.
    Critical,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        })
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How bad.
    pub severity: Severity,
    /// What it is about, such as `service redis-server`.
    pub subject: String,
    /// What is wrong, as a sentence.
    pub what: String,
}

impl State {
    /// How an instance is, as far as is known: what it said in an earlier life of its node says
    /// nothing about this one.
    #[must_use]
    pub fn health(&self, instance: &Instance) -> Health {
        match self.nodes().get(&instance.node) {
            Some(node) if node.incarnation == instance.reported_in => instance.report.health,
            Some(_) | None => Health::Unknown,
        }
    }

    /// Everything that is wrong with the services and nodes, most severe first.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for service in self.services().values() {
            let mut note = |severity, what: String| {
                let subject = format!("service {}", service.name);
                found.push(Finding {
                    severity,
                    subject,
                    what,
                });
            };
            self.assess(service, &mut note);
        }
        for node in self.nodes().values() {
            if matches!(node.lifecycle, Lifecycle::Draining | Lifecycle::Maintenance) {
                found.push(Finding {
                    severity: Severity::Warning,
                    subject: format!("node {}", node.name),
                    what: if node.reason.as_str().is_empty() {
                        format!("is {}", node.lifecycle)
                    } else {
                        format!("is {} ({})", node.lifecycle, node.reason)
                    },
                });
            }
        }
        found.sort_by(|a, b| b.severity.cmp(&a.severity).then(a.subject.cmp(&b.subject)));
        found
    }

    fn assess(&self, service: &Service, note: &mut impl FnMut(Severity, String)) {
        let healths: Vec<Health> = self
            .instances(&service.name)
            .map(|instance| self.health(instance))
            .collect();
        let serving = healths.iter().filter(|health| health.serves()).count();
        let failing = healths
            .iter()
            .filter(|health| **health == Health::Failing)
            .count();
        if failing > 0 {
            note(Severity::Warning, format!("{failing} instance(s) failing"));
        }
        match &service.policy {
            Policy::Primary(policy) => match self.assignment(&service.name) {
                Some(assignment) => self.assess_primary(policy, assignment, note),
                None => note(Severity::Critical, "has no assignment".to_owned()),
            },
            Policy::Peers(policy) => {
                let least = usize::try_from(policy.healthy_min).unwrap_or(usize::MAX);
                if serving < least {
                    note(
                        Severity::Critical,
                        format!("{serving} healthy peer(s) of {least} needed"),
                    );
                }
            }
            Policy::Copies(policy) => assess_copies(policy, serving, note),
        }
    }

    fn assess_primary(
        &self,
        policy: &PrimaryPolicy,
        assignment: &Assignment,
        note: &mut impl FnMut(Severity, String),
    ) {
        let Some(primary) = assignment.primary else {
            note(Severity::Critical, "has no primary".to_owned());
            return;
        };
        let health = self
            .instance(&assignment.service, primary.node)
            .map_or(Health::Unknown, |instance| self.health(instance));
        if !health.serves() {
            note(
                Severity::Critical,
                format!("its primary, node {}, is {health}", primary.node),
            );
        }
        let node = self.nodes().get(&primary.node);
        if let Some(node) = node.filter(|node| node.incarnation != primary.incarnation) {
            note(
                Severity::Warning,
                format!(
                    "its primary, node {}, was assigned in incarnation {} and is in {}",
                    primary.node, primary.incarnation, node.incarnation
                ),
            );
        }
        let replicas = assignment.in_sync.len().saturating_sub(1);
        let wanted = usize::try_from(policy.replicas).unwrap_or(usize::MAX);
        if replicas < wanted {
            note(
                Severity::Warning,
                format!("{replicas} replica(s) in sync of {wanted} wanted"),
            );
        }
    }
}

fn assess_copies(policy: &CopiesPolicy, serving: usize, note: &mut impl FnMut(Severity, String)) {
    let copies = usize::try_from(policy.copies).unwrap_or(usize::MAX);
    let least = usize::try_from(policy.write_min).unwrap_or(usize::MAX);
    if serving < least {
        note(
            Severity::Critical,
            format!("{serving} healthy store(s), a write needs {least}"),
        );
    } else if serving < copies {
        note(
            Severity::Warning,
            format!("{serving} healthy store(s) for {copies} copies"),
        );
    }
}
