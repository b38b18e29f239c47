//! Bounds on everything that can grow. A request over one of them is rejected; none of them is a target.
//!
//! What `apply` compares with these must be the same on every server: a change of one of them needs
//! a new feature level, or servers of two versions would disagree on what was rejected.

/// Longest name of a node, service or zone, in bytes: a DNS label.
pub const NAME_BYTES_MAX: usize = 63;
/// Longest note (reason, comment), in bytes.
pub const NOTE_BYTES_MAX: usize = 512;
/// Most attributes on one node or instance.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest attribute value, in bytes.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 1024;
/// All attributes of one node or instance together, in bytes. Keeps a record well below one stored row.
pub const ATTRIBUTES_BYTES_MAX: usize = 8 * 1024;
/// Longest host part of an endpoint, in bytes: what DNS allows.
pub const HOST_BYTES_MAX: usize = 253;
/// Most nodes, removed ones included (a removed node's id stays known).
pub const NODES_MAX: usize = 100_000;
/// Most services, and most names that services with a primary ever had (their epochs stay known).
pub const SERVICES_MAX: usize = 10_000;
/// Most instances over all services.
pub const INSTANCES_MAX: usize = 4_000_000;
/// Most instances in one in-sync set.
pub const IN_SYNC_MAX: usize = 1_024;
/// Most servers ever admitted (a retired server's id stays known).
pub const SERVERS_MAX: usize = 1_000;
/// Most commands in one batch.
pub const BATCH_COMMANDS_MAX: usize = 4_096;
/// Most answers kept for one client: how many requests it may have under way at once.
pub const CLIENT_WINDOW_MAX: usize = 512;
/// All text (subjects and details of rejects) in the answers kept for one client, in bytes. With
/// [`CLIENT_WINDOW_MAX`] it keeps a client's record within one stored row of 64 KiB.
pub const CLIENT_TEXT_BYTES_MAX: usize = 24 * 1024;
/// Most pauses at a time.
pub const PAUSES_MAX: usize = 10_000;
/// Most receipts kept for one service; the oldest go first.
pub const RECEIPTS_PER_SERVICE_MAX: usize = 32;
/// Most sentences of evidence in one receipt.
pub const EVIDENCE_MAX: usize = 16;
/// Most candidates named in one receipt. With [`EVIDENCE_MAX`] it keeps a receipt within one stored row.
pub const CONSIDERED_MAX: usize = 32;
/// Most orders for one holder of copies in one grant.
pub const ORDERS_PER_GRANT_MAX: usize = 256;
/// Most orders of which one heartbeat tells.
pub const ORDER_REPORTS_MAX: usize = 512;
/// Longest sentence on why an order failed, in bytes.
pub const ORDER_WHY_BYTES_MAX: usize = 512;
/// Largest weight of a node. Weights are relative, 100 is usual.
pub const WEIGHT_MAX: u32 = 100_000;

const _: () = assert!(ATTRIBUTE_VALUE_BYTES_MAX < ATTRIBUTES_BYTES_MAX);
const _: () = assert!((EVIDENCE_MAX + 2 * CONSIDERED_MAX + 2) * NOTE_BYTES_MAX < 48 * 1024);
const _: () = assert!(2 * NOTE_BYTES_MAX < CLIENT_TEXT_BYTES_MAX);
