//! Watches: one stream without gaps, across reconnects and servers.

mod connect;
mod event;
mod stream;

pub use event::WatchEvent;
pub use stream::Watch;
