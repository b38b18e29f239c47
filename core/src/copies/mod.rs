//! Where every redundant copy of the data of one service lives and how fresh it is; where copies should be, and which
//! are to be made, moved and dropped.
//!
//! [`Ledger`] is what was agreed on: its methods that take `&mut self` are the transitions, each a typed yes or no.
//! [`placement`] says where the copies of an item belong. [`repair`] and [`rebalance`](rebalance::rebalance) compare the two and
//! return what to do; neither changes anything. How a node stands (lost, draining) is kept once, with the node: when one is
//! lost, no item is written.
//!
//! The rules, of which [`check`] looks at C1 to C5 and [`check_step`] at the rest:
//!
//! | number | what must hold | promise |
//! |---|---|---|
//! | C1 | the copies of an item are on distinct nodes, all of them known | 9 |
//! | C2 | an item has at most 32 copies, and 1 to 16 are wanted | |
//! | C3 | names are distinct, ordered and complete | |
//! | C4 | what is counted equals a full look: per node, per service, by how endangered items are | |
//! | C5 | an item that has no data has no fresh copy | 3 |
//! | C6 | an item's version never falls | 6 |
//! | C7 | no decision leaves an item with fewer fresh copies and too few of them: only reports of writes that missed a copy, of copies that differ and of lost nodes do, and a removal whose loss was accepted, of a node or of the item itself | 9 |

mod attempts;
mod check;
mod command;
mod counts;
mod item;
mod leaving;
mod ledger;
mod locate;
mod names;
pub mod placement;
mod planned;
pub mod rebalance;
mod records;
mod refusal;
pub mod repair;
mod row;
mod slots;
mod stores;
mod tidy;
mod told;
mod writes;

pub use attempts::Attempts;
pub use check::{check, check_step};
pub use command::{CopiesCommand, OneCopy, Placing, RebalanceStep, Removing};
pub use counts::Danger;
pub use item::{
    CHECKSUM_BYTES_MAX, COPIES_MAX, Checksum, CopyState, ITEM_NAME_BYTES_MAX,
    ITEMS_PER_REQUEST_MAX, ItemId, ItemName, Stage, WANTED_MAX,
};
pub use leaving::TooFew;
pub use ledger::{Ledger, Summary};
pub use locate::{Located, Reader};
pub use records::{ItemRecord, Rebalance, StoreRecord};
pub use refusal::{Obstacles, Refusal};
pub(crate) use row::STORES_MAX;
pub use stores::Store;
pub use told::Item;
pub use writes::{Accepted, Checked, Reported};
