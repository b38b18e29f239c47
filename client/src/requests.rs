//! Ids of requests, by which a retry is applied once.
//!
//! A client registers at its first write and counts its requests. The servers keep the answers of a
//! window of them; a request waits until it fits, so that its answer is kept as long as it may be retried.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tenure_core::{ClientId, RequestId, limits::CLIENT_WINDOW_MAX};
use tokio::sync::Semaphore;

const WORDS: usize = CLIENT_WINDOW_MAX.div_ceil(64);

/// The present registration, if there is one.
#[derive(Default)]
pub(crate) struct Requests {
    present: Mutex<Option<Arc<Registration>>>,
    /// Held by whoever registers, so that one registration comes of many first writes.
    pub(crate) opening: tokio::sync::Mutex<()>,
}

/// One registration at the cluster.
pub(crate) struct Registration {
    client: ClientId,
    /// Free places in the window.
    places: Semaphore,
    window: Mutex<Window>,
}

/// Which requests are under way: all from `lowest` to before `next`, but those that are marked.
struct Window {
    lowest: u64,
    next: u64,
    settled: [u64; WORDS],
}

/// A request that is under way as long as this is held. Dropping it says that it is never sent again.
pub(crate) struct Ticket {
    registration: Arc<Registration>,
    sequence: u64,
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Requests {
    pub(crate) fn present(&self) -> Option<Arc<Registration>> {
        unpoisoned(&self.present).clone()
    }

    pub(crate) fn registered(&self, client: ClientId) -> Arc<Registration> {
        let registration = Arc::new(Registration {
            client,
            places: Semaphore::new(CLIENT_WINDOW_MAX),
            window: Mutex::new(Window {
                lowest: 1,
                next: 1,
                settled: [0; WORDS],
            }),
        });
        *unpoisoned(&self.present) = Some(registration.clone());
        registration
    }

    /// The cluster does not know this registration any more: the next request needs a new one.
    pub(crate) fn forget(&self, client: ClientId) {
        let mut present = unpoisoned(&self.present);
        if present.as_ref().is_some_and(|now| now.client == client) {
            *present = None;
        }
    }

    /// The registration, which is not used from now on.
    pub(crate) fn take(&self) -> Option<ClientId> {
        unpoisoned(&self.present).take().map(|now| now.client)
    }
}

impl Registration {
    /// Numbers the next request, once the window has a place for it.
    pub(crate) async fn begin(self: Arc<Self>) -> Ticket {
        let place = self.places.acquire().await;
        place.expect("the semaphore is never closed").forget();
        let mut window = unpoisoned(&self.window);
        let sequence = window.next;
        window.next += 1;
        drop(window);
        Ticket {
            registration: self,
            sequence,
        }
    }
}

impl Ticket {
    /// The id to send it with. A later try says of more requests that they are settled, so that the
    /// servers can let go of their answers.
    pub(crate) fn id(&self) -> RequestId {
        RequestId {
            client: self.registration.client,
            sequence: self.sequence,
            first_incomplete: unpoisoned(&self.registration.window).lowest,
        }
    }

    /// Which registration it is under.
    pub(crate) fn client(&self) -> ClientId {
        self.registration.client
    }
}

impl Window {
    fn place(sequence: u64) -> (usize, u64) {
        let window = u64::try_from(CLIENT_WINDOW_MAX).unwrap_or(u64::MAX);
        let at = usize::try_from(sequence % window).unwrap_or(0);
        (at / 64, 1 << (at % 64))
    }

    /// Marks a request as settled, and says how many places that frees.
    fn settle(&mut self, sequence: u64) -> usize {
        let (word, bit) = Self::place(sequence);
        self.settled[word] |= bit;
        let mut freed = 0;
        loop {
            let (word, bit) = Self::place(self.lowest);
            if self.lowest >= self.next || self.settled[word] & bit == 0 {
                return freed;
            }
            self.settled[word] &= !bit;
            self.lowest += 1;
            freed += 1;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let freed = unpoisoned(&self.registration.window).settle(self.sequence);
        self.registration.places.add_permits(freed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    fn begin(registration: &Arc<Registration>) -> Option<Ticket> {
        registration.clone().begin().now_or_never()
    }

    #[test]
    fn the_window_moves_with_the_oldest_request() {
        let requests = Requests::default();
        let registration = requests.registered(ClientId(9));
        let oldest = begin(&registration).unwrap();
        assert_eq!((oldest.id().sequence, oldest.id().first_incomplete), (1, 1));
        for sequence in 2..=512 {
            let ticket = begin(&registration).unwrap();
            assert_eq!(
                (ticket.id().sequence, ticket.id().first_incomplete),
                (sequence, 1)
            );
        }
        assert!(begin(&registration).is_none(), "the window is full");
        drop(oldest);
        let ticket = begin(&registration).unwrap();
        assert_eq!(
            (ticket.id().sequence, ticket.id().first_incomplete),
            (513, 513)
        );
        assert_eq!(ticket.id().sequence, 513);
        let held: Vec<_> = (0..511).map(|_| begin(&registration).unwrap()).collect();
        assert_eq!(held[510].id().first_incomplete, 513);
        assert!(begin(&registration).is_none());
    }

    #[test]
    fn no_request_is_further_ahead_than_the_window() {
        let requests = Requests::default();
        let registration = requests.registered(ClientId(9));
        let mut under_way = Vec::new();
        for round in 0..5_000_u64 {
            match begin(&registration) {
                Some(ticket) => {
                    let ahead = ticket.id().sequence - ticket.id().first_incomplete;
                    assert!(ahead < 512, "{ahead} ahead");
                    under_way.push(ticket);
                }
                None => drop(under_way.remove(0)),
            }
            if round % 3 == 0 && under_way.len() > 7 {
                let at = usize::try_from(round * 7_919).unwrap() % under_way.len();
                drop(under_way.swap_remove(at));
            }
        }
    }

    #[test]
    fn only_the_forgotten_registration_is_forgotten() {
        let requests = Requests::default();
        requests.registered(ClientId(1));
        requests.registered(ClientId(2));
        requests.forget(ClientId(1));
        assert!(requests.present().is_some());
        requests.forget(ClientId(2));
        assert!(requests.present().is_none());
    }
}
