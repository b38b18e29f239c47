//! Load on the service `Copies`: clients that each wait for their answer before they ask again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tenure_proto::v1::{self, copies_client::CopiesClient};
use tokio::task::JoinSet;
use tonic::transport::{Channel, Endpoint};

use crate::error::BenchError;
use crate::say;

pub const SERVICE: &str = "git-server";
/// Items of one call while they are placed, and of a call that locates.
const PER_CALL: usize = 1_000;
const LOCATING: usize = 8;

/// How long a call is tried again while nobody leads.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whether a refusal passes by itself.
fn passes(status: &tonic::Status) -> bool {
    matches!(
        status.code(),
        tonic::Code::Unavailable | tonic::Code::Unknown
    )
}

/// An item, where its copies are, and its version.
pub struct Item {
    name: String,
    on: Vec<u64>,
    version: AtomicU64,
}

async fn connect(address: &str) -> Result<CopiesClient<Channel>, BenchError> {
    let connected = async {
        let endpoint = Endpoint::from_shared(address.to_owned())?;
        endpoint.tcp_nodelay(true).connect().await
    };
    let channel = connected.await.map_err(|source| BenchError::Connect {
        address: address.to_owned(),
        source,
    })?;
    Ok(CopiesClient::new(channel).max_decoding_message_size(16 << 20))
}

fn name(of: u64) -> String {
    let digest = {
        let mut digest = tenure_core::Digest::new();
        digest.update(&of.to_be_bytes());
        digest.value()
    };
    format!("repo/{digest:016x}{of:x}")
}

fn rate(count: u64, taken: Duration) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let count = count as f64;
    count / taken.as_secs_f64().max(1e-9)
}

/// Places all items and writes each once.
pub async fn place(address: &str, items: u64) -> Result<Arc<Vec<Item>>, BenchError> {
    let mut client = connect(address).await?;
    let mut all = Vec::new();
    let begun = Instant::now();
    let mut next = 0;
    while next < items {
        let end = items.min(next + PER_CALL as u64);
        let names: Vec<String> = (next..end).map(name).collect();
        next = end;
        let item = |name: &String| v1::place_items_request::Item {
            name: name.clone(),
            copies: 0,
        };
        let request = v1::PlaceItemsRequest {
            service: SERVICE.to_owned(),
            items: names.iter().map(item).collect(),
            actor: String::new(),
        };
        let placed = client.place(request).await;
        let placed = placed.map_err(BenchError::refused("placing"))?.into_inner();
        for (name, located) in names.into_iter().zip(placed.items) {
            check("placing", located.refusal.as_ref())?;
            let (on, version) = (located.writable, AtomicU64::new(located.version));
            all.push(Item { name, on, version });
        }
    }
    let taken = begun.elapsed();
    say(&format!(
        "placed {items} items in batches of {PER_CALL}, one client: {:.0} a second",
        rate(items, taken)
    ));
    for part in all.chunks(PER_CALL) {
        write(&mut client, part).await?;
    }
    Ok(Arc::new(all))
}

fn check(what: &'static str, refusal: Option<&v1::ItemRefusal>) -> Result<(), BenchError> {
    match refusal {
        None => Ok(()),
        Some(refusal) => Err(BenchError::Item {
            what,
            why: refusal.detail.clone(),
        }),
    }
}

/// Reports another write of each to all of its copies.
async fn write(client: &mut CopiesClient<Channel>, items: &[Item]) -> Result<(), BenchError> {
    let report = |item: &Item| {
        let version = item.version.fetch_add(1, Ordering::Relaxed);
        v1::ReportedItem {
            name: item.name.clone(),
            replaces: version,
            version: version + 1,
            checksum: [7_u8; 32].to_vec().into(),
            size: 1 << 20,
            holders: item.on.clone(),
        }
    };
    let request = v1::ReportCopiesRequest {
        service: SERVICE.to_owned(),
        items: items.iter().map(report).collect(),
        actor: String::new(),
    };
    // A report that is repeated is one of who caught up: nothing is counted twice, and a change of leader ends no bench.
    let begun = Instant::now();
    let told = loop {
        match client.report(request.clone()).await {
            Err(status) if passes(&status) && begun.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            told => break told.map_err(BenchError::refused("reporting"))?.into_inner(),
        }
    };
    told.items
        .iter()
        .try_for_each(|answer| check("reporting", answer.refusal.as_ref()))
}

/// Runs clients, each over its own part of the items, until the time is up; gives calls and their latencies.
async fn run<F>(
    clients: usize,
    items: &Arc<Vec<Item>>,
    batch: usize,
    call: impl Fn(usize, usize) -> F,
) -> Result<(u64, Histogram<u64>), BenchError>
where
    F: Future<Output = Result<(u64, Histogram<u64>), BenchError>> + Send + 'static,
{
    let part = (items.len() / clients).max(batch.min(items.len()));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let from = (client * part).min(items.len());
        let to = (from + part).min(items.len());
        if from < to {
            tasks.spawn(call(from, to));
        }
    }
    let (mut count, mut all) = (0, histogram());
    while let Some(done) = tasks.join_next().await {
        let (of_client, latencies) = done??;
        count += of_client;
        // Both have the same bounds.
        let _same = all.add(latencies);
    }
    Ok((count, all))
}

fn histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new(3).unwrap_or_else(|_| unreachable!("3 digits are allowed"));
    histogram.auto(true);
    histogram
}

fn note(latencies: &mut Histogram<u64>, since: Instant) {
    let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
    // It grows as needed.
    let _recorded = latencies.record(micros);
}

fn told(what: &str, count: u64, taken: Duration, latencies: &Histogram<u64>) {
    say(&format!(
        "{what}: {:.0} items a second; a call takes {} us (median), {} us (99 of 100)",
        rate(count, taken),
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99)
    ));
}

pub async fn update(
    address: &str,
    items: &Arc<Vec<Item>>,
    batch: usize,
    clients: usize,
    time: Duration,
) -> Result<(), BenchError> {
    let begun = Instant::now();
    let call = |from: usize, to: usize| {
        let (address, items) = (address.to_owned(), items.clone());
        async move {
            let mut client = connect(&address).await?;
            let (mut count, mut latencies) = (0, histogram());
            loop {
                for part in items[from..to].chunks(batch) {
                    let asked = Instant::now();
                    write(&mut client, part).await?;
                    note(&mut latencies, asked);
                    count += part.len() as u64;
                    if begun.elapsed() >= time {
                        return Ok((count, latencies));
                    }
                }
            }
        }
    };
    let (count, latencies) = run(clients, items, batch, call).await?;
    let what = format!("updates in batches of {batch}, {clients} clients");
    told(&what, count, begun.elapsed(), &latencies);
    Ok(())
}

pub async fn locate(
    address: &str,
    items: &Arc<Vec<Item>>,
    local: bool,
    time: Duration,
) -> Result<(), BenchError> {
    let begun = Instant::now();
    let call = |from: usize, to: usize| {
        let (address, items) = (address.to_owned(), items.clone());
        async move {
            let mut client = connect(&address).await?;
            let (mut count, mut latencies) = (0, histogram());
            loop {
                for part in items[from..to].chunks(PER_CALL) {
                    let request = v1::LocateRequest {
                        service: SERVICE.to_owned(),
                        items: part.iter().map(|item| item.name.clone()).collect(),
                        zone: "z1".to_owned(),
                        consistency: local.then_some(v1::Consistency {
                            local_max_age_ms: Some(1_000),
                        }),
                    };
                    let asked = Instant::now();
                    let located = client.locate(request).await;
                    let located = located.map_err(BenchError::refused("locating"))?;
                    note(&mut latencies, asked);
                    count += located.into_inner().items.len() as u64;
                    if begun.elapsed() >= time {
                        return Ok((count, latencies));
                    }
                }
            }
        }
    };
    let (count, latencies) = run(LOCATING, items, PER_CALL, call).await?;
    let consistency = if local { "local" } else { "linearizable" };
    let what = format!("located in batches of {PER_CALL}, {LOCATING} clients, {consistency}");
    told(&what, count, begun.elapsed(), &latencies);
    Ok(())
}
