//! Copies: items placed, reported, located and listed, and what operators ask of them. Each item is parsed and answered by
//! itself.

use super::{command, read::Reads, refusal};
use crate::consensus::Consensus;
use crate::control::{Control, Unanswered};
use crate::exchange::Exchange;
use std::sync::Arc;
use tenure_core::copies::{
    Accepted, CopiesCommand, ITEMS_PER_REQUEST_MAX, ItemName, Placing, RebalanceStep, Refusal,
    Removing, Reported,
};
use tenure_core::{Kind, Note, Outcome, ServiceName, State};
use tenure_proto::{copies as wire, v1};
use tonic::{Request, Response, Status};

mod look;
mod operate;

/// How many items go into one log entry.
const ITEMS_PER_ENTRY: usize = 1_024;

pub(super) struct Service {
    consensus: Consensus,
    reads: Reads,
    control: Control,
    exchange: Arc<Exchange>,
}

type Answer = Result<Accepted, Refusal>;

impl Service {
    pub(super) fn new(
        consensus: Consensus,
        reads: Reads,
        control: Control,
        exchange: Arc<Exchange>,
    ) -> Self {
        Self {
            consensus,
            reads,
            control,
            exchange,
        }
    }

    /// Commits a batch, in parts that fit log entries. Items that could not be parsed keep their refusal.
    ///
    /// When a later part fails after an earlier one was committed the outcome of all is told as that of the part: every
    /// item may be asked for again.
    async fn commit<T>(
        &self,
        actor: &Note,
        service: &ServiceName,
        items: Vec<Result<T, Refusal>>,
        ask: impl Fn(Vec<T>) -> CopiesCommand,
    ) -> Result<Vec<Answer>, Status> {
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(items.len());
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Ok(item) => {
                    good.push(item);
                    answers.push(None);
                }
                Err(refusal) => answers.push(Some(Err(refusal))),
            }
        }
        let mut taken = Vec::with_capacity(good.len());
        let mut good = good.into_iter().peekable();
        while good.peek().is_some() {
            let part: Vec<T> = good.by_ref().take(ITEMS_PER_ENTRY).collect();
            let what = ask(part);
            let outcome = command::on_copies(&self.consensus, actor, service.clone(), what).await?;
            if let Outcome::Answered { answers, .. } = outcome {
                taken.extend(answers);
            }
        }
        let mut taken = taken.into_iter();
        let answer = |known: Option<Answer>| known.or_else(|| taken.next());
        let all: Option<Vec<Answer>> = answers.into_iter().map(answer).collect();
        all.ok_or_else(|| Status::internal("the log answered fewer items than it was asked for"))
    }
}

fn service_name(text: &str) -> Result<ServiceName, Status> {
    ServiceName::new(text).map_err(|why| refusal::invalid(format!("service: {why}")))
}

fn actor(text: &str) -> Result<Note, Status> {
    Note::new(text).map_err(|why| refusal::invalid(format!("actor: {why}")))
}

/// Refuses more items than one request may have.
fn bounded(items: usize) -> Result<(), Status> {
    if items <= ITEMS_PER_REQUEST_MAX {
        return Ok(());
    }
    Err(refusal::invalid(format!(
        "items: has {items} elements, at most {ITEMS_PER_REQUEST_MAX} are allowed; send them in parts"
    )))
}

/// Refuses a service that is not there, or stores no copies.
fn check_kind(state: &State, service: &ServiceName) -> Result<(), Status> {
    let Some(known) = state.services().get(service) else {
        return Err(refusal::not_found(format!("service {service}")));
    };
    let kind = known.kind();
    if kind == Kind::Copies {
        return Ok(());
    }
    Err(refusal::invalid(format!(
        "service: {service} is of kind {kind} and stores no copies of items"
    )))
}

fn copies_wanted(copies: u32) -> Result<u8, Refusal> {
    let wanted = u8::try_from(copies).unwrap_or(u8::MAX);
    if wanted > tenure_core::copies::WANTED_MAX {
        return Err(Refusal::BadWanted(wanted));
    }
    Ok(wanted)
}

#[tonic::async_trait]
impl v1::copies_server::Copies for Service {
    async fn place(
        &self,
        request: Request<v1::PlaceItemsRequest>,
    ) -> Result<Response<v1::PlaceItemsResponse>, Status> {
        let request = request.into_inner();
        bounded(request.items.len())?;
        let (service, actor) = (service_name(&request.service)?, actor(&request.actor)?);
        self.check_leads()?;
        let named = |item: v1::place_items_request::Item| {
            Ok((ItemName::new(&item.name)?, copies_wanted(item.copies)?))
        };
        let items: Vec<Result<(ItemName, u8), Refusal>> =
            request.items.into_iter().map(named).collect();
        let placings = self.propose(&service, &items)?;
        let answers = self
            .commit(&actor, &service, placings, CopiesCommand::Place)
            .await?;
        let names: Vec<Result<ItemName, Refusal>> = items
            .into_iter()
            .zip(answers)
            .map(|(item, answer)| answer.and(item).map(|(name, _)| name))
            .collect();
        let (header, items, holders) = self.located_now(&service, &names)?;
        Ok(Response::new(v1::PlaceItemsResponse {
            header: Some(header),
            items,
            holders,
        }))
    }

    async fn report(
        &self,
        request: Request<v1::ReportCopiesRequest>,
    ) -> Result<Response<v1::ReportCopiesResponse>, Status> {
        let request = request.into_inner();
        bounded(request.items.len())?;
        let (service, actor) = (service_name(&request.service)?, actor(&request.actor)?);
        let items: Vec<Result<Reported, Refusal>> =
            request.items.into_iter().map(wire::reported).collect();
        let answers = self
            .commit(&actor, &service, items, CopiesCommand::Report)
            .await?;
        Ok(Response::new(v1::ReportCopiesResponse {
            header: Some(self.header()),
            items: answers.iter().map(wire::accepted_to_wire).collect(),
        }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveItemsRequest>,
    ) -> Result<Response<v1::RemoveItemsResponse>, Status> {
        let request = request.into_inner();
        bounded(request.items.len())?;
        let (service, actor) = (service_name(&request.service)?, actor(&request.actor)?);
        let removing = |item: v1::remove_items_request::Item| {
            let (item, version) = (ItemName::new(&item.name)?, item.version);
            Ok(Removing { item, version })
        };
        let items = request.items.into_iter().map(removing).collect();
        let answers = self
            .commit(&actor, &service, items, CopiesCommand::Remove)
            .await?;
        let result = |answer: &Answer| v1::remove_items_response::Result {
            refusal: answer.as_ref().err().map(Into::into),
        };
        Ok(Response::new(v1::RemoveItemsResponse {
            header: Some(self.header()),
            items: answers.iter().map(result).collect(),
        }))
    }

    async fn locate(
        &self,
        request: Request<v1::LocateRequest>,
    ) -> Result<Response<v1::LocateResponse>, Status> {
        self.locate_items(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn list(
        &self,
        request: Request<v1::ListItemsRequest>,
    ) -> Result<Response<v1::ListItemsResponse>, Status> {
        self.list_items(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn status(
        &self,
        request: Request<v1::CopiesStatusRequest>,
    ) -> Result<Response<v1::CopiesStatusResponse>, Status> {
        self.numbers(request.into_inner()).await.map(Response::new)
    }

    async fn obstacles(
        &self,
        request: Request<v1::ObstaclesRequest>,
    ) -> Result<Response<v1::ObstaclesResponse>, Status> {
        self.in_the_way(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        self.compare(request.into_inner()).await.map(Response::new)
    }

    async fn rebalance(
        &self,
        request: Request<v1::RebalanceRequest>,
    ) -> Result<Response<v1::RebalanceResponse>, Status> {
        self.move_copies(request.into_inner())
            .await
            .map(Response::new)
    }

    async fn empty_store(
        &self,
        request: Request<v1::EmptyStoreRequest>,
    ) -> Result<Response<v1::EmptyStoreResponse>, Status> {
        self.empty(request.into_inner()).await.map(Response::new)
    }
}

impl Service {
    /// Refuses, with the leader's address, where this server does not lead.
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

    /// Where the copies of new items belong, by what this server knows. A known one is asked for as it is.
    fn propose(
        &self,
        service: &ServiceName,
        items: &[Result<(ItemName, u8), Refusal>],
    ) -> Result<Vec<Result<Placing, Refusal>>, Status> {
        let said = self.exchange.stores.of(service);
        let full = said.iter().filter(|(_, said)| said.is_full());
        let full = full.map(|(node, _)| *node).collect();
        let good: Vec<(ItemName, u8)> = items.iter().flatten().cloned().collect();
        let places = self.consensus.reader().read(|state| {
            check_kind(state, service)?;
            let ledger = state.ledger(service);
            Ok::<_, Status>(ledger.map(|ledger| ledger.propose_many(&good, &full)))
        })?;
        let mut places = places.unwrap_or_default().into_iter();
        let placing = |item: &Result<(ItemName, u8), Refusal>| {
            let (item, wanted) = item.clone()?;
            let nodes = places.next().unwrap_or_default();
            Ok(Placing {
                item,
                wanted,
                nodes,
            })
        };
        Ok(items.iter().map(placing).collect())
    }
}

/// What is asked of a rebalance; None for a dry run.
fn rebalance_step(action: i32) -> Result<Option<RebalanceStep>, Status> {
    use v1::rebalance_request::Action;
    match Action::try_from(action) {
        Ok(Action::Start) => Ok(Some(RebalanceStep::Start)),
        Ok(Action::DryRun) => Ok(None),
        Ok(Action::Pause) => Ok(Some(RebalanceStep::Pause)),
        Ok(Action::Resume) => Ok(Some(RebalanceStep::Resume)),
        Ok(Action::Cancel) => Ok(Some(RebalanceStep::Stop)),
        Ok(Action::Unspecified) | Err(_) => {
            let why = format!("action: {action} is none that this server knows");
            Err(refusal::invalid(why))
        }
    }
}
