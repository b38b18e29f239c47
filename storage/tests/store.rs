//! The whole store: what it keeps over a restart, sends to others and refuses.

#[path = "store/checkpoints.rs"]
mod checkpoints;
#[path = "store/copies.rs"]
mod copies;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/failover.rs"]
mod failover;
#[path = "store/fixture.rs"]
mod fixture;
#[path = "store/garbage.rs"]
mod garbage;
#[path = "store/machine.rs"]
mod machine;
#[path = "store/transfer.rs"]
mod transfer;
