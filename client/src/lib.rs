//! Client library of Tenure: who holds which role, being told when that changes, and changing it.
//!
//! ```no_run
//! use tenure_client::{Client, Options, core::ServiceName};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::connect(["127.0.0.1:7411".to_owned()], Options::default()).await?;
//!
//! // Who is primary now, and by which epoch?
//! let redis = ServiceName::new("redis-server")?;
//! let mut primary = client.follow(redis).await?;
//! loop {
//!     match primary.current() {
//!         Some(now) => println!("write to {} with epoch {}", now.endpoint, now.epoch),
//!         None => println!("nobody takes writes: it moves, or there is no primary"),
//!     }
//!     primary.changed().await?;
//! }
//! # }
//! ```
//!
//! A [`Client`] is cheap to clone, and all clones share their connections. It learns the cluster's
//! servers from the cluster, follows the leader by itself, and tries again within a deadline:
//!
//! * [`Client::discovery`] reads. A read may be answered by any server; it is linearizable unless it
//!   asks for less ([`Consistency`]).
//! * [`Client::watch`] gives a snapshot and then every change, without gaps, across reconnects.
//!   [`Client::follow`] makes of it what most programs want: who is primary of one service, as it has
//!   confirmed itself. [`Client::balance`] spreads requests over the peers of a service that has none.
//! * [`Client::admin`] changes. A change is made once however often the client has to send it; where
//!   that cannot be told, [`Error::may_have_happened`] says so.
//! * [`Client::copies`] tells where each item of a service is kept, takes what writes reached, and shows what is
//!   being made good ([`copies`]).
//!
//! A process that keeps such copies joins as a [`Holder`] and is handed what it is to fetch, drop and verify.
//!
//! Agents use more: [`Sessions`] are a member's standing connections, and [`pledge`] is what agents ask
//! of one another.
//!
//! The words and records are those of [`core`], the crate `tenure-core`.

mod admin;
mod backoff;
mod balance;
mod call;
mod client;
pub mod copies;
mod discovery;
mod error;
mod follow;
mod holder;
mod judge;
mod options;
pub mod pledge;
mod requests;
mod servers;
mod session;
mod shared;
mod watch;

pub use admin::{
    Admin, ClusterStatus, FailoverOptions, MovedPrimary, RaftRole, RaftStatus, ServerDigest,
    ServerState, Target,
};
pub use balance::{Balance, BalanceOptions, Picked};
pub use client::Client;
pub use copies::Copies;
pub use discovery::{Consistency, Discovery, Header, Listed, Resolved};
pub use error::{Error, Held, Refusal, ServerAddress};
pub use follow::{Follow, Primacy, Primary};
pub use holder::{Holder, HolderError, HolderOptions, Order, OrderBook};
pub use options::Options;
pub use session::{Attendance, Attended, Sessions};
pub use tenure_core as core;
pub use watch::{Watch, WatchEvent};

/// Whether this process is a simulation of the whole system: all that it runs must stay on the runtime that it was
/// started on then, and wait for nothing but the time of that.
#[must_use]
pub fn is_simulated() -> bool {
    tenure_proto::net::is_simulated()
}
