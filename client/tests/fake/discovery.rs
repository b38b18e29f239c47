//! The Discovery service of a fake server. Its watches do what the test wrote down.

use super::{Server, Watched};
use std::pin::Pin;
use tenure_core::{Record, ServiceName};
use tenure_proto::{
    parse_filter, refusal,
    v1::{self, discovery_server::Discovery, refusal::Reason},
};
use tokio_stream::{Stream, StreamExt};
use tonic::{Code, Request, Response, Status};

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Server {
    fn fresh_enough(&self, consistency: Option<v1::Consistency>) -> Result<(), Status> {
        let age_ms = self.shared.lock().ages[self.at];
        match consistency.and_then(|wanted| wanted.local_max_age_ms) {
            Some(most) if most < age_ms => {
                let stale = v1::Refusal {
                    age_ms,
                    ..refusal::because(Reason::TooStale, "too old")
                };
                Err(refusal::status(Code::Unavailable, stale))
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl Discovery for Server {
    async fn resolve(
        &self,
        request: Request<v1::ResolveRequest>,
    ) -> Result<Response<v1::ResolveResponse>, Status> {
        let request = request.into_inner();
        self.shared.lock().resolved_at.push(self.at);
        self.fresh_enough(request.consistency)?;
        let inner = self.shared.lock();
        let name = ServiceName::new(&request.service).unwrap();
        let Some(service) = inner.state.services().get(&name) else {
            let missing = refusal::because(Reason::NotFound, format!("service {name}"));
            return Err(refusal::status(Code::NotFound, missing));
        };
        let instances = || inner.state.instances(&name);
        let nodes = instances().filter_map(|one| inner.state.nodes().get(&one.node));
        Ok(Response::new(v1::ResolveResponse {
            header: Some(inner.header(self.at)),
            service: Some(service.as_ref().into()),
            assignment: inner
                .state
                .assignment(&name)
                .map(|held| held.as_ref().into()),
            instances: instances().map(|one| one.as_ref().into()).collect(),
            nodes: nodes.map(|node| node.as_ref().into()).collect(),
        }))
    }

    async fn get_instance(
        &self,
        request: Request<v1::GetInstanceRequest>,
    ) -> Result<Response<v1::GetInstanceResponse>, Status> {
        let request = request.into_inner();
        let inner = self.shared.lock();
        let name = ServiceName::new(&request.service).unwrap();
        let node = request.node.unwrap().try_into().unwrap();
        let node = inner.state.find_node(&node).unwrap().id;
        let instance = inner.state.instance(&name, node);
        Ok(Response::new(v1::GetInstanceResponse {
            header: Some(inner.header(self.at)),
            instance: instance.map(|one| one.as_ref().into()),
        }))
    }

    type ListStream = Answers<v1::ListResponse>;

    async fn list(
        &self,
        request: Request<v1::ListRequest>,
    ) -> Result<Response<Self::ListStream>, Status> {
        let request = request.into_inner();
        self.fresh_enough(request.consistency)?;
        let filter = parse_filter(&request.kinds, &request.services).unwrap();
        let inner = self.shared.lock();
        let header = Some(inner.header(self.at));
        let wanted = |record: &Record| filter.wants(&record.key());
        let records: Vec<Record> = inner.state.records().filter(wanted).collect();
        let mut parts = vec![v1::ListResponse {
            header,
            records: vec![],
        }];
        for part in records.chunks(2) {
            let records = part
                .iter()
                .map(|record| record.try_into().unwrap())
                .collect();
            parts.push(v1::ListResponse { header, records });
        }
        Ok(Response::new(Box::pin(tokio_stream::iter(parts).map(Ok))))
    }

    type WatchStream = Answers<v1::WatchResponse>;

    async fn watch(
        &self,
        request: Request<v1::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let mut inner = self.shared.lock();
        inner.watched.push((self.at, request.after_revision));
        if request.services.iter().any(|name| name == "forbidden") {
            let refused = refusal::because(Reason::Invalid, "services[0] is forbidden");
            return Err(refusal::status(Code::InvalidArgument, refused));
        }
        let script = inner
            .watches
            .pop_front()
            .unwrap_or_else(|| vec![Watched::Hang]);
        let (send, answers) = tokio::sync::mpsc::channel(script.len() + 1);
        let mut hangs = false;
        for step in script {
            let sent = match step {
                Watched::Send(message) => send.try_send(Ok(*message)),
                Watched::Break => send.try_send(Err(Status::unavailable("the connection broke"))),
                Watched::End => break,
                Watched::Hang => {
                    hangs = true;
                    break;
                }
            };
            sent.expect("the channel has room for the whole script");
        }
        let answers = tokio_stream::wrappers::ReceiverStream::new(answers);
        if hangs {
            let nothing = tokio_stream::pending();
            return Ok(Response::new(Box::pin(answers.chain(nothing.map(
                move |never: Status| {
                    let _open = &send;
                    Err(never)
                },
            )))));
        }
        Ok(Response::new(Box::pin(answers)))
    }
}
