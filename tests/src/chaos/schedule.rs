//! Which server is hurt, when and how: a sequence that its seed determines, as far as elections allow.

use std::fmt;

use super::Work;
use crate::cluster::{Cluster, ClusterError, Doing};
use crate::power_loss::chance::Chance;

/// Acknowledged writes between two faults, so that each falls into a busy time.
const WRITES_BETWEEN: u64 = 40;

/// One kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// SIGKILL of the leader.
    KillLeader,
    /// SIGSTOP of the leader until another one leads, which takes longer than the election timeout.
    FreezeLeader,
    /// SIGKILL of a follower.
    KillFollower,
    /// SIGSTOP of a follower while the others go on.
    FreezeFollower,
    /// SIGKILL of the leader and a follower at once: no quorum until they are back.
    KillTwo,
    /// SIGKILL of all servers at once.
    KillAll,
    /// The leader is frozen, another one leads and is killed, and the first one wakes up.
    FreezeThenKillNext,
    /// SIGTERM of the leader: it hands over and ends.
    StopLeader,
}

/// Each as often as it should happen; the leader is hurt most often.
const WEIGHTED: [Fault; 16] = [
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::KillLeader,
    Fault::FreezeLeader,
    Fault::FreezeLeader,
    Fault::FreezeLeader,
    Fault::FreezeLeader,
    Fault::FreezeThenKillNext,
    Fault::FreezeThenKillNext,
    Fault::StopLeader,
    Fault::KillTwo,
    Fault::KillTwo,
    Fault::KillAll,
    Fault::KillFollower,
    Fault::FreezeFollower,
];

/// What was done so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    /// Leaders killed.
    pub leaders_killed: u64,
    /// Leaders frozen until another one led.
    pub leaders_frozen: u64,
    /// Followers killed or frozen.
    pub followers: u64,
    /// Times without a quorum.
    pub without_quorum: u64,
    /// Leaders told to stop.
    pub leaders_stopped: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "leaders: {} killed, {} frozen, {} stopped; followers hurt: {}; times without a quorum: {}",
            self.leaders_killed,
            self.leaders_frozen,
            self.leaders_stopped,
            self.followers,
            self.without_quorum
        )
    }
}

/// The faults of one run.
#[derive(Debug)]
pub struct Schedule {
    chance: Chance,
    round: u32,
    /// What was done so far.
    pub done: Done,
}

impl Schedule {
    /// The schedule that belongs to a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            round: 0,
            done: Done::default(),
        }
    }

    /// The fault of the next round. The first rounds see to it that no run goes without the two that matter most.
    pub fn next_fault(&mut self) -> Fault {
        self.round += 1;
        match self.round {
            1 => Fault::KillLeader,
            2 => Fault::FreezeLeader,
            _ => WEIGHTED[self.chance.up_to(WEIGHTED.len() - 1)],
        }
    }

    /// Lets the writers work, hurts the servers, sees that the rest goes on, and heals them.
    ///
    /// # Errors
    /// [`ClusterError`] when those that are left do not go on, or a server ended by itself.
    pub async fn round(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        fault: Fault,
    ) -> Result<(), ClusterError> {
        work.progress(WRITES_BETWEEN).await?;
        let leader = cluster.wait_for_leader().await?;
        let others: Vec<usize> = (0..cluster.servers().len())
            .filter(|at| *at != leader)
            .collect();
        let follower = others[self.chance.up_to(others.len() - 1)];
        match fault {
            Fault::KillLeader => {
                self.done.leaders_killed += 1;
                cluster.kill(leader)?;
                go_on(cluster, work).await?;
            }
            Fault::FreezeLeader => {
                self.done.leaders_frozen += 1;
                cluster.freeze(leader)?;
                go_on(cluster, work).await?;
            }
            Fault::KillFollower => {
                self.done.followers += 1;
                cluster.kill(follower)?;
                go_on(cluster, work).await?;
            }
            Fault::FreezeFollower => {
                self.done.followers += 1;
                cluster.freeze(follower)?;
                go_on(cluster, work).await?;
            }
            Fault::KillTwo => {
                self.without_quorum(cluster, &[leader, follower])?;
            }
            Fault::KillAll => {
                let mut all = others;
                all.push(leader);
                self.without_quorum(cluster, &all)?;
            }
            Fault::FreezeThenKillNext => self.freeze_then_kill(cluster, work, leader).await?,
            Fault::StopLeader => {
                self.done.leaders_stopped += 1;
                cluster.terminate(leader)?;
                cluster.wait_for_end(leader).await?;
                go_on(cluster, work).await?;
            }
        }
        heal(cluster)?;
        // One time in three the next fault comes before the healed ones have caught up.
        if !self.chance.one_in(3) {
            go_on(cluster, work).await?;
        }
        Ok(())
    }

    fn without_quorum(&mut self, cluster: &mut Cluster, all: &[usize]) -> Result<(), ClusterError> {
        self.done.leaders_killed += 1;
        self.done.without_quorum += 1;
        all.iter().try_for_each(|at| cluster.kill(*at))
    }

    async fn freeze_then_kill(
        &mut self,
        cluster: &mut Cluster,
        work: &Work,
        leader: usize,
    ) -> Result<(), ClusterError> {
        self.done.leaders_frozen += 1;
        cluster.freeze(leader)?;
        go_on(cluster, work).await?;
        let next = cluster.wait_for_leader().await?;
        self.done.leaders_killed += 1;
        cluster.kill(next)?;
        cluster.thaw(leader)?;
        go_on(cluster, work).await
    }
}

/// Those that are left elect a leader and take writes.
async fn go_on(cluster: &mut Cluster, work: &Work) -> Result<(), ClusterError> {
    cluster.wait_for_leader().await?;
    work.progress(WRITES_BETWEEN).await
}

/// Every server runs again.
///
/// # Errors
/// A process cannot be started or thawed.
pub fn heal(cluster: &mut Cluster) -> Result<(), ClusterError> {
    for at in 0..cluster.servers().len() {
        match cluster.servers()[at].doing {
            Doing::Running => {}
            Doing::Frozen => cluster.thaw(at)?,
            Doing::Down => cluster.launch(at)?,
        }
    }
    Ok(())
}
