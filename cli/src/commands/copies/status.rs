//! `copies status`: whether every item has its copies, and what is being made good.

use super::{Context, look, services};
use crate::{
    exit::{Exit, Failure},
    output::{Bar, Out, amount, shape},
};
use clap::Args;
use std::time::Duration;
use tenure_client::copies::{
    CopiesStatus, RebalanceStatus, RepairStatus, StoreStatus, VerifyStatus,
};
use tenure_core::ServiceName;
use tokio::time::{Instant, sleep, timeout_at};

/// How often it is looked again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Of which service.
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// The service; all that keep copies of items when left out
    service: Option<ServiceName>,
    /// Wait with a bar until no item lacks copies, for at most --deadline
    #[arg(long)]
    watch: bool,
}

pub(super) async fn run(args: StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let cluster = context.cluster().await?;
    let names = match args.service {
        Some(name) => vec![name],
        None => services(&cluster).await?,
    };
    let mut all = Vec::new();
    for name in names {
        let copies = cluster.client().copies(name.clone());
        let mut status = look(&copies).await?;
        if args.watch {
            let until = Instant::now() + context.global.deadline;
            let total = status.summary.under_replicated;
            let mut bar = Bar::new(context.out.json);
            while status.summary.under_replicated > 0 {
                draw(&mut bar, total, &status);
                if Instant::now() + LOOK_EVERY >= until {
                    break;
                }
                sleep(LOOK_EVERY).await;
                match timeout_at(until, look(&copies)).await {
                    Ok(now) => status = now?,
                    Err(_late) => break,
                }
            }
        }
        all.push((name, status));
    }
    let shapes: Vec<_> = all
        .iter()
        .map(|(name, status)| shape::CopiesOf::new(name, status))
        .collect();
    context.out.show(&shapes, || text(context.out, &all))?;
    Ok(all.iter().map(|(_, it)| exit(it)).max().unwrap_or(Exit::Ok))
}

fn draw(bar: &mut Bar, total: u64, status: &CopiesStatus) {
    let left = status.summary.under_replicated;
    let mut words = format!("{left} items lack copies");
    if let Some(repair) = &status.repair {
        words.push_str(&format!("; {}", running(repair)));
    }
    bar.draw(total.saturating_sub(left), total.max(left), &words);
}

fn exit(status: &CopiesStatus) -> Exit {
    let unreadable = status.summary.by_usable.get(&0).copied().unwrap_or(0);
    if unreadable > 0 {
        return Exit::Critical;
    }
    let lost = status.stores.iter().any(|store| store.lost);
    let differ = status.verify.as_ref().is_some_and(|it| it.differ > 0);
    if status.summary.under_replicated > 0 || lost || differ {
        Exit::Warning
    } else {
        Exit::Ok
    }
}

fn text(out: Out, all: &[(ServiceName, CopiesStatus)]) -> String {
    if all.is_empty() {
        return "no service keeps copies of items".to_owned();
    }
    let each = all.iter().map(|(name, status)| service(out, name, status));
    each.collect::<Vec<_>>().join("\n\n")
}

fn service(out: Out, name: &ServiceName, status: &CopiesStatus) -> String {
    let mut lines = vec![heading(name, status)];
    for (copies, items) in &status.summary.by_usable {
        lines.push(format!("  {items} with {copies} fresh"));
    }
    lines.extend(status.repair.iter().flat_map(repair));
    lines.extend(status.rebalance.map(rebalance));
    lines.extend(status.verify.as_ref().map(verify));
    format!("{}\n\n{}", lines.join("\n"), stores(out, &status.stores))
}

fn heading(name: &ServiceName, status: &CopiesStatus) -> String {
    let summary = &status.summary;
    let (items, bytes) = (summary.items, amount::bytes(summary.bytes));
    let lacking = match summary.under_replicated {
        0 => "none lacks copies".to_owned(),
        lacking => {
            let missing = amount::bytes(summary.missing_bytes);
            format!("{lacking} lack copies, {missing} are to be copied")
        }
    };
    let unwritten = match summary.unwritten {
        0 => String::new(),
        unwritten => format!(", {unwritten} not written yet"),
    };
    format!("{name}: {items} items, {bytes}{unwritten}; {lacking}")
}

fn running(repair: &RepairStatus) -> String {
    let mut text = format!("{} transfers run", repair.running);
    if repair.bytes_per_second > 0 {
        let rate = amount::bytes(repair.bytes_per_second);
        text.push_str(&format!(", {rate}/s"));
    }
    if let Some(left) = repair.remaining {
        text.push_str(&format!(", about {} left", amount::length(left)));
    }
    text
}

/// What is done about items that lack copies, and why some wait.
fn repair(repair: &RepairStatus) -> Vec<String> {
    let mut lines = Vec::new();
    if repair.running > 0 || repair.items > 0 || repair.done > 0 {
        let (done, bytes) = (repair.done, amount::bytes(repair.done_bytes));
        let running = running(repair);
        let failed = repair.failed;
        lines.push(format!(
            "repair: {running}; since this leader leads {done} copies made ({bytes}), {failed} attempts failed"
        ));
    }
    if repair.paused {
        lines.push("repair is paused: `tenure resume` lets it go on".to_owned());
    }
    let waits = [
        (repair.waits_for_grace, "wait for their lost node to return"),
        (repair.waits_for_limits, "wait for others to be finished"),
        (repair.waits_after_failure, "are tried again later"),
        (repair.no_source, "have no fresh copy that can be read now"),
        (repair.no_room, "find no further node to go to"),
    ];
    let waits = waits.iter().filter(|(items, _)| *items > 0);
    lines.extend(waits.map(|(items, why)| format!("  {items} {why}")));
    lines
}

fn rebalance(it: RebalanceStatus) -> String {
    let state = if it.paused { "is paused" } else { "goes on" };
    let bytes = amount::bytes(it.bytes);
    format!(
        "rebalancing {state}: {} of {} looked at, {} copies to move ({bytes})",
        it.looked, it.total, it.moves
    )
}

fn verify(it: &VerifyStatus) -> String {
    let state = if it.running { "goes on" } else { "has ended" };
    format!(
        "verification {state}: {} of {} copies compared, {} differ, {} could not be read",
        it.compared, it.copies, it.differ, it.unread
    )
}

fn stores(out: Out, stores: &[StoreStatus]) -> String {
    let mut grid = out.grid(&[
        "node", "zone", "standing", "weight", "items", "fresh", "bytes", "free", "load",
    ]);
    for store in stores {
        grid.row([
            store.name.clone(),
            Some(store.zone.as_str())
                .filter(|zone| !zone.is_empty())
                .unwrap_or("-")
                .to_owned(),
            standing(store).to_owned(),
            store.weight.to_string(),
            store.items.to_string(),
            store.fresh.to_string(),
            amount::bytes(store.fresh_bytes),
            store.free.map_or_else(|| "-".to_owned(), amount::bytes),
            format!("{} %", store.load / 10),
        ]);
    }
    grid.to_string()
}

fn standing(store: &StoreStatus) -> &'static str {
    match (store.lost, store.draining) {
        (true, _) => "lost",
        (false, true) => "draining",
        (false, false) => "ok",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenure_client::Header;
    use tenure_core::{Millis, NodeId, Revision, ServerId, copies::Summary};

    fn status() -> CopiesStatus {
        CopiesStatus {
            header: Header {
                revision: Revision(9),
                age: Millis(0),
                server: ServerId(1),
            },
            summary: Summary {
                items: 3_000,
                bytes: 3_072,
                by_usable: [(3, 3_000)].into(),
                ..Summary::default()
            },
            stores: vec![StoreStatus {
                node: NodeId(7),
                name: "storage-1".to_owned(),
                zone: "a".to_owned(),
                weight: 100,
                lost: false,
                draining: false,
                items: 3_000,
                fresh: 3_000,
                fresh_bytes: 3_072,
                free: Some(1 << 30),
                total: Some(1 << 31),
                load: 15,
            }],
            repair: Some(RepairStatus::default()),
            rebalance: None,
            verify: None,
        }
    }

    fn told(status: &CopiesStatus) -> String {
        let out = Out {
            json: false,
            width: None,
        };
        let name = ServiceName::new("git-server").unwrap();
        text(out, &[(name, status.clone())])
    }

    #[test]
    fn a_service_that_is_well_is_told_in_few_lines() {
        let wanted = "\
git-server: 3000 items, 3.0 KiB; none lacks copies
  3000 with 3 fresh

NODE       ZONE  STANDING  WEIGHT  ITEMS  FRESH  BYTES    FREE     LOAD
storage-1  a     ok        100     3000   3000   3.0 KiB  1.0 GiB  1 %";
        assert_eq!(told(&status()), wanted);
        assert_eq!(exit(&status()), Exit::Ok);
    }

    #[test]
    fn what_lacks_copies_is_told_with_what_is_done_about_it() {
        let mut status = status();
        status.summary.under_replicated = 8;
        status.summary.missing_bytes = 2_048;
        status.summary.by_usable = [(2, 8), (3, 2_992)].into();
        status.repair = Some(RepairStatus {
            items: 8,
            running: 3,
            done: 20,
            done_bytes: 1_024,
            bytes_per_second: 1_024,
            remaining: Some(Duration::from_secs(2)),
            waits_for_grace: 5,
            ..RepairStatus::default()
        });
        let told = told(&status);
        let wanted = "\
git-server: 3000 items, 3.0 KiB; 8 lack copies, 2.0 KiB are to be copied
  8 with 2 fresh
  2992 with 3 fresh
repair: 3 transfers run, 1.0 KiB/s, about 2 s left; since this leader leads 20 copies made (1.0 KiB), 0 attempts failed
  5 wait for their lost node to return
";
        assert!(told.starts_with(wanted), "{told}");
        assert_eq!(exit(&status), Exit::Warning);
        status.summary.by_usable.insert(0, 1);
        assert_eq!(exit(&status), Exit::Critical);
    }
}
