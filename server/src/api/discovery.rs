//! Discovery: who holds which role.

use super::{portion::fill, read::Reads, refusal, watch};
use crate::consensus::Consensus;
use futures::{Stream, stream};
use std::{pin::Pin, sync::Arc};
use tenure_core::{NodeRef, Record, ServiceName, State};
use tenure_proto::{parse_filter, v1};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status};

/// How many lists are answered at a time: each holds on to what it saw until it is sent.
const LISTS_AT_ONCE: usize = 64;

pub(super) struct Service {
    consensus: Consensus,
    reads: Reads,
    lists: Arc<Semaphore>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Service {
    pub(super) fn new(consensus: Consensus, reads: Reads) -> Self {
        Self {
            consensus,
            reads,
            lists: Arc::new(Semaphore::new(LISTS_AT_ONCE)),
        }
    }
}

fn service_name(text: &str) -> Result<ServiceName, Status> {
    ServiceName::new(text).map_err(|why| refusal::invalid(format!("service: {why}")))
}

fn resolve(state: &State, name: &ServiceName) -> Option<v1::ResolveResponse> {
    let service = state.services().get(name)?;
    let instances = || state.instances(name);
    let nodes = instances().filter_map(|instance| state.nodes().get(&instance.node));
    Some(v1::ResolveResponse {
        header: None,
        service: Some(service.as_ref().into()),
        assignment: state
            .assignment(name)
            .map(|assignment| assignment.as_ref().into()),
        instances: instances()
            .map(|instance| instance.as_ref().into())
            .collect(),
        nodes: nodes.map(|node| node.as_ref().into()).collect(),
    })
}

#[tonic::async_trait]
impl v1::discovery_server::Discovery for Service {
    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let request = request.into_inner();
        let name = service_name(&request.service)?;
        let (header, found) = self
            .reads
            .read(request.consistency, |state| resolve(state, &name))
            .await?;
        let found = found.ok_or_else(|| refusal::not_found(format!("service {name}")))?;
        Ok(Response::new(v1::ResolveResponse {
            header: Some(header),
            ..found
        }))
    }

    async fn get_instance(
        &self,
        request: Request<v1::GetInstanceRequest>,
    ) -> Result<Response<v1::GetInstanceResponse>, Status> {
        let request = request.into_inner();
        let name = service_name(&request.service)?;
        let node = request
            .node
            .ok_or_else(|| refusal::invalid("node: is missing"))?;
        let node = NodeRef::try_from(node).map_err(refusal::invalid)?;
        let (header, found) = self
            .reads
            .read(request.consistency, |state| {
                let node = state.find_node(&node)?;
                state.instance(&name, node.id).cloned()
            })
            .await?;
        let missing = || refusal::not_found(format!("{name} on node {node}"));
        let instance = found.ok_or_else(missing)?;
        let instance = Some(instance.as_ref().into());
        Ok(Response::new(v1::GetInstanceResponse {
            header: Some(header),
            instance,
        }))
    }

    type ListStream = Answers<v1::ListResponse>;

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let request = request.into_inner();
        let filter = parse_filter(&request.kinds, &request.services).map_err(refusal::invalid)?;
        let permit = self.lists.clone().try_acquire_owned();
        let permit = permit.map_err(|_| refusal::overloaded("too many lists at a time"))?;
        let all = |state: &State| state.page(&filter, None, usize::MAX);
        let (header, records) = self.reads.read(request.consistency, all).await?;
        let answers = parts(records).map(move |records| {
            let _until_sent = &permit;
            Ok(v1::ListResponse {
                header: Some(header),
                records,
            })
        });
        Ok(Response::new(Box::pin(stream::iter(answers))))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let filter = parse_filter(&request.kinds, &request.services).map_err(refusal::invalid)?;
        let watcher = watch::Watcher::new(
            &self.consensus,
            self.reads.clone(),
            filter,
            request.after_revision,
        );
        Ok(Response::new(Box::pin(watcher.answers())))
    }
}

/// At least one part, so that an empty list has a header too.
fn parts(records: Vec<Record>) -> impl Iterator<Item = Vec<v1::Record>> {
    let mut rest = records.into_iter().peekable();
    let mut begun = false;
    std::iter::from_fn(move || {
        if begun && rest.peek().is_none() {
            return None;
        }
        begun = true;
        Some(fill(&mut rest, |record| v1::Record::try_from(&record).ok()))
    })
}
