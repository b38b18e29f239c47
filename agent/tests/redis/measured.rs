//! How long each thing takes, printed; nothing here fails by a time.

use std::time::{Duration, Instant};

use tenure_core::Millis;
use tenure_core::agent::{Action, Feat};

use crate::setup::{FENCE, Group, PLAIN, following, lead, position, promote, see_linked};

const ROUNDS: usize = 30;

/// Times of one kind of action.
struct Times(&'static str, Vec<Duration>);

impl Times {
    async fn take<T>(&mut self, doing: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = doing.await;
        self.1.push(began.elapsed());
        done
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut sorted = self.1.clone();
        sorted.sort();
        let at = |percent: usize| sorted[(sorted.len() - 1) * percent / 100];
        let (half, most, all) = (at(50), at(95), at(100));
        write!(
            f,
            "{:<28} p50 {half:>9.1?}  p95 {most:>9.1?}  max {all:>9.1?}",
            self.0
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times() {
    let settings = PLAIN.replace("probe_every = 20", "probe_every = 250");
    let Group {
        servers,
        mut drivers,
    } = Group::start(3, &settings).await;
    let mut quiesce = Times("quiesce", Vec::new());
    let mut fence = Times("fence", Vec::new());
    let mut detach = Times("detach", Vec::new());
    let mut raise = Times("promote", Vec::new());
    let mut permit = Times("permit", Vec::new());
    let mut follow = Times("follow until linked", Vec::new());
    let mut look = Times("observe", Vec::new());
    let mut old = 0;
    for epoch in 2..=u64::try_from(ROUNDS + 1).unwrap() {
        let new = (old + 1) % 3;
        for driver in &mut drivers {
            look.take(driver.observe()).await;
        }
        let lasting = Millis(10_000);
        let held = quiesce
            .take(drivers[old].act(Action::Quiesce { lasting }))
            .await;
        position(held);
        position(fence.take(drivers[old].act(FENCE)).await);
        for index in (0..3).filter(|index| *index != old) {
            position(detach.take(drivers[index].act(Action::Detach)).await);
        }
        raise.take(promote(&mut *drivers[new], epoch)).await;
        let all = crate::setup::permission(&servers);
        position(permit.take(drivers[new].act(all)).await);
        for index in (0..3).filter(|index| *index != new) {
            let feat = follow.take(async {
                let feat = drivers[index].act(following(epoch, &servers[new])).await;
                see_linked(&mut *drivers[index]).await;
                feat
            });
            assert!(matches!(feat.await, Ok(Feat::Follows(_))));
        }
        old = new;
    }
    lead(&mut *drivers[old], 99, &servers).await;
    for times in [look, quiesce, fence, detach, raise, permit, follow] {
        println!("{times}");
    }
}
