//! What is done once, and what is measured of it. Each fault begins with everything settled and ends so, and with
//! everything read back that was acknowledged meanwhile.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tenure_client::core::{Phase, Receipt};
use tenure_tests::failover::moment::Moment;
use tenure_tests::failover::trace::Trace;
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;

use crate::beside::{Beside, Noted};
use crate::error::BenchError;
use crate::ground::Ground;
use crate::metric::{Figures, Metric, add};
use crate::options::Fault;
use crate::stack::Stack;
use crate::traffic::{Moved, Traffic};

/// How long writers are watched after a planned change.
const AFTER_CHANGE: Duration = Duration::from_millis(500);
/// How long an old primary is watched at least after it woke or came back.
const AFTER_RETURN: Duration = Duration::from_secs(2);

/// What one fault showed.
#[derive(Debug)]
pub struct Suffered {
    pub figures: Figures,
    /// What a reader must know of it.
    pub remarks: Vec<String>,
}

/// What happened at the signal, and from when on the old primary must acknowledge nothing.
struct Course {
    signal: Moment,
    deposed: Moment,
    moved: Moved,
}

/// Inflicts `fault`; `label` is unique in the life of the stack, `dir` takes files.
pub async fn once(
    ground: &Ground,
    stack: &mut Stack,
    fault: Fault,
    label: &str,
    dir: &Path,
) -> Result<Suffered, BenchError> {
    let old = stack.settled().await?;
    let mut traffic = Traffic::start(ground, stack, old, fault, (label, dir)).await?;
    let course = match fault {
        Fault::Switchover => switchover(stack, &mut traffic, old).await?,
        Fault::Kill => kill(stack, &mut traffic, old).await?,
        Fault::Stop => stop(ground, stack, &mut traffic, old).await?,
        Fault::Cut => cut(ground, stack, &mut traffic, old).await?,
    };
    let last = stack.settled().await?;
    let settled = Moment::now();
    let last = stack.nodes.address(last);
    let (writers, beside) = traffic.stop().await;
    let receipt = stack.receipt().await?;
    let mut figures = measured(fault, &course, &writers);
    figures.insert(Metric::Whole, settled.ms_since(course.signal));
    figures.extend(account(&receipt));
    let mut remarks = Vec::new();
    for (name, trace) in &writers {
        let numbers: Vec<u64> = trace.acks.iter().map(|ack| ack.number).collect();
        let lost = missing(last, name, &numbers).await?;
        add(&mut figures, Metric::Acknowledged, numbers.len());
        add(&mut figures, Metric::Lost, lost.len());
        remarks.extend(trace.account_of(&lost, course.signal));
    }
    if let Some(beside) = beside {
        stayed(beside, &course, last, &mut figures).await?;
    }
    let returned = receipt.returned.as_str();
    let verdict = returned.split(':').next().unwrap_or_default();
    if !verdict.is_empty() {
        remarks.push(format!("old primaries returned as {verdict}"));
    }
    Ok(Suffered { figures, remarks })
}

async fn switchover(
    stack: &Stack,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes.address(old);
    let signal = Moment::now();
    let (asked, moved) = tokio::join!(stack.switchover(), traffic.moved(address, signal));
    asked?;
    let moved = moved?;
    tokio::time::sleep(AFTER_CHANGE).await;
    Ok(Course {
        signal,
        deposed: signal,
        moved,
    })
}

async fn kill(stack: &Stack, traffic: &mut Traffic, old: usize) -> Result<Course, BenchError> {
    let address = stack.nodes.address(old);
    let signal = Moment::now();
    stack.nodes.kill(old)?;
    let moved = traffic.moved(address, signal).await?;
    stack.nodes.readmit(old)?;
    Ok(Course {
        signal,
        deposed: signal,
        moved,
    })
}

async fn stop(
    ground: &Ground,
    stack: &mut Stack,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes.address(old);
    let signal = Moment::now();
    stack.nodes.freeze(old)?;
    let moved = traffic.moved(address, signal).await;
    tokio::time::sleep(ground.options.frozen()).await;
    let deposed = Moment::now();
    stack.nodes.thaw(old)?;
    let moved = moved?;
    tokio::time::sleep(AFTER_RETURN).await;
    Ok(Course {
        signal,
        deposed,
        moved,
    })
}

async fn cut(
    ground: &Ground,
    stack: &Stack,
    traffic: &mut Traffic,
    old: usize,
) -> Result<Course, BenchError> {
    let address = stack.nodes.address(old);
    let signal = Moment::now();
    ground.network.cut(old)?;
    let moved = traffic.moved(address, signal).await;
    tokio::time::sleep(ground.options.frozen()).await;
    ground.network.heal(old)?;
    let moved = moved?;
    tokio::time::sleep(AFTER_RETURN).await;
    Ok(Course {
        signal,
        deposed: moved.served,
        moved,
    })
}

/// What the writers saw.
fn measured(fault: Fault, course: &Course, writers: &[(String, Trace)]) -> Figures {
    let traces = || writers.iter().map(|(_name, trace)| trace);
    let mut figures = Figures::new();
    let moved = course.moved;
    figures.insert(Metric::Notice, moved.noticed.ms_since(course.signal));
    figures.insert(Metric::Served, moved.served.ms_since(course.signal));
    let changes = traces().map(|trace| trace.changes_since(course.signal));
    add(&mut figures, Metric::Changes, changes.max().unwrap_or(0));
    let unknown = traces().map(|trace| trace.unknown.iter().filter(|at| **at >= course.signal));
    add(
        &mut figures,
        Metric::Unknown,
        unknown.map(Iterator::count).sum(),
    );
    if fault == Fault::Switchover {
        let until = moved.served.plus(AFTER_CHANGE);
        let gaps = traces().map(|trace| trace.longest_gap_ms(course.signal, until));
        figures.insert(Metric::Pause, gaps.fold(0.0, f64::max));
        let refused = traces().flat_map(|trace| trace.refusals_since(course.signal).into_values());
        add(&mut figures, Metric::Refused, refused.sum());
    }
    figures
}

/// How the change divides, by the system's own account.
fn account(receipt: &Receipt) -> Figures {
    let phases = [
        (Phase::Detected, Metric::Detected),
        (Phase::Fenced, Metric::Fenced),
        (Phase::Surveyed, Metric::Surveyed),
        (Phase::Committed, Metric::Committed),
        (Phase::Confirmed, Metric::Confirmed),
    ];
    let timeline = &receipt.account.timeline;
    let found = phases.into_iter().filter_map(|(phase, metric)| {
        let at = Duration::from_millis(timeline.get(&phase)?.0);
        Some((metric, at.as_secs_f64() * 1e3))
    });
    found.collect()
}

/// What the writer beside the old primary was told, and what of it is still there.
async fn stayed(
    beside: Beside,
    course: &Course,
    last: SocketAddr,
    figures: &mut Figures,
) -> Result<(), BenchError> {
    let name = beside.name.clone();
    let noted = beside.stop().await?;
    let numbers: Vec<u64> = noted.iter().map(|one| one.number).collect();
    let lost = missing(last, &name, &numbers).await?;
    // One that it had, and a replica too, before the signal may be answered late: nothing comes of it.
    let counts = |one: &&Noted| {
        one.answered >= course.deposed && (one.sent >= course.signal || lost.contains(&one.number))
    };
    add(figures, Metric::Stale, noted.iter().filter(counts).count());
    add(figures, Metric::Acknowledged, numbers.len());
    add(figures, Metric::Lost, lost.len());
    Ok(())
}

/// Those of these writes that the last primary does not have.
async fn missing(
    last: SocketAddr,
    writer: &str,
    numbers: &[u64],
) -> Result<BTreeSet<u64>, BenchError> {
    let missing = link::missing(last, OPERATOR, writer, numbers).await;
    missing.map_err(|source| BenchError::Mariadb {
        what: "reading back what was acknowledged",
        address: last,
        source,
    })
}
