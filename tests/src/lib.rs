//! What the tests that need more than one crate have in common.

pub mod power_loss;
