//! The usual commands by name. Everything else goes through [`Admin::execute`].

use super::Admin;
use crate::Error;
use tenure_core::{
    Attributes, Command, Created, Done, Endpoint, Epoch, Lifecycle, Member, NodeId, NodeName,
    NodeRef, Note, PinKind, Policy, Report, Revision, ServiceName, Timestamp, Zone,
};

impl Admin {
    /// Adds a node of the usual weight, and gives its id.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `AlreadyExists` when a present node has the name.
    pub async fn add_node(&self, name: NodeName, zone: Option<Zone>) -> Result<NodeId, Error> {
        let labels = Attributes::default();
        let done = self
            .execute(Command::AddNode {
                name,
                zone,
                labels,
                weight: 100,
            })
            .await?;
        match done.created {
            Some(Created::Node(id)) => Ok(id),
            Some(Created::Client(_) | Created::Epoch(_)) | None => {
                Err(Error::unreadable("it names no node"))
            }
        }
    }

    /// Moves a node along its lifecycle. `expected` is the node's `modified`.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `TransitionNotAllowed` or `Changed`.
    pub async fn set_lifecycle(
        &self,
        node: NodeRef,
        expected: Revision,
        to: Lifecycle,
        reason: Note,
    ) -> Result<Done, Error> {
        self.execute(Command::SetLifecycle {
            node,
            expected,
            to,
            reason,
            accept_loss: false,
        })
        .await
    }

    /// Removes a node for good. `expected` is the node's `modified`.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected while the node has instances.
    pub async fn remove_node(
        &self,
        node: NodeRef,
        expected: Revision,
        reason: Note,
    ) -> Result<Done, Error> {
        self.execute(Command::RemoveNode {
            node,
            expected,
            reason,
        })
        .await
    }

    /// Adds a service.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `AlreadyExists` when the name is in use.
    pub async fn add_service(&self, name: ServiceName, policy: Policy) -> Result<Done, Error> {
        self.execute(Command::AddService { name, policy }).await
    }

    /// Adds an instance of a service on a node, of the usual preference.
    ///
    /// # Errors
    /// As for [`Admin::execute`].
    pub async fn add_instance(
        &self,
        service: ServiceName,
        node: NodeRef,
        endpoint: Endpoint,
    ) -> Result<Done, Error> {
        self.execute(Command::AddInstance {
            service,
            node,
            endpoint,
            preference: 100,
        })
        .await
    }

    /// Reports what an instance says of itself, in place of what it said before.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `WrongIncarnation` when the node has begun another life.
    pub async fn report(
        &self,
        service: ServiceName,
        member: Member,
        report: Report,
    ) -> Result<Done, Error> {
        self.execute(Command::ReportInstance {
            service,
            member,
            expected: None,
            report,
        })
        .await
    }

    /// Changes the primary of a service by hand, and gives the new epoch. `succeeds` is the epoch
    /// that the change was decided on.
    ///
    /// # Errors
    /// As for [`Admin::execute`]; rejected with `WrongEpoch` when somebody was faster, with
    /// `NotInSync` when acknowledged writes could be lost and `accept_loss` is false, with
    /// `KeptByAgents` where agents keep the service and it has a primary.
    pub async fn set_primary(
        &self,
        service: ServiceName,
        to: NodeRef,
        succeeds: Epoch,
        accept_loss: bool,
        reason: Note,
    ) -> Result<Epoch, Error> {
        let command = Command::SetPrimary {
            service,
            to,
            succeeds,
            accept_loss,
            reason,
        };
        match self.execute(command).await?.created {
            Some(Created::Epoch(epoch)) => Ok(epoch),
            Some(Created::Client(_) | Created::Node(_)) | None => {
                Err(Error::unreadable("it names no epoch"))
            }
        }
    }

    /// Pins a node. `expected` is the `modified` of the pin to replace; None when there is none.
    ///
    /// # Errors
    /// As for [`Admin::execute`].
    pub async fn set_pin(
        &self,
        node: NodeRef,
        expected: Option<Revision>,
        kind: PinKind,
        until: Option<Timestamp>,
        reason: Note,
    ) -> Result<Done, Error> {
        self.execute(Command::SetPin {
            node,
            expected,
            kind,
            until,
            reason,
        })
        .await
    }

    /// Takes a node's pin away. `expected` is the pin's `modified`.
    ///
    /// # Errors
    /// As for [`Admin::execute`].
    pub async fn remove_pin(&self, node: NodeRef, expected: Revision) -> Result<Done, Error> {
        self.execute(Command::RemovePin { node, expected }).await
    }
}
