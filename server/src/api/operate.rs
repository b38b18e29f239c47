//! What operators ask of the leader: to move primaries, and why it does or does not; and receipts.

use super::{read::Reads, refusal};
use crate::consensus::Consensus;
use crate::control::{Control, Unanswered};
use std::{sync::Arc, time::Duration};
use tenure_core::{
    Epoch, NodeRef, Phase, Receipt, ServiceName, State,
    controller::{Moved, Wish},
};
use tenure_proto::v1;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

/// Beside what the cluster's own settings allow a change of primary: for proposals, and a survey or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the new primary may take to confirm before the answer comes without its receipt.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(5);
/// Receipts in an answer when the caller names no limit, and at the most.
const RECEIPTS_DEFAULT: usize = 20;
const RECEIPTS_MAX: usize = 10_000;

/// The way to the controller, for those handlers that ask it.
pub(super) struct Desk {
    consensus: Consensus,
    control: Control,
    reads: Reads,
}

/// A reason with whoever gave it, as the history and the receipt show it.
fn said(actor: &str, reason: String) -> String {
    match (actor.is_empty(), reason.is_empty()) {
        (true, _) => reason,
        (false, true) => format!("asked for by {actor}"),
        (false, false) => format!("{actor}: {reason}"),
    }
}

impl Desk {
    pub(super) fn new(consensus: Consensus, control: Control, reads: Reads) -> Self {
        Self {
            consensus,
            control,
            reads,
        }
    }

    pub(super) async fn switchover(
        &self,
        request: v1::SwitchoverRequest,
    ) -> Result<v1::MovedResponse, Status> {
        let reason = said(&request.actor, request.reason);
        let wish = Wish::try_from(v1::SwitchoverRequest { reason, ..request });
        self.wish(wish.map_err(refusal::invalid)?).await
    }

    pub(super) async fn failover(
        &self,
        request: v1::FailoverRequest,
    ) -> Result<v1::MovedResponse, Status> {
        let reason = said(&request.actor, request.reason);
        let wish = Wish::try_from(v1::FailoverRequest { reason, ..request });
        self.wish(wish.map_err(refusal::invalid)?).await
    }

    async fn wish(&self, wish: Wish) -> Result<v1::MovedResponse, Status> {
        let service = wish.service().clone();
        let reader = self.consensus.reader();
        let allowed = reader.read(|state| {
            let automation = state.automation();
            let lease = automation.longest_lease();
            let lease = lease.plus(lease);
            lease.plus(automation.survey).plus(automation.switchover)
        });
        let within = PATIENCE + Duration::from_millis(allowed.0);
        let answer = self.control.ask(wish, within).await;
        let answer = answer.map_err(|why| self.unanswered(why))?;
        let Moved { to, epoch } = answer.map_err(|hold| refusal::held(&hold))?;
        let receipt = self.confirmed(&service, epoch).await;
        Ok(v1::MovedResponse {
            node: to.0,
            epoch: epoch.0,
            receipt: receipt.map(|receipt| receipt.as_ref().into()),
        })
    }

    /// The receipt of a change of primary, once the new one has confirmed.
    async fn confirmed(&self, service: &ServiceName, epoch: Epoch) -> Option<Arc<Receipt>> {
        let reader = self.consensus.reader();
        let until = Instant::now() + CONFIRMED_WITHIN;
        let mut progress = reader.progress();
        loop {
            let receipt = reader.read(|state| state.receipt(service, epoch).cloned());
            let complete =
                |receipt: &Arc<Receipt>| receipt.account.timeline.contains_key(&Phase::Confirmed);
            if let Some(receipt) = receipt.filter(complete) {
                return Some(receipt);
            }
            timeout_at(until, progress.changed()).await.ok()?.ok()?;
        }
    }

    pub(super) async fn explain(
        &self,
        request: v1::ExplainRequest,
    ) -> Result<v1::ExplainResponse, Status> {
        let service = service_name(&request.service)?;
        self.check_leads()?;
        let known = |state: &State| state.services().contains_key(&service);
        let (_, known) = self.reads.read(None, known).await?;
        if !known {
            return Err(refusal::not_found(format!("service {service}")));
        }
        let seen = self.control.explain(service).await;
        let (revision, explanation) = seen.map_err(|why| self.unanswered(why))?;
        Ok(v1::ExplainResponse {
            header: Some(self.reads.header(revision.0, Duration::ZERO)),
            ..(&explanation).into()
        })
    }

    pub(super) async fn what_if(
        &self,
        request: v1::WhatIfRequest,
    ) -> Result<v1::WhatIfResponse, Status> {
        let lost = request.lost;
        let lost = lost.ok_or_else(|| refusal::invalid("lost: is missing"))?;
        let lost =
            NodeRef::try_from(lost).map_err(|error| refusal::invalid(error.within("lost")))?;
        self.check_leads()?;
        let find = |state: &State| state.find_node(&lost).map(|node| node.id);
        let (_, found) = self.reads.read(None, find).await?;
        let node = found.ok_or_else(|| refusal::not_found(format!("node {lost}")))?;
        let seen = self.control.what_if_lost(node).await;
        let (revision, forecasts) = seen.map_err(|why| self.unanswered(why))?;
        Ok(v1::WhatIfResponse {
            header: Some(self.reads.header(revision.0, Duration::ZERO)),
            forecasts: forecasts.iter().map(Into::into).collect(),
        })
    }

    pub(super) async fn receipts(
        &self,
        request: v1::ReceiptsRequest,
    ) -> Result<v1::ReceiptsResponse, Status> {
        let service = match request.service.as_str() {
            "" => None,
            name => Some(service_name(name)?),
        };
        let limit = match usize::try_from(request.limit).unwrap_or(RECEIPTS_MAX) {
            0 => RECEIPTS_DEFAULT,
            some => some.min(RECEIPTS_MAX),
        };
        let latest = |state: &State| latest(state, service.as_ref(), limit);
        let (header, receipts) = self.reads.read(None, latest).await?;
        Ok(v1::ReceiptsResponse {
            header: Some(header),
            receipts: receipts
                .iter()
                .map(|receipt| receipt.as_ref().into())
                .collect(),
        })
    }

    fn check_leads(&self) -> Result<(), Status> {
        if self.consensus.leads() {
            return Ok(());
        }
        Err(self.unanswered(Unanswered::NotLeading))
    }

    fn unanswered(&self, why: Unanswered) -> Status {
        let own = self.consensus.id();
        let leader = self.consensus.leader().filter(|leader| leader.id != own);
        refusal::unanswered(why, leader)
    }
}

fn service_name(text: &str) -> Result<ServiceName, Status> {
    ServiceName::new(text).map_err(|why| refusal::invalid(format!("service: {why}")))
}

/// Receipts of one service or of all, newest first: by the wall clocks of the leaders that wrote them,
/// and within a service by epoch.
fn latest(state: &State, service: Option<&ServiceName>, limit: usize) -> Vec<Arc<Receipt>> {
    let newest = |name| state.receipts(name).rev().take(limit).cloned();
    let mut receipts: Vec<Arc<Receipt>> = match service {
        Some(name) => newest(name).collect(),
        None => state.services().keys().flat_map(newest).collect(),
    };
    if service.is_none() {
        receipts.sort_by_key(|receipt| std::cmp::Reverse((receipt.stamp, receipt.epoch)));
    }
    receipts.truncate(limit);
    receipts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_who_gave_it() {
        let all = [("", "why"), ("ada", ""), ("ada", "why"), ("", "")];
        let all = all.map(|(actor, reason)| said(actor, reason.to_owned()));
        assert_eq!(all, ["why", "asked for by ada", "ada: why", ""]);
    }
}
