//! A system under measurement: one primary, two replicas, and whatever moves the role.

use std::net::SocketAddr;

use crate::error::BenchError;
use crate::follower::Follower;
use crate::metric::Metric;
use crate::nodes::Nodes;

/// Redis under something that fails it over. Dropping it kills all its processes.
pub trait Stack: Sized {
    /// Its nodes. What befalls a node's processes is the same for every system.
    fn nodes(&mut self) -> &mut Nodes;

    /// A client's way to know the primary.
    async fn follow(&self) -> Result<Follower, BenchError>;

    /// Waits until one is primary, both others follow it and everybody knows, so that another fault may come;
    /// returns the primary's place among the nodes.
    async fn settled(&mut self) -> Result<usize, BenchError>;

    /// Starts the killed redis-server of a node again, as an operator would, while `primary` is primary.
    fn readmit(&mut self, node: usize, primary: SocketAddr) -> Result<(), BenchError>;

    /// Kills one of the processes that decide; the one that leads where one does.
    async fn lose_server(&mut self) -> Result<(), BenchError>;

    /// Starts it again.
    fn return_server(&mut self) -> Result<(), BenchError>;

    /// Moves the primary as an operator would; returns when the system says that this was done, or begun.
    async fn switchover(&self) -> Result<(), BenchError>;

    /// How the latest change of primary divides, where the system keeps an account of it.
    async fn account(&self) -> Result<Vec<(Metric, f64)>, BenchError> {
        Ok(Vec::new())
    }

    /// Stops all processes.
    async fn stop(self) -> Result<(), BenchError>;
}
