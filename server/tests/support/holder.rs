//! Members that hold copies in memory and carry out their orders at once.
#![allow(dead_code, missing_docs)]

use super::member::Member;
use super::site::{SERVICE, sum};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tenure_proto::v1::{self, order_report, standing};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What lies on the disks: version and checksum.
pub type Disks = Arc<Mutex<BTreeMap<(u64, String), (u64, Vec<u8>)>>>;

/// How a holder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub runs: bool,
    /// Names its data.
    pub folder: u64,
    /// Whether it says that it has what it was ordered, without having got it.
    pub lies: bool,
}

pub const WELL: Way = Way {
    runs: true,
    folder: 1,
    lies: false,
};

/// Says and obeys until the sender is dropped.
pub fn hold(member: Member, disks: Disks) -> (watch::Sender<Way>, JoinHandle<()>) {
    let (way, ways) = watch::channel(WELL);
    let holder = Holder {
        disks,
        reports: Vec::new(),
        latest: (0, 0),
    };
    (way, tokio::spawn(holder.run(member, ways)))
}

struct Holder {
    disks: Disks,
    reports: Vec<v1::OrderReport>,
    latest: (u64, u64),
}

impl Holder {
    async fn run(mut self, mut member: Member, ways: watch::Receiver<Way>) {
        while ways.has_changed().is_ok() {
            let way = *ways.borrow();
            member.signs = vec![self.sign(way)];
            member.beat().await;
            for (_, grant) in member.heard_within(Duration::from_millis(20)).await {
                self.take(member.node, way, grant);
            }
        }
    }

    fn take(&mut self, node: u64, way: Way, grant: v1::Grant) {
        let number = (grant.term, grant.number);
        if number <= self.latest {
            return;
        }
        self.latest = number;
        let mut directives = grant.directives.into_iter();
        let Some(directive) = directives.find(|one| one.service == SERVICE) else {
            return;
        };
        let reports = directive.orders.into_iter();
        self.reports = reports.map(|order| self.obey(node, way, order)).collect();
    }

    fn obey(&self, node: u64, way: Way, order: v1::CopyOrder) -> v1::OrderReport {
        use order_report::{Held, Missing, Progress};
        let mut disks = self.disks.lock().expect("not poisoned");
        let held = |(version, checksum): &(u64, Vec<u8>)| {
            Progress::Held(Held {
                version: *version,
                checksum: checksum.clone().into(),
                size: 10,
            })
        };
        let own = (node, order.item.clone());
        let progress = match order.kind() {
            v1::OrderKind::Fetch if way.lies => {
                held(&(order.version, sum("something else", order.version)))
            }
            v1::OrderKind::Fetch => match disks.get(&(order.from, order.item.clone())).cloned() {
                Some(found) if found.0 == order.version && found.1 == order.checksum => {
                    disks.insert(own, found.clone());
                    held(&found)
                }
                _ => Progress::Failed("the source has it not".into()),
            },
            v1::OrderKind::Drop => {
                disks.remove(&own);
                Progress::Missing(Missing {})
            }
            v1::OrderKind::Verify => match disks.get(&own) {
                Some(found) => held(found),
                None => Progress::Missing(Missing {}),
            },
            v1::OrderKind::Unspecified => panic!("an order of no kind"),
        };
        v1::OrderReport {
            kind: order.kind,
            item: order.item,
            version: order.version,
            progress: Some(progress),
        }
    }

    fn sign(&self, way: Way) -> v1::Sign {
        let (presence, health) = if way.runs {
            (v1::Presence::Running, v1::Health::Healthy)
        } else {
            (v1::Presence::Exited, v1::Health::Failing)
        };
        v1::Sign {
            service: SERVICE.into(),
            report: Some(v1::Report {
                health: health.into(),
                role: v1::Role::Peer.into(),
                ..v1::Report::default()
            }),
            presence: presence.into(),
            standing: Some(v1::Standing {
                kind: Some(standing::Kind::Idle(0)),
            }),
            store: Some(v1::StoreSign {
                folder: way.folder,
                free_bytes: Some(1 << 30),
                total_bytes: Some(1 << 31),
                load_permille: 10,
                orders: self.reports.clone(),
            }),
            ..v1::Sign::default()
        }
    }
}
