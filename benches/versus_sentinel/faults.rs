//! What is done to a system once, and what is measured of it. Each fault begins with a system that has settled and
//! ends with one that has, and with everything read back that was acknowledged meanwhile.

use std::collections::BTreeMap;
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
use crate::stale::Stale;
use crate::trace::Trace;
use crate::traffic::{Moved, Traffic};

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
    false_failover: bool,
}

/// Inflicts `fault` on `stack`; `label` is unique in the life of the stack, `dir` takes files.
pub async fn once<S: Stack>(
    ground: &Ground,
    stack: &mut S,
    fault: Fault,
    label: &str,
    dir: &Path,
) -> Result<Vec<Sample>, BenchError> {
    let old = stack.settled().await?;
    let mut traffic = Traffic::start(ground, stack, old, fault, (label, dir)).await?;
    let course = match fault {
        Fault::ServerLoss => server_loss(stack, &mut traffic, old).await?,
        Fault::Switchover => switchover(stack, &mut traffic, old).await?,
        Fault::Kill => kill(stack, &mut traffic, old).await?,
        Fault::Stop => stop(ground, stack, &mut traffic, old).await?,
        Fault::Cut => cut(ground, stack, &mut traffic, old).await?,
    };
    let last = stack.settled().await?;
    let last = stack.nodes().address(last);
    let (traces, keys, stale) = traffic.stop().await;
    let lost = link::missing(last, &keys).await?.len();
    let mut figures = measured(fault, &course, &traces);
    add(&mut figures, Metric::Acknowledged, keys.len());
    add(&mut figures, Metric::Lost, lost);
    if let Some(stale) = stale {
        beside(stale, &course, last, &mut figures).await?;
    }
    let sample = |(metric, value)| Sample {
        fault,
        metric,
        value,
    };
    Ok(figures.into_iter().map(sample).collect())
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

async fn server_loss<S: Stack>(
    stack: &mut S,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes().address(old);
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
        false_failover: traffic.first_elsewhere(signal, address).is_some(),
    })
}

impl Course {
    fn of(signal: Moment, deposed: Moment, moved: Moved) -> Self {
        Self {
            signal,
            deposed,
            moved: Some(moved),
            until: moved.served.plus(AFTER_CHANGE),
            false_failover: false,
        }
    }
}

/// What the writers saw.
fn measured(fault: Fault, course: &Course, traces: &[Trace]) -> Figures {
    let gap = |from, until| {
        let gaps = traces.iter().map(|trace| trace.longest_gap_ms(from, until));
        gaps.fold(0.0, f64::max)
    };
    let mut figures = Figures::new();
    if let Some(moved) = course.moved {
        figures.insert(Metric::Notice, moved.noticed.ms_since(course.signal));
        figures.insert(Metric::Served, moved.served.ms_since(course.signal));
    }
    match fault {
        Fault::ServerLoss => {
            let before = course.signal.minus(QUIET);
            figures.insert(Metric::GapBefore, gap(before, course.signal));
            figures.insert(Metric::GapAfter, gap(course.signal, course.until));
            let changes = usize::from(course.false_failover);
            add(&mut figures, Metric::FalseFailover, changes);
        }
        Fault::Switchover => {
            figures.insert(Metric::Pause, gap(course.signal, course.until));
            let failed = traces.iter().map(|trace| failures(trace, course.signal));
            add(&mut figures, Metric::Failed, failed.sum());
        }
        Fault::Kill | Fault::Stop | Fault::Cut => {}
    }
    figures
}

fn failures(trace: &Trace, since: Moment) -> usize {
    let unknown = trace.unknown.iter().filter(|at| **at >= since).count();
    unknown + trace.refusals_since(since).values().sum::<usize>()
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
    let plain = account.plain_since(course.deposed, &prefix);
    let waited = account.waited_since(course.deposed, &prefix);
    let since_signal = account.plain_since(course.signal, &prefix);
    let all_waited = account.waited_since(Moment::default(), &prefix);
    let plain_lost = link::missing(last, &since_signal).await?;
    let waited_lost = link::missing(last, &all_waited).await?;
    add(figures, Metric::StalePlain, plain.len());
    add(figures, Metric::StalePlainLost, plain_lost.len());
    add(figures, Metric::StaleWaited, waited.len());
    add(figures, Metric::Acknowledged, all_waited.len());
    add(figures, Metric::Lost, waited_lost.len());
    Ok(())
}
