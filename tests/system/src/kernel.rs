//! What the simulation takes over from the operating system: the clocks and the random numbers of its own thread.
//!
//! Both are taken over where every library gets them, at the functions of the C library, so that the code under test is
//! the code that runs in production. A thread that never called [`begin`] keeps the real ones.

// Taking over functions of the C library has no safe form; this program is nothing but a test.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ffi::{c_int, c_uint, c_void};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use libc::{clockid_t, size_t, ssize_t, timespec};

/// Where the clocks begin: the one that counts from the machine's start, and the one on the wall.
const BEGIN: Duration = Duration::from_secs(100_000);
const WALL: Duration = Duration::from_secs(1_800_000_000);

thread_local! {
    static ELAPSED: Cell<Option<Duration>> = const { Cell::new(None) };
    static ORIGIN: Cell<Option<Instant>> = const { Cell::new(None) };
    static LOOKING: Cell<bool> = const { Cell::new(false) };
    static CHANCE: Cell<u64> = const { Cell::new(0) };
}

/// What the threads beside the simulation draw from; 0 while there is none.
static BESIDE: AtomicU64 = AtomicU64::new(0);

/// From now on this thread has simulated clocks, at their beginning, and random numbers that the seed determines.
pub fn begin(seed: u64) {
    let chance = seed ^ 0x7e17_0e51_0a11_0c8d;
    CHANCE.set(chance);
    BESIDE.store(chance | 1, Ordering::Relaxed);
    ELAPSED.set(Some(Duration::ZERO));
    ORIGIN.set(Some(Instant::now()));
}

/// The clocks of this thread stand at so long after their beginning wherever no runtime has a time of its own.
pub fn set_elapsed(elapsed: Duration) {
    ELAPSED.set(Some(elapsed));
}

/// How long the simulation of this thread has run by the clock of the host that is asking.
pub fn elapsed() -> Option<Duration> {
    let outside = ELAPSED.get()?;
    let origin = ORIGIN.get()?;
    if LOOKING.replace(true) {
        return Some(outside);
    }
    // Within a host this is the time of its runtime, which goes on between two steps of the simulation.
    let now = tokio::time::Instant::now().into_std();
    LOOKING.set(false);
    Some(now.saturating_duration_since(origin))
}

fn simulated(clock: clockid_t) -> Option<Duration> {
    ELAPSED.get()?;
    match clock {
        libc::CLOCK_MONOTONIC
        | libc::CLOCK_MONOTONIC_RAW
        | libc::CLOCK_MONOTONIC_COARSE
        | libc::CLOCK_BOOTTIME => Some(BEGIN + since_begin()),
        libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE => Some(WALL + since_begin()),
        _ => None,
    }
}

fn since_begin() -> Duration {
    elapsed().or_else(|| ELAPSED.get()).unwrap_or_default()
}

#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, into: *mut timespec) -> c_int {
    match simulated(clock) {
        Some(time) => {
            let time = timespec {
                tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(0),
                tv_nsec: libc::c_long::from(time.subsec_nanos() as i32),
            };
            // SAFETY: the caller gives a place for one.
            unsafe { into.write(time) };
            0
        }
        // SAFETY: the same call, past the C library.
        None => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, into) as c_int },
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(into: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if BESIDE.load(Ordering::Relaxed) == 0 {
        // SAFETY: the same call, past the C library.
        return unsafe { libc::syscall(libc::SYS_getrandom, into, length, flags) as ssize_t };
    }
    for at in 0..length {
        // SAFETY: the caller gives a place for so many bytes.
        unsafe { into.cast::<u8>().add(at).write((number() >> 32) as u8) };
    }
    ssize_t::try_from(length).unwrap_or(ssize_t::MAX)
}

/// Processes have a number in what servers say of themselves.
#[unsafe(no_mangle)]
extern "C" fn getpid() -> libc::pid_t {
    if BESIDE.load(Ordering::Relaxed) == 0 {
        // SAFETY: the same call, past the C library.
        return unsafe { libc::syscall(libc::SYS_getpid) as libc::pid_t };
    }
    4_711
}

/// The next number of a splitmix64 sequence, of which each thread has its own.
fn number() -> u64 {
    let state = match CHANCE.get() {
        0 => BESIDE.fetch_add(0x5851_f42d_4c95_7f2e, Ordering::Relaxed),
        state => state,
    };
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    CHANCE.set(state);
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
