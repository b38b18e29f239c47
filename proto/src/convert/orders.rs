//! What holders of copies are ordered to do, and what they say of it.

use super::{field, node::node_id};
use crate::{ParseError, copies::checksum_to_wire, v1};
use tenure_core::{
    CopyOrder, Held, OrderKind, OrderProgress, OrderReport, Source, StoreSign,
    copies::{Checksum, ItemName},
    limits::{ORDER_REPORTS_MAX, ORDER_WHY_BYTES_MAX, ORDERS_PER_GRANT_MAX},
};

/// The name of an item.
pub(super) fn item(field: &str, value: &str) -> Result<ItemName, ParseError> {
    ItemName::new(value).map_err(|why| ParseError::new(field, format!("is refused: {why}")))
}

/// A checksum; empty is none.
pub(super) fn checksum(field: &str, value: &[u8]) -> Result<Option<Checksum>, ParseError> {
    if value.is_empty() {
        return Ok(None);
    }
    let checksum = Checksum::new(value);
    checksum
        .map(Some)
        .map_err(|why| ParseError::new(field, format!("is refused: {why}")))
}

pub(super) fn orders(wire: Vec<v1::CopyOrder>) -> Result<Vec<CopyOrder>, ParseError> {
    field::messages("orders", wire, ORDERS_PER_GRANT_MAX)
}

fn kind(field: &str, number: i32) -> Result<OrderKind, ParseError> {
    match field::known(field, number)? {
        v1::OrderKind::Unspecified => Err(field::unspecified(field)),
        v1::OrderKind::Fetch => Ok(OrderKind::Fetch),
        v1::OrderKind::Drop => Ok(OrderKind::Drop),
        v1::OrderKind::Verify => Ok(OrderKind::Verify),
    }
}

fn kind_to_wire(kind: OrderKind) -> i32 {
    match kind {
        OrderKind::Fetch => v1::OrderKind::Fetch,
        OrderKind::Drop => v1::OrderKind::Drop,
        OrderKind::Verify => v1::OrderKind::Verify,
    }
    .into()
}

impl TryFrom<v1::CopyOrder> for CopyOrder {
    type Error = ParseError;

    fn try_from(wire: v1::CopyOrder) -> Result<Self, ParseError> {
        let kind = kind("kind", wire.kind)?;
        let from = match kind {
            OrderKind::Fetch => Some(Source {
                node: node_id("from", wire.from)?,
                endpoint: field::endpoint("endpoint", &wire.endpoint)?,
            }),
            OrderKind::Drop | OrderKind::Verify => None,
        };
        Ok(Self {
            kind,
            item: item("item", &wire.item)?,
            version: wire.version,
            checksum: checksum("checksum", &wire.checksum)?,
            size: wire.size,
            from,
        })
    }
}

impl From<&CopyOrder> for v1::CopyOrder {
    fn from(order: &CopyOrder) -> Self {
        let from = order.from.as_ref();
        Self {
            kind: kind_to_wire(order.kind),
            item: order.item.as_str().to_owned(),
            version: order.version,
            checksum: checksum_to_wire(order.checksum.as_ref()),
            size: order.size,
            from: from.map_or(0, |from| from.node.0),
            endpoint: from
                .map(|from| from.endpoint.as_str().to_owned())
                .unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::StoreSign> for StoreSign {
    type Error = ParseError;

    fn try_from(wire: v1::StoreSign) -> Result<Self, ParseError> {
        Ok(Self {
            folder: wire.folder,
            free: wire.free_bytes,
            total: wire.total_bytes,
            load: wire.load_permille,
            orders: field::messages("orders", wire.orders, ORDER_REPORTS_MAX)?,
        })
    }
}

impl From<&StoreSign> for v1::StoreSign {
    fn from(store: &StoreSign) -> Self {
        Self {
            folder: store.folder,
            free_bytes: store.free,
            total_bytes: store.total,
            load_permille: store.load,
            orders: store.orders.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::OrderReport> for OrderReport {
    type Error = ParseError;

    fn try_from(wire: v1::OrderReport) -> Result<Self, ParseError> {
        use v1::order_report::{Missing, Progress};
        let progress = match wire.progress {
            None => OrderProgress::Waiting,
            Some(Progress::MovedBytes(moved)) => OrderProgress::Moved(moved),
            Some(Progress::Held(wire)) => OrderProgress::Held(Held {
                version: wire.version,
                checksum: checksum("held.checksum", &wire.checksum)?,
                size: wire.size,
            }),
            Some(Progress::Missing(Missing {})) => OrderProgress::Missing,
            Some(Progress::Failed(why)) => OrderProgress::Failed(cut(why)),
        };
        Ok(Self {
            kind: kind("kind", wire.kind)?,
            item: item("item", &wire.item)?,
            version: wire.version,
            progress,
        })
    }
}

/// A sentence for people: what is too long of it is left out.
fn cut(mut why: String) -> String {
    if why.len() > ORDER_WHY_BYTES_MAX {
        let end = why.floor_char_boundary(ORDER_WHY_BYTES_MAX);
        why.truncate(end);
    }
    why
}

impl From<&OrderReport> for v1::OrderReport {
    fn from(report: &OrderReport) -> Self {
        use v1::order_report::{Held as WireHeld, Missing, Progress};
        let progress = match &report.progress {
            OrderProgress::Waiting => None,
            OrderProgress::Moved(moved) => Some(Progress::MovedBytes(*moved)),
            OrderProgress::Held(held) => Some(Progress::Held(WireHeld {
                version: held.version,
                checksum: checksum_to_wire(held.checksum.as_ref()),
                size: held.size,
            })),
            OrderProgress::Missing => Some(Progress::Missing(Missing {})),
            OrderProgress::Failed(why) => Some(Progress::Failed(cut(why.clone()))),
        };
        Self {
            kind: kind_to_wire(report.kind),
            item: report.item.as_str().to_owned(),
            version: report.version,
            progress,
        }
    }
}
