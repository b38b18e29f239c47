//! A small writer of the service: follows its primary, waits until one replica has each write, and looks
//! after every move whether what was acknowledged is still there.

use super::{Kind, session::Session};
use crate::dev::view::Seen;
use std::{
    convert::Infallible,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_client::{Client, Error, Follow, Primary};
use tenure_core::{Epoch, NodeId};
use tokio::time::{MissedTickBehavior, interval, sleep};

/// The pause between two writes.
const EVERY: Duration = Duration::from_millis(2);
/// How soon what failed is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(2);
/// How soon the cluster is asked again, where it could not be.
const FOLLOW_AFTER: Duration = Duration::from_millis(500);
/// Over how long the rate is taken.
const RATE_OVER: Duration = Duration::from_secs(1);
/// Moves that are remembered.
const MOVES_MAX: usize = 16;

/// A move of the primary, as the writer saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move {
    /// To where.
    pub node: NodeId,
    /// The epoch that began with it.
    pub epoch: Epoch,
    /// From the last acknowledged write before to the first one after.
    pub gap: Duration,
    /// The last write that had been acknowledged before; None when it was not there.
    pub found: Option<u64>,
}

/// What the writer has done. Times are since the start of `dev`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Writes that were acknowledged.
    pub acknowledged: u64,
    /// When the last one was.
    pub last: Option<Duration>,
    /// How many were in the last whole second.
    pub rate: u64,
    /// The longest time between two.
    pub longest: Duration,
    /// The last moves.
    pub moves: Vec<Move>,
    /// Why the last write failed, if it did.
    pub trouble: Option<String>,
    /// What was acknowledged and is not there.
    pub lost: Option<String>,
    counted: (Duration, u64),
    by: Option<Epoch>,
}

impl Traffic {
    /// Takes in a write that was acknowledged by this primary, before which `found` was the last one.
    fn acknowledge(&mut self, at: Duration, primary: &Primary, found: u64) {
        let gap = at.saturating_sub(self.last.unwrap_or(at));
        self.acknowledged += 1;
        self.last = Some(at);
        self.longest = self.longest.max(gap);
        self.trouble = None;
        let (from, count) = self.counted;
        self.counted = (from, count + 1);
        if at.saturating_sub(from) >= RATE_OVER {
            self.rate = rate(count + 1, at.saturating_sub(from));
            self.counted = (at, 0);
        }
        let before = self.by.replace(primary.epoch);
        if before.is_none_or(|before| before == primary.epoch) {
            return;
        }
        if self.moves.len() == MOVES_MAX {
            self.moves.remove(0);
        }
        self.moves.push(Move {
            node: primary.member.node,
            epoch: primary.epoch,
            gap,
            found: Some(found).filter(|_| self.lost.is_none()),
        });
    }

    /// Since when nothing has been acknowledged, where that is longer than usual.
    pub fn stands_still(&self, now: Duration) -> Option<Duration> {
        let since = now.saturating_sub(self.last?);
        (since >= RATE_OVER).then_some(since)
    }
}

fn rate(count: u64, over: Duration) -> u64 {
    let over = u64::try_from(over.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1_000) / over
}

/// Writes until it is dropped.
pub async fn run(client: Client, kind: Kind, seen: Arc<Mutex<Seen>>, origin: Instant) {
    let mut writer = Writer {
        kind,
        seen,
        origin,
        number: 0,
        acknowledged: 0,
        checked: None,
    };
    loop {
        let why = match client.follow(kind.service()).await {
            Ok(follow) => writer.follow(follow).await,
            Err(why) => why,
        };
        writer.note(|traffic| traffic.trouble = Some(why.to_string()));
        sleep(FOLLOW_AFTER).await;
    }
}

struct Writer {
    kind: Kind,
    seen: Arc<Mutex<Seen>>,
    origin: Instant,
    /// The last write, and the last one that was acknowledged.
    number: u64,
    acknowledged: u64,
    /// At which primary was looked for it.
    checked: Option<Epoch>,
}

impl Writer {
    fn note<T>(&self, change: impl FnOnce(&mut Traffic) -> T) -> T {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut seen.traffic)
    }

    /// Writes to whoever is primary, until the cluster refuses to say who that is.
    async fn follow(&mut self, mut follow: Follow) -> Error {
        loop {
            let primary = match follow.serving().await {
                Ok(primary) => primary,
                Err(why) => return why,
            };
            tokio::select! {
                failed = self.write_to(&primary) => {
                    let Err(why) = failed;
                    self.note(|traffic| traffic.trouble = Some(why.to_string()));
                    sleep(AGAIN_AFTER).await;
                }
                left = leaves(&mut follow, &primary) => if let Err(why) = left {
                    return why;
                }
            }
        }
    }

    async fn write_to(&mut self, primary: &Primary) -> io::Result<Infallible> {
        let mut session = Session::connect(self.kind, &primary.endpoint).await?;
        self.check(&mut session, primary).await?;
        let mut tick = interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            self.number += 1;
            match session.write(self.number).await? {
                None => {
                    let found = std::mem::replace(&mut self.acknowledged, self.number);
                    let now = self.origin.elapsed();
                    self.note(|traffic| traffic.acknowledge(now, primary, found));
                }
                Some(why) => self.note(|traffic| traffic.trouble = Some(why)),
            }
        }
    }

    /// Looks for the last acknowledged write before anything is written to another primary. Each write
    /// takes the place of the one before, so the last one stands for all.
    async fn check(&mut self, session: &mut Session, primary: &Primary) -> io::Result<()> {
        if self.checked == Some(primary.epoch) {
            return Ok(());
        }
        let found = session.last().await?;
        let wanted = self.acknowledged;
        if found < wanted {
            let (node, epoch, name) = (primary.member.node, primary.epoch, self.kind.name());
            self.note(|traffic| {
                traffic.lost = Some(format!(
                    "write {wanted} to {name} was acknowledged, and {found} is the last one on node \
                     {node}, epoch {epoch}"
                ));
            });
        }
        self.number = self.number.max(found);
        self.checked = Some(primary.epoch);
        Ok(())
    }
}

/// Waits until another than this one takes writes, or nobody.
async fn leaves(follow: &mut Follow, primary: &Primary) -> Result<(), Error> {
    while follow.current().as_ref() == Some(primary) {
        follow.changed().await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_core::{Endpoint, Incarnation, Member};

    fn primary(node: u64, epoch: u64) -> Primary {
        Primary {
            endpoint: Endpoint::new("h:1").unwrap(),
            epoch: Epoch(epoch),
            member: Member {
                node: NodeId(node),
                incarnation: Incarnation(1),
            },
        }
    }

    #[test]
    fn a_move_is_told_with_its_gap_and_pauses_are_not_moves() {
        let ms = Duration::from_millis;
        let mut traffic = Traffic::default();
        traffic.acknowledge(ms(5_000), &primary(1, 1), 0);
        traffic.acknowledge(ms(5_300), &primary(1, 1), 1);
        assert_eq!((traffic.longest, traffic.moves.len()), (ms(300), 0));
        traffic.acknowledge(ms(5_314), &primary(2, 2), 2);
        let moved = Move {
            node: NodeId(2),
            epoch: Epoch(2),
            gap: ms(14),
            found: Some(2),
        };
        assert_eq!(traffic.moves, [moved]);
        assert_eq!(traffic.stands_still(ms(6_000)), None);
        assert_eq!(traffic.stands_still(ms(7_314)), Some(ms(2_000)));
        assert_eq!(rate(400, ms(1_000)), 400);
    }
}
