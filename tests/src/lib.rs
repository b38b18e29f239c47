//! What the tests that need more than one crate have in common.

pub mod chaos;
pub mod cluster;
pub mod failover;
pub mod linearizability;
pub mod mariadb;
pub mod ports;
pub mod power_loss;
pub mod process;
pub mod small_disk;
pub mod watches;
