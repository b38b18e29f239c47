//! From SIGKILL of the leader to the next acknowledged write, and the way back to three members.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::clients::key_of;
use crate::error::{BenchError, CallError};
use crate::system::{Cluster, Connection};

/// How often a new write is sent to every member while none is acknowledged: the resolution of the figure.
pub const RETRY: Duration = Duration::from_millis(5);
const ATTEMPT_BOUND: Duration = Duration::from_secs(2);
const LOSS_BOUND: Duration = Duration::from_secs(30);

/// Kills the leader once; returns the time until a write that was sent afterwards is acknowledged. The member is
/// back and has caught up when this returns.
pub async fn once(cluster: &mut Cluster) -> Result<Duration, BenchError> {
    let leader = cluster.settled().await?;
    let mut connections = Vec::new();
    for address in cluster.addresses() {
        connections.push(cluster.connect(&address).await?);
    }
    acknowledged(&connections).await?;
    let killed = Instant::now();
    cluster.kill(leader)?;
    let acknowledged = acknowledged(&connections).await?;
    cluster.restart(leader)?;
    cluster.settled().await?;
    Ok(acknowledged - killed)
}

/// When the first write of those sent to all members from now on is acknowledged. Each has its own bound and none
/// waits for another: a write that a member sits on must not hide that the cluster takes others.
async fn acknowledged(connections: &[Connection]) -> Result<Instant, BenchError> {
    let deadline = tokio::time::Instant::now() + LOSS_BOUND;
    let mut attempts = JoinSet::new();
    let mut next = tokio::time::interval(RETRY);
    let mut number = 0;
    let mut last = "no write was answered".to_owned();
    loop {
        tokio::select! {
            _tick = next.tick() => {
                for (member, connection) in connections.iter().enumerate() {
                    number += 1;
                    attempts.spawn(attempt(connection.clone(), key_of(member), number));
                }
            }
            Some(ended) = attempts.join_next() => match ended {
                Ok(Ok(at)) => return Ok(at),
                Ok(Err(refused)) => last = refused.to_string(),
                Err(broken) => last = broken.to_string(),
            },
            () = tokio::time::sleep_until(deadline) => {
                return Err(BenchError::TooLate {
                    what: "an acknowledged write after the leader was killed".to_owned(),
                    bound: LOSS_BOUND,
                    last,
                });
            }
        }
    }
}

async fn attempt(
    mut connection: Connection,
    key: String,
    number: u64,
) -> Result<Instant, CallError> {
    match tokio::time::timeout(ATTEMPT_BOUND, connection.write(&key, number)).await {
        Ok(answer) => answer.map(|()| Instant::now()),
        Err(_elapsed) => Err(CallError::NoAnswer(ATTEMPT_BOUND)),
    }
}
