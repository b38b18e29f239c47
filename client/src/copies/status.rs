//! The numbers of a service whose items have copies, and what is under way.

use super::Copies;
use crate::{Consistency, Error, Header, call, discovery::read_plan, servers::Server};
use std::{sync::Arc, time::Duration};
use tenure_core::{NodeId, copies::Summary};
use tenure_proto::v1;

/// How it stands with the items of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiesStatus {
    /// Which state this is of.
    pub header: Header,
    /// Items and copies in numbers.
    pub summary: Summary,
    /// The nodes that hold copies, by id.
    pub stores: Vec<StoreStatus>,
    /// What is being made good; None when not the leader answered, which alone knows.
    pub repair: Option<RepairStatus>,
    /// The rebalancing that goes on, if one does.
    pub rebalance: Option<RebalanceStatus>,
    /// The latest verification, if there was one since the leader leads.
    pub verify: Option<VerifyStatus>,
}

/// One node that holds copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreStatus {
    /// The node.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its failure domain; empty when it has none.
    pub zone: String,
    /// Its relative share.
    pub weight: u32,
    /// Whether it is not heard from.
    pub lost: bool,
    /// Whether it is to be emptied.
    pub draining: bool,
    /// Items of which it has a copy in any state.
    pub items: u64,
    /// Items of which it has a fresh copy.
    pub fresh: u64,
    /// The bytes of these.
    pub fresh_bytes: u64,
    /// Bytes free, as it said last.
    pub free: Option<u64>,
    /// Bytes that there are, free or not.
    pub total: Option<u64>,
    /// How busy it is, in thousandths of what it can do.
    pub load: u32,
}

/// What is being made good.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepairStatus {
    /// Items that lack copies.
    pub items: u64,
    /// Bytes of the copies that they lack.
    pub bytes: u64,
    /// Transfers that run.
    pub running: u32,
    /// Copies that were made since this leader leads.
    pub done: u64,
    /// Their bytes.
    pub done_bytes: u64,
    /// What was measured last; 0 when nothing was moved lately.
    pub bytes_per_second: u64,
    /// How long what is lacking takes at that rate.
    pub remaining: Option<Duration>,
    /// Transfers that failed since this leader leads.
    pub failed: u64,
    /// Items whose lost node may yet return.
    pub waits_for_grace: u64,
    /// Items that wait because as much is under way as may be.
    pub waits_for_limits: u64,
    /// Items whose transfer failed and is tried again later.
    pub waits_after_failure: u64,
    /// Items of which no fresh copy can be read.
    pub no_source: u64,
    /// Items of which no further node can take a copy.
    pub no_room: u64,
    /// Whether a pause, of the cluster or the service, holds it back.
    pub paused: bool,
}

/// A rebalancing that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RebalanceStatus {
    /// Whether it was told to wait.
    pub paused: bool,
    /// Places in the ledger that were looked at.
    pub looked: u64,
    /// Of so many.
    pub total: u64,
    /// Copies to be moved that were found so far.
    pub moves: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A comparison of copies with what is known of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyStatus {
    /// Whether it goes on.
    pub running: bool,
    /// Copies to be compared.
    pub copies: u64,
    /// Copies that were.
    pub compared: u64,
    /// Copies that differ or are missing: they are stale now and are made anew.
    pub differ: u64,
    /// Copies that could not be read in time, or changed meanwhile.
    pub unread: u64,
    /// The first that differ.
    pub differing: Vec<Differing>,
}

/// A copy that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// The item.
    pub item: String,
    /// Where.
    pub node: NodeId,
    /// What is wrong with it, as a sentence.
    pub why: String,
}

impl Copies {
    /// How it stands with the items of the service. What is under way is told when the read is linearizable.
    ///
    /// # Errors
    /// As for [`Copies::locate`]. A retry is always safe.
    pub async fn status(&self, consistency: Consistency) -> Result<CopiesStatus, Error> {
        let servers = &self.shared.servers;
        let mut others = match consistency {
            Consistency::Linearizable => servers.count().saturating_mul(2),
            Consistency::Local { .. } => 0,
        };
        loop {
            let (server, status) = self.status_at_any(consistency).await?;
            if status.repair.is_some() || others == 0 {
                return Ok(status);
            }
            // Any server answers, and the leader alone knows what is under way: this one does not lead.
            others = others.saturating_sub(1);
            servers.not_leader(&server);
        }
    }

    async fn status_at_any(
        &self,
        consistency: Consistency,
    ) -> Result<(Arc<Server>, CopiesStatus), Error> {
        let request = v1::CopiesStatusRequest {
            service: self.name(),
            consistency: consistency.to_wire(),
        };
        let send = |server: Arc<Server>| {
            let request = request.clone();
            async move {
                let answer = server.copies().status(request).await;
                answer.map(|answer| (server, answer))
            }
        };
        let plan = read_plan(&self.shared, consistency);
        let answer = call::call(&self.shared, &plan, send).await;
        let (server, answer) = answer.map_err(|failure| failure.error)?;
        let wire = answer.into_inner();
        let status = CopiesStatus {
            header: Header::from_wire(wire.header)?,
            summary: summary(&wire),
            stores: wire.stores.into_iter().map(store).collect(),
            repair: wire.repair.map(repair),
            rebalance: wire.rebalance.map(rebalance),
            verify: wire.verify.map(verify),
        };
        Ok((server, status))
    }
}

fn summary(wire: &v1::CopiesStatusResponse) -> Summary {
    let usable = wire.by_usable.iter();
    let usable = usable.map(|it| (u8::try_from(it.copies).unwrap_or(u8::MAX), it.items));
    Summary {
        items: wire.items,
        unwritten: wire.unwritten,
        bytes: wire.bytes,
        by_usable: usable.collect(),
        under_replicated: wire.under_replicated,
        missing_bytes: wire.missing_bytes,
        spare: wire.spare,
    }
}

fn store(wire: v1::StoreStatus) -> StoreStatus {
    StoreStatus {
        node: NodeId(wire.node),
        name: wire.name,
        zone: wire.zone,
        weight: wire.weight,
        lost: wire.lost,
        draining: wire.draining,
        items: wire.items,
        fresh: wire.fresh,
        fresh_bytes: wire.fresh_bytes,
        free: wire.free_bytes,
        total: wire.total_bytes,
        load: wire.load_permille,
    }
}

fn repair(wire: v1::RepairStatus) -> RepairStatus {
    RepairStatus {
        items: wire.items,
        bytes: wire.bytes,
        running: wire.running,
        done: wire.done,
        done_bytes: wire.done_bytes,
        bytes_per_second: wire.bytes_per_second,
        remaining: wire.seconds.map(Duration::from_secs),
        failed: wire.failed,
        waits_for_grace: wire.waits_for_grace,
        waits_for_limits: wire.waits_for_limits,
        waits_after_failure: wire.waits_after_failure,
        no_source: wire.no_source,
        no_room: wire.no_room,
        paused: wire.paused,
    }
}

fn rebalance(wire: v1::RebalanceStatus) -> RebalanceStatus {
    RebalanceStatus {
        paused: wire.state == i32::from(v1::rebalance_status::State::Paused),
        looked: wire.looked,
        total: wire.total,
        moves: wire.moves,
        bytes: wire.bytes,
    }
}

fn verify(wire: v1::VerifyStatus) -> VerifyStatus {
    let differing = |wire: v1::Differing| Differing {
        item: wire.item,
        node: NodeId(wire.node),
        why: wire.why,
    };
    VerifyStatus {
        running: wire.running,
        copies: wire.copies,
        compared: wire.compared,
        differ: wire.differ,
        unread: wire.unread,
        differing: wire.differing.into_iter().map(differing).collect(),
    }
}
