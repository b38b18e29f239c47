//! Watches: one stream without gaps, across reconnects and servers.

mod connect;
mod event;
mod pair;
mod stream;

pub use event::WatchEvent;
pub(crate) use pair::{Pair, Picture};
pub use stream::Watch;
