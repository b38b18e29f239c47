//! Spreading requests over the peers of a service.

mod choice;
mod picture;
mod track;

use crate::{Error, shared::Shared, watch::Pair};
use picture::{Peer, Picture};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tenure_core::{Endpoint, Filter, NodeId, RecordKind, ServiceName, Zone};
use tokio::task::JoinHandle;
use track::{Ejection, Track};

/// How peers are chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BalanceOptions {
    /// The caller's own zone, whose peers come first. None: all peers are alike.
    pub zone: Option<Zone>,
    /// After how many failures in a row that the caller reported a peer is left out; 3. At least 1.
    pub failures: u32,
    /// For how long at first; 1 s. Each time that it fails again on its return, for twice as long.
    pub eject: Duration,
    /// For how long at most; 1 min.
    pub eject_longest: Duration,
}

impl Default for BalanceOptions {
    fn default() -> Self {
        Self {
            zone: None,
            failures: 3,
            eject: Duration::from_secs(1),
            eject_longest: Duration::from_secs(60),
        }
    }
}

/// The peers that may be sent requests, each with what was experienced with it.
type Peers = Arc<[(Peer, Arc<Track>)]>;

/// Spreads requests over the peers of a service. Get it by [`Client::balance`](crate::Client::balance).
///
/// Of two peers drawn at random, as often as their nodes' weights say, the one is chosen that carries
/// less: the caller's own requests under way, and the `load` that the peer reports. Peers that do
/// not serve, whose node is not in use or is pinned down, and those that the caller found failing, are
/// left out. It watches in the background until it is dropped.
pub struct Balance {
    shared: Arc<Shared>,
    zone: Option<Zone>,
    ejection: Ejection,
    peers: Arc<Mutex<Peers>>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Balance")
            .field("zone", &self.zone)
            .field("peers", &self.present())
            .finish_non_exhaustive()
    }
}

impl Drop for Balance {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A peer that was chosen. As long as it is held a request to it counts as under way.
#[derive(Debug)]
pub struct Picked {
    endpoint: Endpoint,
    node: NodeId,
    track: Arc<Track>,
    ejection: Ejection,
}

impl Picked {
    /// Where the peer is reached.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its node.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Says what came of the request. A failure is one that speaks against the peer: it could not be
    /// reached, did not answer in time, or said that it cannot serve; an answer that the request was wrong
    /// is none. Dropping it instead says nothing.
    pub fn report(self, succeeded: bool) {
        if succeeded {
            self.track.succeeded();
        } else {
            self.track.failed(Instant::now(), &self.ejection);
        }
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.track.end();
    }
}

impl Balance {
    pub(crate) async fn begin(
        shared: Arc<Shared>,
        service: ServiceName,
        options: BalanceOptions,
    ) -> Result<Self, Error> {
        if options.failures == 0 || options.eject.is_zero() {
            let why = "the options failures and eject must not be 0";
            return Err(Error::Invalid(why.to_owned()));
        }
        let filter = Filter {
            kinds: [RecordKind::Instance, RecordKind::Node, RecordKind::Pin].into(),
            services: [service].into(),
        };
        let mut pair = Pair::<Picture>::new(shared.clone(), &filter);
        let peers = Arc::new(Mutex::new(Peers::default()));
        show(&peers, pair.first().await?);
        let shown = peers.clone();
        let task = tokio::spawn(async move {
            let error = follow(pair, &shown).await;
            tracing::warn!(%error, "the peers of a service are not watched any more");
        });
        Ok(Self {
            shared,
            zone: options.zone,
            ejection: Ejection {
                failures: options.failures,
                first: options.eject,
                longest: options.eject_longest.max(options.eject),
            },
            peers,
            task,
        })
    }

    /// The peer to send the next request to. None when nobody serves.
    ///
    /// When the caller has found every peer failing, the one is tried that was left out the longest.
    #[must_use]
    pub fn pick(&self) -> Option<Picked> {
        let peers = self.present();
        let mut draw = || self.shared.backoff.number();
        let chosen = choice::choose(&peers, self.zone.as_ref(), Instant::now(), &mut draw);
        let (peer, track) = chosen?;
        track.begin();
        Some(Picked {
            endpoint: peer.endpoint.clone(),
            node: peer.node,
            track: track.clone(),
            ejection: self.ejection,
        })
    }

    /// All peers that may be sent requests, those that the caller found failing among them.
    #[must_use]
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let peers = self.present();
        peers
            .iter()
            .map(|(peer, _)| peer.endpoint.clone())
            .collect()
    }

    fn present(&self) -> Peers {
        let peers = self.peers.lock();
        peers.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Shows the peers that are there now. What was experienced with one stays with it, as long as it is
/// reached at the same place.
fn show(shown: &Mutex<Peers>, picture: &Picture) {
    let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    let track = |peer: &Peer| {
        let is_it =
            |(old, _): &&(Peer, Arc<Track>)| old.node == peer.node && old.endpoint == peer.endpoint;
        let known = shown.iter().find(is_it);
        known.map_or_else(Arc::default, |(_, track)| track.clone())
    };
    let peers = picture.peers().into_iter();
    let peers: Vec<(Peer, Arc<Track>)> = peers
        .map(|peer| {
            let track = track(&peer);
            (peer, track)
        })
        .collect();
    *shown = peers.into();
}

async fn follow(mut pair: Pair<Picture>, shown: &Mutex<Peers>) -> Error {
    loop {
        match pair.next().await {
            Ok(picture) => show(shown, picture),
            Err(error) => return error,
        }
    }
}
