//! Moving primaries, why the leader does or does not, and how it decides by itself.

use super::Admin;
use crate::{
    Consistency, Error, Header,
    call::{self, Failure, Plan, Repeat, Route},
    discovery::{all_parsed, parsed, read_plan},
    servers::Server,
};
use std::sync::Arc;
use tenure_core::{
    Automation, Command, Done, Epoch, Filter, NodeId, NodeRef, Note, Pause, Receipt, Record,
    RecordKind, Revision, Scope, ServiceName, Timestamp,
    controller::{Explanation, Forecast},
};
use tenure_proto::v1;
use tonic::Response;

/// A primary was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedPrimary {
    /// Where to.
    pub node: NodeId,
    /// The epoch that began with it.
    pub epoch: Epoch,
    /// What it rested on, and when each step was done. None when the new primary has not confirmed in
    /// time: the change is committed, and is seen through.
    pub receipt: Option<Receipt>,
}

/// How a primary that does not work is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailoverOptions {
    /// Where to; the leader chooses when nobody is named.
    pub to: Option<NodeRef>,
    /// Acknowledged writes may be lost, as far as the policy allows any loss.
    pub accept_loss: bool,
    /// The caller vouches that the old primary takes no more writes.
    pub fenced: bool,
    /// Why, for the history.
    pub reason: Note,
}

impl Admin {
    /// Moves a primary that works, without losing a write; None lets the leader choose where to.
    /// Answers when the new primary has confirmed, or the old one goes on.
    ///
    /// # Errors
    /// [`Error::held`] says why the leader decided not to, or took it back.
    /// [`Error::OutcomeUnknown`] when no answer came: look at [`Admin::receipts`] before doing it again.
    /// After all others nothing happened, and [`Error::is_retryable`] says whether a retry may help.
    pub async fn switchover(
        &self,
        service: &ServiceName,
        to: Option<NodeRef>,
        reason: Note,
    ) -> Result<MovedPrimary, Error> {
        let request = v1::SwitchoverRequest {
            service: service.as_str().to_owned(),
            to: to.as_ref().map(Into::into),
            reason: reason.as_str().to_owned(),
            actor: self.shared.options.actor.clone(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.admin().switchover(request).await }
        };
        moved(call::call(&self.shared, &self.change(), send).await)
    }

    /// Replaces a primary that does not work. Answers when the new one has confirmed.
    ///
    /// # Errors
    /// As for [`Admin::switchover`].
    pub async fn failover(
        &self,
        service: &ServiceName,
        options: FailoverOptions,
    ) -> Result<MovedPrimary, Error> {
        let request = v1::FailoverRequest {
            service: service.as_str().to_owned(),
            to: options.to.as_ref().map(Into::into),
            accept_loss: options.accept_loss,
            fenced: options.fenced,
            reason: options.reason.as_str().to_owned(),
            actor: self.shared.options.actor.clone(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.admin().failover(request).await }
        };
        moved(call::call(&self.shared, &self.change(), send).await)
    }

    /// Why the leader does what it does about a service, or does nothing.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such service; otherwise as for
    /// [`Admin::status`], but a leader is needed. A retry is safe.
    pub async fn explain(&self, service: &ServiceName) -> Result<(Header, Explanation), Error> {
        let send = |server: Arc<Server>| {
            let service = service.as_str().to_owned();
            async move { server.admin().explain(v1::ExplainRequest { service }).await }
        };
        let answer = call::call(&self.shared, &self.question(), send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let header = Header::from_wire(wire.header)?;
        Ok((header, parsed("explanation", Some(wire))?))
    }

    /// What the leader would decide if a node were lost now, for each service that it would concern,
    /// by the function that decides.
    ///
    /// # Errors
    /// As for [`Admin::explain`].
    pub async fn what_if_lost(&self, node: &NodeRef) -> Result<(Header, Vec<Forecast>), Error> {
        let send = |server: Arc<Server>| {
            let lost = Some(node.into());
            async move { server.admin().what_if(v1::WhatIfRequest { lost }).await }
        };
        let answer = call::call(&self.shared, &self.question(), send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let header = Header::from_wire(wire.header)?;
        Ok((header, all_parsed("forecasts", wire.forecasts)?))
    }

    /// What the latest changes of primary rested on, newest first: of one service, or of all; at most
    /// so many, 0 for 20.
    ///
    /// # Errors
    /// As for [`Admin::status`].
    pub async fn receipts(
        &self,
        service: Option<&ServiceName>,
        limit: u32,
    ) -> Result<(Header, Vec<Receipt>), Error> {
        let request = v1::ReceiptsRequest {
            service: service.map_or_else(String::new, |name| name.as_str().to_owned()),
            limit,
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { server.admin().receipts(request).await }
        };
        let plan = read_plan(&self.shared, Consistency::Linearizable);
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let header = Header::from_wire(wire.header)?;
        Ok((header, all_parsed("receipts", wire.receipts)?))
    }

    /// How the cluster decides by itself. The defaults, changed at revision 0, until somebody has set
    /// anything.
    ///
    /// # Errors
    /// As for [`Discovery::list`](crate::Discovery::list).
    pub async fn automation(&self, consistency: Consistency) -> Result<Automation, Error> {
        let records = self.records_of(RecordKind::Automation, consistency).await?;
        let set = records.into_iter().find_map(|record| match record {
            Record::Automation(set) => Some(*set),
            Record::Settings(_)
            | Record::Server(_)
            | Record::Node(_)
            | Record::Service(_)
            | Record::Assignment(_)
            | Record::Instance(_)
            | Record::Pin(_)
            | Record::History(_)
            | Record::Client(_)
            | Record::Pause(_)
            | Record::Receipt(_)
            | Record::Store(_)
            | Record::Rebalance(_)
            | Record::Item(_) => None,
        });
        Ok(set.unwrap_or_default())
    }

    /// Changes how the cluster decides by itself. `expected` is the `modified` of what it replaces.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `Invalid` and a sentence when settings contradict one
    /// another, with `Changed` when somebody was faster.
    pub async fn set_automation(
        &self,
        expected: Revision,
        automation: Automation,
    ) -> Result<Done, Error> {
        self.execute(Command::SetAutomation {
            expected,
            automation,
        })
        .await
    }

    /// The pauses that there are, in the order of what they are for.
    ///
    /// # Errors
    /// As for [`Discovery::list`](crate::Discovery::list).
    pub async fn pauses(&self, consistency: Consistency) -> Result<Vec<Arc<Pause>>, Error> {
        let records = self.records_of(RecordKind::Pause, consistency).await?;
        let pause = |record: Record| match record {
            Record::Pause(pause) => Some(pause),
            Record::Settings(_)
            | Record::Server(_)
            | Record::Node(_)
            | Record::Service(_)
            | Record::Assignment(_)
            | Record::Instance(_)
            | Record::Pin(_)
            | Record::History(_)
            | Record::Client(_)
            | Record::Automation(_)
            | Record::Receipt(_)
            | Record::Store(_)
            | Record::Rebalance(_)
            | Record::Item(_) => None,
        };
        Ok(records.into_iter().filter_map(pause).collect())
    }

    /// Lets nothing automatic happen for a service, a node, or at all. `expected` is the `modified` of
    /// the pause to replace; None when there is none.
    ///
    /// # Errors
    /// As for [`Admin::execute`].
    pub async fn pause(
        &self,
        scope: Scope,
        expected: Option<Revision>,
        until: Option<Timestamp>,
        reason: Note,
    ) -> Result<Done, Error> {
        self.execute(Command::SetPause {
            scope,
            expected,
            until,
            reason,
        })
        .await
    }

    /// Takes a pause away. `expected` is the pause's `modified`.
    ///
    /// # Errors
    /// As for [`Admin::execute`].
    pub async fn resume(&self, scope: Scope, expected: Revision) -> Result<Done, Error> {
        self.execute(Command::RemovePause { scope, expected }).await
    }

    /// Takes note of the change of primary that began an epoch: automatic failovers of the service are
    /// allowed again. Repeating it changes nothing.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected when there is no such receipt (any more).
    pub async fn acknowledge(&self, service: ServiceName, epoch: Epoch) -> Result<Done, Error> {
        self.execute(Command::Acknowledge { service, epoch }).await
    }

    async fn records_of(
        &self,
        kind: RecordKind,
        consistency: Consistency,
    ) -> Result<Vec<Record>, Error> {
        let filter = Filter {
            kinds: [kind].into(),
            ..Filter::default()
        };
        let discovery = crate::Discovery::new(self.shared.clone());
        Ok(discovery.list(&filter, consistency).await?.records)
    }

    /// A question that only the leader can answer.
    fn question(&self) -> Plan {
        Plan {
            route: Route::Leader,
            repeat: Repeat::Harmless,
            deadline: self.shared.until(self.shared.options.deadline),
            attempt: self.shared.options.attempt,
        }
    }
}

fn moved(answer: Result<Response<v1::MovedResponse>, Failure>) -> Result<MovedPrimary, Error> {
    let wire = answer.map_err(|failure| failure.error)?.into_inner();
    let receipt = match wire.receipt {
        Some(receipt) => Some(parsed("receipt", Some(receipt))?),
        None => None,
    };
    Ok(MovedPrimary {
        node: NodeId(wire.node),
        epoch: Epoch(wire.epoch),
        receipt,
    })
}
