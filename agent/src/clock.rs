//! The agent's clock: it never goes back, and goes on while the machine sleeps.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime,
    timerfd_create, timerfd_settime,
};
use tenure_core::Moment;
use tokio::io::{Interest, unix::AsyncFd};

/// Now.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_nsec).unwrap_or(0) / 1_000;
    Moment(seconds.saturating_mul(1_000_000).saturating_add(micros))
}

/// Rings at a moment of the agent's clock. A timer of the runtime would stand still while the machine
/// sleeps, and go on for as long afterwards as it had left; this one rings on waking.
#[derive(Debug)]
pub(crate) struct Alarm(Kind);

#[derive(Debug)]
enum Kind {
    Timer(AsyncFd<OwnedFd>),
    /// In a simulation no machine sleeps, and the time is the runtime's: when to ring, in microseconds.
    Simulated(AtomicU64),
}

/// A moment that does not come.
const NEVER: u64 = u64::MAX;

impl Alarm {
    /// An alarm that is not set. Must be called within a runtime.
    ///
    /// # Errors
    /// What the system says when it gives no timer.
    pub(crate) fn new() -> io::Result<Self> {
        if tenure_client::is_simulated() {
            return Ok(Self(Kind::Simulated(AtomicU64::new(NEVER))));
        }
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        #[expect(
            deprecated,
            reason = "unsound for what changes or closes its descriptor; an OwnedFd does neither"
        )]
        let timer = AsyncFd::with_interest(timer, Interest::READABLE)?;
        Ok(Self(Kind::Timer(timer)))
    }

    /// Lets it ring at a moment, at once when that is past, and not at an earlier setting's.
    ///
    /// # Errors
    /// What the system says; nothing that a retry helps against.
    pub(crate) fn set(&self, at: Moment) -> io::Result<()> {
        let timer = match &self.0 {
            Kind::Timer(timer) => timer,
            Kind::Simulated(due) => {
                due.store(at.0, Ordering::Relaxed);
                return Ok(());
            }
        };
        // A timer at 0 is off.
        let micros = at.0.max(1);
        let value = Timespec {
            tv_sec: i64::try_from(micros / 1_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(micros % 1_000_000 * 1_000).unwrap_or(0),
        };
        let setting = Itimerspec {
            it_interval: Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            },
            it_value: value,
        };
        timerfd_settime(timer.get_ref(), TimerfdTimerFlags::ABSTIME, &setting)?;
        Ok(())
    }

    /// Waits until it rings. May be cancelled and called again.
    ///
    /// # Errors
    /// What the system says; nothing that a retry helps against.
    pub(crate) async fn rings(&self) -> io::Result<()> {
        let timer = match &self.0 {
            Kind::Timer(timer) => timer,
            Kind::Simulated(due) => return rings_at(due).await,
        };
        loop {
            let mut ready = timer.readable().await?;
            let mut count = [0; 8];
            let read = ready.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut count)?));
            match read {
                Ok(read) => return read.map(drop),
                // It was set anew after it had rung.
                Err(_would_block) => {}
            }
        }
    }
}

/// Waits until a moment that is not set anew meanwhile.
async fn rings_at(due: &AtomicU64) -> io::Result<()> {
    let at = due.load(Ordering::Relaxed);
    if at == NEVER {
        return std::future::pending().await;
    }
    tokio::time::sleep(Duration::from_micros(at.saturating_sub(now().0))).await;
    due.store(NEVER, Ordering::Relaxed);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tenure_core::Millis;

    const BOUND: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn the_alarm_rings_when_it_is_due_and_not_before() {
        let alarm = Alarm::new().unwrap();
        let due = now().after(Millis(20));
        alarm.set(due).unwrap();
        let rung = tokio::time::timeout(BOUND, alarm.rings()).await;
        rung.expect("it rings").unwrap();
        assert!(now() >= due);
        alarm.set(now().after(Millis(3_600_000))).unwrap();
        alarm.set(Moment(0)).unwrap();
        let rung = tokio::time::timeout(BOUND, alarm.rings()).await;
        rung.expect("what is past rings at once").unwrap();
    }

    #[tokio::test]
    async fn a_later_setting_takes_the_place_of_an_earlier_one() {
        let alarm = Alarm::new().unwrap();
        alarm.set(Moment(0)).unwrap();
        let due = now().after(Millis(30));
        alarm.set(due).unwrap();
        let rung = tokio::time::timeout(BOUND, alarm.rings()).await;
        rung.expect("it rings").unwrap();
        assert!(now() >= due);
    }
}
