//! Writers that keep account of what they were told, and a schedule of faults.
//!
//! | writer | what it proves |
//! |---|---|
//! | [`nodes`] | what was acknowledged is there, once; what was refused is not there |
//! | [`repeats`] | the same request, sent again to whatever server, has the same answer |
//! | [`chains`] | conditional steps follow each other without a gap, a loss or a repetition |
//! | [`epochs`] | an epoch is given once, and only growing |

pub mod chains;
pub mod epochs;
pub mod nodes;
pub mod repeats;
pub mod schedule;
pub mod verdict;
mod work;

pub use work::{Accounts, Counts, Shared, Work};
