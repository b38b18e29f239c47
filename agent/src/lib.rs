//! The node's daemon: obeys what the leader grants, and stops in time.
//!
//! It joins its node to the cluster, holds a session with every server, looks at the node's instances
//! through a [`driver`] each, and has them promoted, fenced and follow as the leader directs. It makes no
//! choice of its own but one: an instance whose lease is over is fenced, whoever can be reached.
//!
//! [`run`] is the daemon; [`Launch`] starts one inside another program, which may bring its own driver
//! along. Signals are the program's business: [`Handle::leave`], [`Handle::stop`].

mod agent;
mod board;
mod checks;
mod clock;
mod config;
mod copies;
pub mod driver;
mod error;
mod instance;
mod join;
mod launch;
mod register;
mod runner;
mod state;

pub use config::{Config, ConfigError, EMBEDDED, OnStop};
pub use error::Error;
pub use launch::{Handle, Launch, run};
pub use state::StateError;
