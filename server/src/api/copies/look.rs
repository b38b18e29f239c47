//! Looking at items and their copies, on any server.

use super::{Service, bounded, check_kind, service_name};
use crate::api::refusal;
use crate::exchange::Said;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tenure_core::copies::{Item, ItemName, Ledger, Located, Reader, Refusal};
use tenure_core::{NodeId, NodeRef, ServiceName, State, Zone};
use tenure_proto::{copies as wire, v1};
use tonic::Status;

/// Items that are looked at under one lock of the state.
const ITEMS_AT_ONCE: usize = 512;
/// Items that a list has when the caller names no limit.
const LIST_DEFAULT: u32 = 100;
/// Items named as obstacles when the caller names no limit.
const NAMED_DEFAULT: u32 = 20;
const NAMED_MAX: usize = 4_096;

type Located1 = Result<Located, Refusal>;

fn holder(state: &State, service: &ServiceName, node: NodeId) -> v1::Holder {
    let record = state.nodes().get(&node);
    let instance = state.instance(service, node);
    v1::Holder {
        node: node.0,
        name: record.map(|it| it.name.to_string()).unwrap_or_default(),
        zone: record
            .and_then(|it| it.zone.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        endpoint: instance
            .map(|it| it.endpoint.to_string())
            .unwrap_or_default(),
    }
}

fn holders(state: &State, service: &ServiceName, nodes: BTreeSet<NodeId>) -> Vec<v1::Holder> {
    let nodes = nodes.into_iter();
    nodes.map(|node| holder(state, service, node)).collect()
}

fn locate(
    ledger: &Ledger,
    items: &[Result<ItemName, Refusal>],
    zone: Option<&Zone>,
    loads: &BTreeMap<NodeId, u32>,
) -> Vec<Located1> {
    let reader = Reader { zone, loads };
    let one = |item: &Result<ItemName, Refusal>| match item {
        Ok(item) => ledger.locate_item(item, reader),
        Err(refusal) => Err(refusal.clone()),
    };
    items.iter().map(one).collect()
}

/// A limit that the caller named, or not.
fn limit(asked: u32, otherwise: u32) -> usize {
    let limit = if asked == 0 { otherwise } else { asked };
    usize::try_from(limit).unwrap_or(NAMED_MAX).min(NAMED_MAX)
}

impl Service {
    fn loads(&self, service: &ServiceName) -> BTreeMap<NodeId, u32> {
        let said = self.exchange.stores.of(service).into_iter();
        said.map(|(node, said)| (node, said.load)).collect()
    }

    pub(super) async fn locate_items(
        &self,
        request: v1::LocateRequest,
    ) -> Result<v1::LocateResponse, Status> {
        bounded(request.items.len())?;
        let service = service_name(&request.service)?;
        let zone = match request.zone.as_str() {
            "" => None,
            text => Some(Zone::new(text).map_err(|why| refusal::invalid(format!("zone: {why}")))?),
        };
        let names = request.items.iter().map(|name| ItemName::new(name));
        let names: Vec<Result<ItemName, Refusal>> = names.collect();
        let check = |state: &State| check_kind(state, &service);
        let (header, checked) = self.reads.read(request.consistency, check).await?;
        checked?;
        let (items, holders) = self.look_up(&service, &names, zone.as_ref())?;
        Ok(v1::LocateResponse {
            header: Some(header),
            items,
            holders,
        })
    }

    /// Where items are as this server's state stands, which has everything that it has answered.
    pub(super) fn located_now(
        &self,
        service: &ServiceName,
        names: &[Result<ItemName, Refusal>],
    ) -> Result<(v1::Header, Vec<v1::Located>, Vec<v1::Holder>), Status> {
        let header = self.header();
        let (items, holders) = self.look_up(service, names, None)?;
        Ok((header, items, holders))
    }

    /// In parts, so that entries are applied in between.
    fn look_up(
        &self,
        service: &ServiceName,
        names: &[Result<ItemName, Refusal>],
        zone: Option<&Zone>,
    ) -> Result<(Vec<v1::Located>, Vec<v1::Holder>), Status> {
        let loads = self.loads(service);
        let mut items = Vec::with_capacity(names.len());
        let mut named = BTreeSet::new();
        for part in names.chunks(ITEMS_AT_ONCE) {
            let look = |state: &State| {
                let ledger = state.ledger(service);
                ledger.map(|ledger| locate(ledger, part, zone, &loads))
            };
            let located = self.consensus.reader().read(look);
            let gone = || refusal::not_found(format!("service {service}"));
            for one in located.ok_or_else(gone)? {
                if let Ok(located) = &one {
                    named.extend(located.fresh.iter().chain(&located.writable));
                }
                items.push(wire::located_to_wire(&one));
            }
        }
        let told = |state: &State| holders(state, service, named);
        Ok((items, self.consensus.reader().read(told)))
    }

    pub(super) async fn list_items(
        &self,
        request: v1::ListItemsRequest,
    ) -> Result<v1::ListItemsResponse, Status> {
        bounded(request.names.len())?;
        let service = service_name(&request.service)?;
        let wanted = limit(request.limit, LIST_DEFAULT);
        let name = |field: &str, text: &str| {
            ItemName::new(text).map_err(|why| refusal::invalid(format!("{field}: {why}")))
        };
        let names: Vec<ItemName> = request
            .names
            .iter()
            .map(|text| name("names", text))
            .collect::<Result<_, _>>()?;
        let after = match request.after.as_str() {
            "" => None,
            text => Some(name("after", text)?),
        };
        let look = |state: &State| {
            check_kind(state, &service)?;
            let Some(ledger) = state.ledger(&service) else {
                return Ok((Vec::new(), false, Vec::new()));
            };
            let (found, more): (Vec<Item>, bool) = if !names.is_empty() {
                let ids = names.iter().filter_map(|name| ledger.find(name));
                (ids.filter_map(|id| ledger.item(id)).collect(), false)
            } else if request.under_replicated {
                let ids = ledger.under_replicated().take(wanted);
                let found: Vec<Item> = ids.filter_map(|(_, id)| ledger.item(id)).collect();
                let lacking = ledger.summary().under_replicated;
                let more = u64::try_from(found.len()).is_ok_and(|found| found < lacking);
                (found, more)
            } else {
                let found = ledger.list(after.as_ref(), wanted);
                let more = found
                    .last()
                    .is_some_and(|last| !ledger.list(Some(&last.name), 1).is_empty());
                (found, more)
            };
            let nodes = found.iter().flat_map(|item| &item.copies);
            let nodes = nodes.map(|(node, _)| *node).collect();
            let is_lost = |node| ledger.store(node).is_some_and(|store| store.is_lost());
            let items = found.iter().map(|item| wire::item_to_wire(item, is_lost));
            Ok::<_, Status>((items.collect(), more, holders(state, &service, nodes)))
        };
        let (header, found) = self.reads.read(request.consistency, look).await?;
        let (items, more, holders) = found?;
        Ok(v1::ListItemsResponse {
            header: Some(header),
            items,
            more,
            holders,
        })
    }

    pub(super) async fn numbers(
        &self,
        request: v1::CopiesStatusRequest,
    ) -> Result<v1::CopiesStatusResponse, Status> {
        let service = service_name(&request.service)?;
        let said = self.exchange.stores.of(&service);
        let look = |state: &State| {
            check_kind(state, &service)?;
            let ledger = state.ledger(&service);
            let told = ledger.map(|ledger| v1::CopiesStatusResponse {
                stores: stores(state, &service, ledger, &said),
                ..wire::summary_to_wire(&ledger.summary())
            });
            Ok::<_, Status>(told.unwrap_or_default())
        };
        let (header, told) = self.reads.read(request.consistency, look).await?;
        let under_way = self.under_way(&service).await;
        Ok(v1::CopiesStatusResponse {
            header: Some(header),
            repair: under_way.repair,
            rebalance: under_way.rebalance,
            verify: under_way.verify,
            ..told?
        })
    }

    pub(super) async fn in_the_way(
        &self,
        request: v1::ObstaclesRequest,
    ) -> Result<v1::ObstaclesResponse, Status> {
        let node = request.node;
        let node = node.ok_or_else(|| refusal::invalid("node: is missing"))?;
        let node =
            NodeRef::try_from(node).map_err(|error| refusal::invalid(error.within("node")))?;
        let only = match request.service.as_str() {
            "" => None,
            text => Some(service_name(text)?),
        };
        let named = limit(request.limit, NAMED_DEFAULT);
        let look = |state: &State| {
            let found = state.find_node(&node);
            let found = found.ok_or_else(|| refusal::not_found(format!("node {node}")))?;
            let services = state.services_on(found.id);
            let services = services.filter(|name| only.as_ref().is_none_or(|only| only == *name));
            let of = |name: &ServiceName| {
                let ledger = state.ledger(name)?;
                obstacles(name, ledger, found.id, named)
            };
            Ok::<_, Status>(services.filter_map(of).collect())
        };
        let (header, services) = self.reads.read(None, look).await?;
        Ok(v1::ObstaclesResponse {
            header: Some(header),
            services: services?,
        })
    }

    pub(super) fn header(&self) -> v1::Header {
        let (header, ()) = self.reads.now(Duration::ZERO, |_| ());
        header
    }
}

fn obstacles(
    service: &ServiceName,
    ledger: &Ledger,
    node: NodeId,
    named: usize,
) -> Option<v1::obstacles_response::OfService> {
    let names = |items: &[ItemName]| items.iter().map(ToString::to_string).collect();
    let drain = ledger.drain_obstacles(node, named).ok()?;
    let removal = ledger.removal_obstacles(node, named).ok()?;
    Some(v1::obstacles_response::OfService {
        service: service.to_string(),
        items: ledger.store(node)?.items(),
        drain: drain.count,
        drain_items: names(&drain.first),
        removal: removal.count,
        removal_items: names(&removal.first),
    })
}

fn stores(
    state: &State,
    service: &ServiceName,
    ledger: &Ledger,
    said: &BTreeMap<NodeId, Said>,
) -> Vec<v1::StoreStatus> {
    let one = |store: &tenure_core::copies::Store| {
        let said = said.get(&store.node());
        v1::StoreStatus {
            name: holder(state, service, store.node()).name,
            free_bytes: said.and_then(|said| said.free),
            total_bytes: said.and_then(|said| said.total),
            load_permille: said.map_or(0, |said| said.load),
            ..store.into()
        }
    };
    ledger.stores().map(one).collect()
}
