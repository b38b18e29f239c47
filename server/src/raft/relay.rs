//! Relays: each follower tells the leader at once what it hears of members, and carries the leader's
//! grants back. A member that is cut off from the leader alone stays heard, and the leader learns what
//! its fellow servers do *not* hear.
//!
//! On both ends the latest of each member waits while the other end is slow, so that nothing piles up and
//! no session is held up. Each message says that everything heard before it has been sent.

use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tenure_core::{Heartbeat, Member, ServerId};
use tenure_proto::{raft as pb, v1};
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::dial;
use super::link::LinkError;
use super::peers::Links;
use crate::consensus::Leadership;
use crate::exchange::{Carrier, Exchange, Latest};

/// How often a follower says that its relay is up.
const KEEPALIVE: Duration = Duration::from_millis(50);
/// When nothing came over a relay for so long it is closed.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How long it may take to open one.
const OPEN_WITHIN: Duration = Duration::from_secs(2);
/// Messages that may wait to be written; what comes meanwhile replaces what waits.
const WRITTEN_MAX: usize = 2;
/// Pause after the first failed attempt; it doubles with each further one.
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// The longest pause.
const BACKOFF_MAX: Duration = Duration::from_millis(200);

/// What the leader sends to one follower.
pub(super) type Answers = ReceiverStream<Result<pb::RelayDown, Status>>;

/// Answers a follower's relay; ends when it falls silent, dials anew, or this server stops.
pub(super) fn answer(
    links: Arc<Links>,
    exchange: Arc<Exchange>,
    from: u64,
    ups: Streaming<pb::RelayUp>,
) -> Answers {
    let (downs, queued) = mpsc::channel(WRITTEN_MAX);
    tokio::spawn(async move {
        let from = ServerId(from);
        let carrier = exchange.carrier(from);
        exchange.ear(from);
        tokio::select! {
            () = hear(&links, &exchange, from, ups) => {}
            () = carry(&carrier, &downs) => {}
            () = links.closed() => {}
        }
        exchange.put_down(from, &carrier);
    });
    ReceiverStream::new(queued)
}

async fn hear(links: &Links, exchange: &Exchange, from: ServerId, mut ups: Streaming<pb::RelayUp>) {
    while let Ok(Ok(Some(up))) = timeout(SILENCE_MAX, ups.message()).await {
        let mut complete = true;
        for beat in up.beats {
            match heard(beat) {
                Ok((member, beat)) => exchange.relayed(from, member, beat),
                Err(why) => {
                    complete = false;
                    links.log_trouble(from.0, &format!("it relayed what is no heartbeat: {why}"));
                }
            }
        }
        if complete {
            exchange.ear(from);
        }
    }
}

fn heard(beat: pb::RelayedBeat) -> Result<(Member, Heartbeat), String> {
    let member = v1::Member {
        node: beat.node,
        incarnation: beat.incarnation,
    };
    let member = Member::try_from(member).map_err(|error| error.to_string())?;
    let beat = v1::Heartbeat::decode(beat.beat).map_err(|error| error.to_string())?;
    let beat = Heartbeat::try_from(beat).map_err(|error| error.to_string())?;
    Ok((member, beat))
}

/// Returns when the relay was put down, or the follower has gone.
async fn carry(carrier: &Carrier, downs: &mpsc::Sender<Result<pb::RelayDown, Status>>) {
    while let Some(room) = room(carrier, downs).await {
        let grants = carrier.take().into_values();
        let grants = grants.map(|grant| grant.encode_to_vec().into()).collect();
        room.send(Ok(pb::RelayDown { grants }));
    }
}

/// Waits until something is to be sent and can be. None when nothing will be.
async fn room<'a, K: Ord, V, T>(
    from: &Latest<K, V>,
    to: &'a mpsc::Sender<T>,
) -> Option<mpsc::Permit<'a, T>> {
    if !from.ready().await {
        return None;
    }
    to.reserve().await.ok()
}

/// Why a relay has ended.
enum Ended {
    /// Another server leads, or nobody.
    LeaderChanged,
    /// It broke, or could not be opened.
    Broken(LinkError),
    /// This server stops.
    Closed,
}

/// Keeps a relay to whoever leads, until this server stops.
pub(crate) async fn run(
    links: Arc<Links>,
    exchange: Arc<Exchange>,
    mut leadership: watch::Receiver<Leadership>,
) {
    let mut pause = BACKOFF_MIN;
    loop {
        let leader = leadership.borrow_and_update().leader;
        let ended = match leader.filter(|leader| leader.0 != links.id()) {
            Some(leader) => tokio::select! {
                error = relay(&links, &exchange, leader.0, &mut pause) => Ended::Broken(error),
                ended = change(&links, &mut leadership, leader) => ended,
            },
            None => tokio::select! {
                changed = leadership.changed() => changed.map_or(Ended::Closed, |()| Ended::LeaderChanged),
                () = links.closed() => Ended::Closed,
            },
        };
        exchange.outbox.close();
        match ended {
            Ended::LeaderChanged => pause = BACKOFF_MIN,
            Ended::Broken(error) => {
                tracing::debug!(server = links.id(), ?leader, %error, "no relay to the leader");
                tokio::select! {
                    () = sleep(pause) => pause = pause.saturating_mul(2).min(BACKOFF_MAX),
                    _changed = leadership.changed() => pause = BACKOFF_MIN,
                    () = links.closed() => return,
                }
            }
            Ended::Closed => return,
        }
    }
}

/// Waits until another server leads.
async fn change(
    links: &Links,
    leadership: &mut watch::Receiver<Leadership>,
    leader: ServerId,
) -> Ended {
    tokio::select! {
        changed = leadership.wait_for(|now| now.leader != Some(leader)) => {
            changed.map_or(Ended::Closed, |_| Ended::LeaderChanged)
        }
        () = links.closed() => Ended::Closed,
    }
}

/// Relays to one leader until it breaks.
async fn relay(
    links: &Arc<Links>,
    exchange: &Exchange,
    leader: u64,
    pause: &mut Duration,
) -> LinkError {
    let (ups, queued) = mpsc::channel(WRITTEN_MAX);
    let opened = timeout(OPEN_WITHIN, open(links, leader, &ups, queued));
    let mut downs = match opened.await {
        Ok(Ok(downs)) => downs,
        Ok(Err(error)) => return error,
        Err(_) => return LinkError::TimedOut(OPEN_WITHIN),
    };
    *pause = BACKOFF_MIN;
    exchange.outbox.open();
    let mut keepalive = every(KEEPALIVE);
    loop {
        tokio::select! {
            down = downs.message() => match down {
                Ok(Some(down)) => deliver(links, exchange, leader, down),
                Ok(None) => return LinkError::Failed("it closed the relay".into()),
                Err(status) => return LinkError::Failed(status.message().to_owned()),
            },
            room = room(&exchange.outbox, &ups) => match room {
                Some(room) => room.send(up(exchange)),
                None => return LinkError::Unreachable("the relay broke".into()),
            },
            _ = keepalive.tick() => {
                // When there is no room the other end is slow, and must not take this one to be heard.
                if let Ok(room) = ups.try_reserve() {
                    room.send(up(exchange));
                }
            }
        }
    }
}

fn every(period: Duration) -> Interval {
    let mut interval = interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

async fn open(
    links: &Arc<Links>,
    leader: u64,
    ups: &mpsc::Sender<pb::RelayUp>,
    queued: mpsc::Receiver<pb::RelayUp>,
) -> Result<Streaming<pb::RelayDown>, LinkError> {
    let link = links
        .link_to(leader)
        .ok_or_else(|| LinkError::Unreachable("its address is not known".into()))?;
    let mut client = link.connection().await?.client();
    let first = pb::RelayUp {
        identity: Some(links.identity(leader)),
        beats: Vec::new(),
    };
    ups.try_send(first)
        .map_err(|error| LinkError::Unreachable(error.to_string()))?;
    let opened = client.relay(ReceiverStream::new(queued)).await;
    opened
        .map(tonic::Response::into_inner)
        .map_err(|status| dial::refused(link.address(), &status))
}

/// What was heard since the last message.
fn up(exchange: &Exchange) -> pb::RelayUp {
    let beats = exchange.outbox.take().into_iter();
    let beats = beats.map(|(member, beat)| pb::RelayedBeat {
        node: member.node.0,
        incarnation: member.incarnation.0,
        beat: v1::Heartbeat::from(&beat).encode_to_vec().into(),
    });
    pb::RelayUp {
        identity: None,
        beats: beats.collect(),
    }
}

fn deliver(links: &Links, exchange: &Exchange, leader: u64, down: pb::RelayDown) {
    for grant in down.grants {
        match granted(grant) {
            Ok((member, grant)) => exchange.sessions.grant(member, grant),
            Err(why) => links.log_trouble(leader, &format!("it sent what is no grant: {why}")),
        }
    }
}

fn granted(grant: bytes::Bytes) -> Result<(Member, v1::Grant), String> {
    let grant = v1::Grant::decode(grant).map_err(|error| error.to_string())?;
    let member = grant.member.ok_or("it names no member")?;
    let member = Member::try_from(member).map_err(|error| error.to_string())?;
    Ok((member, grant))
}
