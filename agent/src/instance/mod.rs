//! The task of one instance: it owns the driver, looks at the instance, and carries out one order after
//! the other. A fence takes the place of whatever is under way.

mod slot;

pub(crate) use slot::{Order, Slot};

use std::sync::Arc;
use std::time::Duration;

use tenure_core::agent::{Feat, Observation, Observed};
use tenure_core::{Health, Millis, Note, Presence, ServiceName};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::clock;
use crate::driver::{Driver, PresenceWatch};

/// What the task tells of its instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) service: ServiceName,
    pub(crate) what: News,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// What the driver sees.
    Seen(Observation),
    /// What came of an order.
    Done {
        action: u64,
        result: Result<Feat, String>,
    },
}

/// One instance with its driver.
pub(crate) struct Instance {
    driver: Box<dyn Driver>,
    around: Around,
}

/// What goes on beside the driver while it does something.
struct Around {
    service: ServiceName,
    slot: Arc<Slot>,
    tell: mpsc::Sender<Told>,
    /// How often to look.
    pace: watch::Receiver<Millis>,
    presence: PresenceWatch,
    seen: Observation,
}

impl Around {
    async fn tell(&self, what: News) {
        let service = self.service.clone();
        // Nobody listens any more when the agent ends.
        let _ended = self.tell.send(Told { service, what }).await;
    }

    async fn tell_seen(&mut self, seen: Observation) {
        self.seen = seen;
        self.tell(News::Seen(self.seen.clone())).await;
    }

    /// An exit is told at once, without asking the instance; anything else is worth a look. Gives
    /// whether it was an exit.
    async fn notice(&mut self, presence: Presence) -> bool {
        if presence != Presence::Exited {
            return false;
        }
        tracing::warn!(service = %self.service, "the instance's process is gone");
        let gone = Observation {
            presence,
            health: Health::Failing,
            role: Observed::Nothing,
            stalled: Millis(0),
            note: Note::new("its process was seen to go").unwrap_or_default(),
            ..self.seen.clone()
        };
        self.tell_seen(gone).await;
        true
    }

    fn pace(&self) -> Duration {
        Duration::from_millis(self.pace.borrow().0)
    }
}

/// How a call of the driver ended.
enum Ended<T> {
    Returned(T),
    /// A fence has to be carried out in its place.
    Preempted(Order),
    /// The process went meanwhile.
    Exited,
}

impl Instance {
    pub(crate) fn new(
        service: ServiceName,
        mut driver: Box<dyn Driver>,
        slot: Arc<Slot>,
        tell: mpsc::Sender<Told>,
        pace: watch::Receiver<Millis>,
    ) -> Self {
        let presence = driver.presence();
        Self {
            driver,
            around: Around {
                service,
                slot,
                tell,
                pace,
                presence,
                seen: Observation::nothing(),
            },
        }
    }

    /// Runs for as long as it is polled.
    pub(crate) async fn run(mut self) {
        let mut look_at = Instant::now();
        loop {
            let around = &mut self.around;
            let slot = around.slot.clone();
            let order = tokio::select! {
                biased;
                presence = around.presence.changed() => {
                    around.notice(presence).await;
                    look_at = Instant::now();
                    continue;
                }
                order = slot.take() => Some(order),
                () = sleep_until(look_at) => self.look().await,
            };
            match order {
                Some(order) => {
                    self.carry_out(order).await;
                    look_at = Instant::now();
                }
                None => look_at = Instant::now() + self.around.pace(),
            }
        }
    }

    /// Looks at the instance, and tells what is there. Gives the fence that came in between, if one did.
    async fn look(&mut self) -> Option<Order> {
        loop {
            match beside(&mut self.around, self.driver.observe(), true).await {
                Ended::Returned(seen) => {
                    self.around.tell_seen(seen).await;
                    return None;
                }
                Ended::Preempted(fence) => return Some(fence),
                // What is seen may be of before.
                Ended::Exited => {}
            }
        }
    }

    async fn carry_out(&mut self, mut order: Order) {
        loop {
            let (action, name) = (order.action, format!("{:?}", order.what));
            if order.until.is_some_and(|until| clock::now() >= until) {
                let why = "what allowed it was over before it was begun".to_owned();
                let result = Err(why);
                return self.around.tell(News::Done { action, result }).await;
            }
            if order.run != 0 && order.run != self.around.seen.run {
                let why =
                    "another process has taken the place of the one that it was for".to_owned();
                let result = Err(why);
                return self.around.tell(News::Done { action, result }).await;
            }
            let preemptible = !order.is_fence();
            let began = Instant::now();
            let around = &mut self.around;
            let doing = self.driver.act(order.what);
            tokio::pin!(doing);
            let ended = loop {
                match beside(around, doing.as_mut(), preemptible).await {
                    // It ends by itself, in a bounded time.
                    Ended::Exited => {}
                    ended @ (Ended::Returned(_) | Ended::Preempted(_)) => break ended,
                }
            };
            let service = &self.around.service;
            let took_us = began.elapsed().as_micros();
            let result = match ended {
                Ended::Returned(result) => result,
                Ended::Preempted(fence) => {
                    tracing::warn!(%service, what = name, "given up for a fence");
                    order = fence;
                    continue;
                }
                Ended::Exited => return,
            };
            match &result {
                Ok(Feat::Sees(_) | Feat::Permits(_)) => {
                    tracing::debug!(%service, what = name, took_us, "done");
                }
                Ok(feat) => tracing::info!(%service, what = name, took_us, ?feat, "done"),
                Err(why) => tracing::warn!(%service, what = name, took_us, %why, "not done"),
            }
            let result = result.map_err(|why| why.to_string());
            return self.around.tell(News::Done { action, result }).await;
        }
    }
}

/// Awaits a call of the driver, with an eye on what must not wait for it.
async fn beside<T>(
    around: &mut Around,
    mut doing: impl Future<Output = T> + Unpin,
    preemptible: bool,
) -> Ended<T> {
    let slot = around.slot.clone();
    loop {
        tokio::select! {
            biased;
            presence = around.presence.changed() => {
                if around.notice(presence).await {
                    return Ended::Exited;
                }
            }
            fence = slot.take_fence(), if preemptible => return Ended::Preempted(fence),
            returned = &mut doing => return Ended::Returned(returned),
        }
    }
}
