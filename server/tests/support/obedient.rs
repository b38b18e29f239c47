//! A member with one instance that does at once what it is told, in memory alone.
#![allow(dead_code, missing_docs)]

use super::member::Member;
use std::time::Duration;
use tenure_proto::v1::{self, directive::Wanted, standing};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What became of the instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Runs,
    Exited,
}

/// Says and obeys until the sender is dropped.
pub fn obey(member: Member, service: &str) -> (watch::Sender<Fate>, JoinHandle<()>) {
    let (fate, fated) = watch::channel(Fate::Runs);
    let instance = Instance {
        service: service.to_owned(),
        epoch: 0,
        wanted: None,
        survey: None,
        latest: (0, 0),
    };
    (fate, tokio::spawn(instance.run(member, fated)))
}

struct Instance {
    service: String,
    epoch: u64,
    wanted: Option<Wanted>,
    survey: Option<u64>,
    latest: (u64, u64),
}

impl Instance {
    async fn run(mut self, mut member: Member, fated: watch::Receiver<Fate>) {
        while fated.has_changed().is_ok() {
            let fate = *fated.borrow();
            member.signs = vec![self.sign(fate)];
            member.beat().await;
            for (_, grant) in member.heard_within(Duration::from_millis(20)).await {
                self.take(grant);
            }
        }
    }

    fn take(&mut self, grant: v1::Grant) {
        let number = (grant.term, grant.number);
        if number <= self.latest {
            return;
        }
        self.latest = number;
        let mut directives = grant.directives.into_iter();
        if let Some(directive) = directives.find(|one| one.service == self.service) {
            self.epoch = directive.epoch;
            self.survey = directive.survey;
            let holds = matches!(directive.wanted, Some(Wanted::Primary(_)));
            self.wanted = directive.wanted.filter(|_| !holds || grant.lease_ms > 0);
        }
    }

    fn sign(&self, fate: Fate) -> v1::Sign {
        let wanted = self.wanted.as_ref().filter(|_| fate == Fate::Runs);
        let (standing, role) = match wanted {
            Some(Wanted::Primary(_)) => (standing::Kind::Primary(self.epoch), v1::Role::Primary),
            Some(Wanted::Replica(_)) => (standing::Kind::Idle(self.epoch), v1::Role::Replica),
            _ => (standing::Kind::Idle(self.epoch), v1::Role::Unspecified),
        };
        let permits = match wanted {
            Some(Wanted::Primary(primary)) => primary.members.iter().map(|it| it.node).collect(),
            _ => Vec::new(),
        };
        let position = v1::Position {
            history: "h".into(),
            offset: 10,
        };
        let (presence, health) = match fate {
            Fate::Runs => (v1::Presence::Running, v1::Health::Healthy),
            Fate::Exited => (v1::Presence::Exited, v1::Health::Failing),
        };
        let epoch = if role == v1::Role::Unspecified {
            0
        } else {
            self.epoch
        };
        v1::Sign {
            service: self.service.clone(),
            report: Some(v1::Report {
                health: health.into(),
                role: role.into(),
                epoch,
                position: Some(position.clone()),
                ..v1::Report::default()
            }),
            presence: presence.into(),
            standing: Some(v1::Standing {
                kind: Some(standing),
            }),
            permits,
            linked: role == v1::Role::Replica,
            whole: true,
            surveyed: self.survey.map(|ballot| v1::Surveyed {
                ballot,
                position: Some(position),
                pledged_ms: 0,
            }),
            ..v1::Sign::default()
        }
    }
}
