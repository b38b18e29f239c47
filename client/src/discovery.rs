//! Reads: services, their instances, who is primary.

use crate::{
    Error,
    call::{self, Plan, Repeat, Route},
    servers::Server,
    shared::Shared,
};
use std::{sync::Arc, time::Duration};
use tenure_core::{
    Assignment, Filter, Instance, Millis, Node, NodeRef, Record, Revision, ServerId, Service,
    ServiceName,
};
use tenure_proto::{ParseError, filter_to_wire, v1};
use tonic::Status;

/// How current an answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consistency {
    /// It shows everything that was committed before the call.
    #[default]
    Linearizable,
    /// It may show the answering server's own state, if that is at most so old. Needs no leader.
    Local {
        /// Greatest age.
        max_age: Duration,
    },
}

impl Consistency {
    /// Whatever the answering server has, however old.
    pub const ANY_AGE: Self = Self::Local {
        max_age: Duration::MAX,
    };

    pub(crate) fn to_wire(self) -> Option<v1::Consistency> {
        match self {
            Self::Linearizable => None,
            Self::Local { max_age } => Some(v1::Consistency {
                local_max_age_ms: Some(u64::try_from(max_age.as_millis()).unwrap_or(u64::MAX)),
            }),
        }
    }
}

/// What every answer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The revision that the answer shows.
    pub revision: Revision,
    /// How old it may be: everything that was committed so long ago is in it.
    pub age: Millis,
    /// Who answered.
    pub server: ServerId,
}

impl Header {
    pub(crate) fn from_wire(wire: Option<v1::Header>) -> Result<Self, Error> {
        let wire = wire.ok_or_else(|| Error::unreadable("it has no header"))?;
        Ok(Self {
            revision: Revision(wire.revision),
            age: Millis(wire.age_ms),
            server: ServerId(wire.server),
        })
    }
}

/// Everything about one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// Which state this is.
    pub header: Header,
    /// The service and its policy.
    pub service: Service,
    /// Who is primary; None for services without one by their kind.
    pub assignment: Option<Assignment>,
    /// All its instances, with what they last said of themselves.
    pub instances: Vec<Instance>,
    /// Their nodes.
    pub nodes: Vec<Node>,
}

impl Resolved {
    /// The instance that was decided to be primary, if there is one.
    #[must_use]
    pub fn primary(&self) -> Option<&Instance> {
        let member = self.assignment.as_ref()?.primary?;
        self.instances
            .iter()
            .find(|instance| instance.node == member.node)
    }
}

/// Records at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which state this is.
    pub header: Header,
    /// The records in key order.
    pub records: Vec<Record>,
}

/// Reads. Get it by [`Client::discovery`](crate::Client::discovery).
#[derive(Clone)]
pub struct Discovery {
    shared: Arc<Shared>,
}

pub(crate) fn read_plan(shared: &Shared, consistency: Consistency) -> Plan {
    let route = match consistency {
        Consistency::Linearizable if !shared.options.spread_reads => Route::Read,
        Consistency::Linearizable | Consistency::Local { .. } => Route::Any,
    };
    Plan {
        route,
        repeat: Repeat::Harmless,
        deadline: shared.until(shared.options.deadline),
        attempt: shared.options.attempt,
    }
}

pub(crate) fn parsed<W, T: TryFrom<W, Error = ParseError>>(
    field: &str,
    wire: Option<W>,
) -> Result<T, Error> {
    let wire = wire.ok_or_else(|| Error::unreadable(ParseError::new(field, "is missing")))?;
    T::try_from(wire).map_err(|why| Error::unreadable(why.within(field)))
}

pub(crate) fn all_parsed<W, T: TryFrom<W, Error = ParseError>>(
    field: &str,
    wire: Vec<W>,
) -> Result<Vec<T>, Error> {
    let all: Result<_, ParseError> = wire.into_iter().map(T::try_from).collect();
    all.map_err(|why| Error::unreadable(why.within(field)))
}

impl Discovery {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Everything about one service.
    ///
    /// # Errors
    /// [`Error::Refused`] with `NotFound` when there is no such service, with `TooStale` when no
    /// server is fresh enough; [`Error::Deadline`] or [`Error::Unreachable`] when no server answered.
    /// A retry is always safe.
    pub async fn resolve(
        &self,
        service: &ServiceName,
        consistency: Consistency,
    ) -> Result<Resolved, Error> {
        let plan = read_plan(&self.shared, consistency);
        let send = |server: Arc<Server>| {
            let request = v1::ResolveRequest {
                service: service.as_str().to_owned(),
                consistency: consistency.to_wire(),
            };
            async move { server.discovery().resolve(request).await }
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        let assignment = match wire.assignment {
            Some(assignment) => Some(parsed("assignment", Some(assignment))?),
            None => None,
        };
        Ok(Resolved {
            header: Header::from_wire(wire.header)?,
            service: parsed("service", wire.service)?,
            assignment,
            instances: all_parsed("instances", wire.instances)?,
            nodes: all_parsed("nodes", wire.nodes)?,
        })
    }

    /// One instance, and which state it is from.
    ///
    /// # Errors
    /// As for [`Discovery::resolve`].
    pub async fn instance(
        &self,
        service: &ServiceName,
        node: &NodeRef,
        consistency: Consistency,
    ) -> Result<(Header, Instance), Error> {
        let plan = read_plan(&self.shared, consistency);
        let send = |server: Arc<Server>| {
            let request = v1::GetInstanceRequest {
                service: service.as_str().to_owned(),
                node: Some(node.into()),
                consistency: consistency.to_wire(),
            };
            async move { server.discovery().get_instance(request).await }
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let wire = answer.map_err(|failure| failure.error)?.into_inner();
        Ok((
            Header::from_wire(wire.header)?,
            parsed("instance", wire.instance)?,
        ))
    }

    /// The records that a filter wants, all of one revision.
    ///
    /// # Errors
    /// As for [`Discovery::resolve`], but without `NotFound`.
    pub async fn list(&self, filter: &Filter, consistency: Consistency) -> Result<Listed, Error> {
        let (kinds, services) = filter_to_wire(filter);
        let request = v1::ListRequest {
            kinds,
            services,
            consistency: consistency.to_wire(),
        };
        let patience = self.shared.options.attempt;
        let plan = Plan {
            attempt: self.shared.options.deadline,
            ..read_plan(&self.shared, consistency)
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move { list_at(&server, request, patience).await }
        };
        let answer = call::call(&self.shared, &plan, send).await;
        let (header, records) = answer.map_err(|failure| failure.error)?;
        let known = records.into_iter().filter(|record| record.kind.is_some());
        Ok(Listed {
            header: Header::from_wire(header)?,
            records: all_parsed("records", known.collect())?,
        })
    }
}

/// All parts of a list, each of which may take so long.
async fn list_at(
    server: &Arc<Server>,
    request: v1::ListRequest,
    patience: Duration,
) -> Result<(Option<v1::Header>, Vec<v1::Record>), Status> {
    let silent = |_| {
        server.avoid(true);
        Status::deadline_exceeded(format!("server {} does not answer", server.api()))
    };
    let mut client = server.discovery();
    let answer = tokio::time::timeout(patience, client.list(request)).await;
    let mut parts = answer.map_err(silent)??.into_inner();
    let (mut header, mut records) = (None, Vec::new());
    while let Some(part) = tokio::time::timeout(patience, parts.message())
        .await
        .map_err(silent)??
    {
        header = part.header.or(header);
        records.extend(part.records);
    }
    Ok((header, records))
}
