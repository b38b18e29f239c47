//! A small store of files over HTTP, each kept on several nodes: an example of a service whose data have copies, built
//! with the client library alone.
//!
//! Every process is a node that holds copies, and takes requests for any item from anybody:
//!
//! | request | what it does |
//! |---|---|
//! | `PUT /items/NAME` | writes the item to the nodes that are to have it, and answers when the cluster has taken note of which do |
//! | `GET /items/NAME` | reads it from a fresh copy, and from the next one when that fails |
//! | `DELETE /items/NAME` | lets it go |
//! | `GET /status` | what this node has |
//! | `/copies/NAME?version=N` | this node's own copy; for the other nodes |
//!
//! [`files`] keeps data on the disk, [`gateway`] does what the first three requests ask for, [`custody`] does what the
//! cluster orders, [`sweep`] deletes what nobody wants any more, and [`serve`] is the way in.

pub mod config;
pub mod custody;
pub mod files;
pub mod gateway;
pub mod node;
pub mod reach;
pub mod serve;
pub mod sweep;
