//! What is done to a system once, and what is measured of it. Each fault begins with a system that has settled and
//! ends with one that has, and with everything read back that was acknowledged meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::error::BenchError;
use crate::ground::Ground;
use crate::link;
use crate::metric::{Metric, Sample};
use crate::moment::Moment;
use crate::options::Fault;
use crate::stack::Stack;
use crate::stale::{Stale, Write};
use crate::trace::Trace;
use crate::traffic::{Moved, Traffic};
use crate::writer::key_of;

/// How long the writers are watched before and after a fault that should change nothing.
const QUIET: Duration = Duration::from_secs(3);
/// How long they are watched after a planned change.
const AFTER_CHANGE: Duration = Duration::from_millis(500);
/// How long an old primary is watched at least after it woke or came back.
const AFTER_RETURN: Duration = Duration::from_secs(2);

/// What happened at the signal, and from when on the old primary must acknowledge nothing.
struct Course {
    signal: Moment,
    /// From when on what the clients beside the old primary are told counts against it.
    deposed: Moment,
    moved: Option<Moved>,
    until: Moment,
}

/// Inflicts `fault` on `stack`; `label` is unique in the life of the stack, `dir` takes files.
pub async fn once<S: Stack>(
    ground: &Ground,
    stack: &mut S,
    fault: Fault,
    label: &str,
    dir: &Path,
) -> Result<Suffered, BenchError> {
    let old = stack.settled().await?;
    let mut traffic = Traffic::start(ground, stack, old, fault, (label, dir)).await?;
    let course = match fault {
        Fault::ServerLoss => server_loss(stack).await?,
        Fault::Switchover => switchover(stack, &mut traffic, old).await?,
        Fault::Kill => kill(stack, &mut traffic, old).await?,
        Fault::Stop => stop(ground, stack, &mut traffic, old).await?,
        Fault::Cut => cut(ground, stack, &mut traffic, old).await?,
    };
    let last = stack.settled().await?;
    let last = stack.nodes().address(last);
    let (writers, stale) = traffic.stop().await;
    let mut figures = measured(fault, &course, &writers);
    if course.moved.is_some() {
        figures.extend(stack.account().await?);
    }
    let mut remarks = Vec::new();
    for (prefix, trace) in &writers {
        let keys: Vec<(String, u64)> = trace
            .acks
            .iter()
            .map(|ack| (key_of(prefix, ack.number), ack.number))
            .collect();
        let lost = missing(last, &keys).await?;
        add(&mut figures, Metric::Acknowledged, keys.len());
        add(&mut figures, Metric::Lost, lost.len());
        remarks.extend(trace.account_of(&lost, course.signal));
    }
    let failures = failures_of(&writers, course.signal);
    if let Some(stale) = stale {
        beside(stale, &course, last, &mut figures).await?;
    }
    let sample = |(metric, value)| Sample {
        fault,
        metric,
        value,
    };
    Ok(Suffered {
        samples: figures.into_iter().map(sample).collect(),
        remarks,
        failures,
    })
}

/// What one fault showed.
#[derive(Debug)]
pub struct Suffered {
    pub samples: Vec<Sample>,
    /// What a reader must know of it.
    pub remarks: Vec<String>,
    /// How writes failed after the signal: the errors that were answered, and `no answer`.
    pub failures: BTreeSet<String>,
}

/// At most one figure per metric.
type Figures = BTreeMap<Metric, f64>;

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn add(figures: &mut Figures, metric: Metric, number: usize) {
    *figures.entry(metric).or_default() += number as f64;
}

async fn kill<S: Stack>(
    stack: &mut S,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes().address(old);
    let signal = Moment::now();
    stack.nodes().kill(old)?;
    let moved = traffic.moved(address, signal).await?;
    stack.readmit(old, moved.by)?;
    Ok(Course::of(signal, signal, moved))
}

async fn stop<S: Stack>(
    ground: &Ground,
    stack: &mut S,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes().address(old);
    let signal = Moment::now();
    stack.nodes().freeze(old)?;
    let moved = traffic.moved(address, signal).await?;
    tokio::time::sleep(ground.options.frozen()).await;
    let woken = Moment::now();
    stack.nodes().thaw(old)?;
    tokio::time::sleep(AFTER_RETURN).await;
    Ok(Course::of(signal, woken, moved))
}

async fn cut<S: Stack>(
    ground: &Ground,
    stack: &mut S,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes().address(old);
    let signal = Moment::now();
    ground.network.cut(old)?;
    let moved = traffic.moved(address, signal).await;
    tokio::time::sleep(ground.options.frozen()).await;
    ground.network.heal(old)?;
    let moved = moved?;
    tokio::time::sleep(AFTER_RETURN).await;
    Ok(Course::of(signal, moved.served, moved))
}

async fn switchover<S: Stack>(
    stack: &mut S,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes().address(old);
    let signal = Moment::now();
    let (asked, moved) = tokio::join!(stack.switchover(), traffic.moved(address, signal));
    asked?;
    let moved = moved?;
    tokio::time::sleep(AFTER_CHANGE).await;
    Ok(Course::of(signal, signal, moved))
}

async fn server_loss<S: Stack>(stack: &mut S) -> Result<Course, BenchError> {
    tokio::time::sleep(QUIET).await;
    let signal = Moment::now();
    stack.lose_server().await?;
    tokio::time::sleep(QUIET).await;
    let until = Moment::now();
    stack.return_server()?;
    stack.settled().await?;
    Ok(Course {
        signal,
        deposed: signal,
        moved: None,
        until,
    })
}

impl Course {
    fn of(signal: Moment, deposed: Moment, moved: Moved) -> Self {
        Self {
            signal,
            deposed,
            moved: Some(moved),
            until: moved.served.plus(AFTER_CHANGE),
        }
    }
}

/// What the writers saw.
fn measured(fault: Fault, course: &Course, writers: &[(String, Trace)]) -> Figures {
    let traces = || writers.iter().map(|(_prefix, trace)| trace);
    let gap = |from, until| {
        let gaps = traces().map(|trace| trace.longest_gap_ms(from, until));
        gaps.fold(0.0, f64::max)
    };
    let mut figures = Figures::new();
    if let Some(moved) = course.moved {
        figures.insert(Metric::Notice, moved.noticed.ms_since(course.signal));
        figures.insert(Metric::Served, moved.served.ms_since(course.signal));
    }
    let changes = traces().map(|trace| trace.changes_since(course.signal));
    add(&mut figures, Metric::Changes, changes.max().unwrap_or(0));
    match fault {
        Fault::ServerLoss => {
            let before = course.signal.minus(QUIET);
            figures.insert(Metric::GapBefore, gap(before, course.signal));
            figures.insert(Metric::GapAfter, gap(course.signal, course.until));
        }
        Fault::Switchover => {
            figures.insert(Metric::Pause, gap(course.signal, course.until));
            let unknown = traces().map(|trace| unknown(trace, course.signal));
            add(&mut figures, Metric::Failed, unknown.sum());
            let refused = traces().map(|trace| trace.refusals_since(course.signal));
            let refused = refused.flat_map(BTreeMap::into_values);
            add(&mut figures, Metric::Refused, refused.sum());
        }
        Fault::Kill | Fault::Stop | Fault::Cut => {}
    }
    figures
}

fn failures_of(writers: &[(String, Trace)], since: Moment) -> BTreeSet<String> {
    let mut kinds = BTreeSet::new();
    for (_prefix, trace) in writers {
        kinds.extend(trace.refusals_since(since).into_keys());
        if unknown(trace, since) > 0 {
            kinds.insert("no answer".to_owned());
        }
    }
    kinds
}

fn unknown(trace: &Trace, since: Moment) -> usize {
    trace.unknown.iter().filter(|at| **at >= since).count()
}

/// What the clients beside the old primary were told, and what of it is still there.
async fn beside(
    stale: Stale,
    course: &Course,
    last: SocketAddr,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let prefix = stale.prefix().to_owned();
    let account = stale.stop().await?;
    let (plain, waited) = (account.plain(&prefix), account.waited(&prefix));
    let plain_lost = lost_since(last, &plain, course.signal).await?;
    let waited_lost = lost_since(last, &waited, Moment::default()).await?;
    add(
        figures,
        Metric::StalePlain,
        against(&plain, &plain_lost, course),
    );
    add(figures, Metric::StalePlainLost, plain_lost.len());
    add(
        figures,
        Metric::StaleWaited,
        against(&waited, &waited_lost, course),
    );
    add(figures, Metric::Acknowledged, waited.len());
    add(figures, Metric::Lost, waited_lost.len());
    Ok(())
}

/// The numbers of the writes acknowledged from `since` on that the last primary does not have.
async fn lost_since(
    last: SocketAddr,
    writes: &[Write],
    since: Moment,
) -> Result<BTreeSet<u64>, BenchError> {
    let later = writes.iter().filter(|write| write.answered >= since);
    let keys: Vec<(String, u64)> = later
        .map(|write| (write.key.clone(), write.number))
        .collect();
    missing(last, &keys).await
}

/// The numbers of those of these keys that the last primary does not have.
async fn missing(last: SocketAddr, keys: &[(String, u64)]) -> Result<BTreeSet<u64>, BenchError> {
    let answered = link::missing(last, keys).await;
    answered.map_err(|source| BenchError::Redis {
        what: "reading back what was acknowledged",
        address: last,
        source,
    })
}

/// How many writes the old primary should not have acknowledged. One that it had, and its replicas too, before the
/// signal may be answered late: nothing comes of it.
fn against(writes: &[Write], lost: &BTreeSet<u64>, course: &Course) -> usize {
    let late = writes
        .iter()
        .filter(|write| write.answered >= course.deposed);
    late.filter(|write| write.sent >= course.signal || lost.contains(&write.number))
        .count()
}
