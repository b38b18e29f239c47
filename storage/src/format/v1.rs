//! Format version 1: protobuf messages. Frozen: nothing here is changed, only added to as a new
//! kind of command or record, or as a field of a record that is absent below a feature level, or
//! left behind for a version 2.
#![allow(missing_docs)]

pub mod automation;
pub mod command;
pub mod copies;
pub mod meta;
pub mod receipt;
pub mod record;
pub mod values;
