//! What the failovers showed, by condition: how long they took, how much was planned meanwhile, and where the time went.

use std::time::Duration;

use tenure_benches::summary::{median, quantile, range, readable, table};
use tenure_client::core::Phase;

use super::Wanted;
use super::round::{Sample, When};

/// A condition, and what was seen under it.
pub struct Column {
    name: &'static str,
    pub when: When,
    pub fetch: Duration,
    samples: Vec<Sample>,
    /// Rounds in which the primary was killed, or was to be.
    rounds: usize,
}

impl Column {
    pub fn new(name: &'static str, when: When, fetch: Duration) -> Self {
        Self {
            name,
            when,
            fetch,
            samples: Vec::new(),
            rounds: 0,
        }
    }

    pub fn add(&mut self, sample: Option<Sample>) {
        self.rounds += 1;
        self.samples.extend(sample);
    }

    /// The samples that count.
    fn counted(&self) -> impl Iterator<Item = &Sample> {
        self.samples.iter().filter(|it| it.counts(self.when))
    }

    fn of(&self, value: impl Fn(&Sample) -> Option<f64>) -> Vec<f64> {
        self.counted().filter_map(value).collect()
    }

    fn served(&self) -> Vec<f64> {
        self.of(|sample| Some(sample.served_ms))
    }

    fn times(&self, base: Option<f64>) -> Vec<String> {
        let served = self.served();
        let middle = median(&served);
        let ratio = middle.zip(base).map(|(middle, base)| middle / base);
        let greatest = range(&served).map(|(_, greatest)| greatest);
        let counted = format!("{} of {}", served.len(), self.rounds);
        let values = [middle, quantile(&served, 0.95), greatest, ratio];
        let cells = [self.name.to_owned(), counted].into_iter();
        cells.chain(values.map(cell)).collect()
    }

    /// Medians of what lay within the failovers.
    fn parts(&self) -> Vec<String> {
        let parts = [
            (Phase::Detected, Phase::Surveyed),
            (Phase::Surveyed, Phase::Committed),
            (Phase::Committed, Phase::Confirmed),
        ];
        let between = |(from, to)| median(&self.of(|sample| sample.between(from, to)));
        let orders = median(&self.of(|sample| count(sample.orders_within)));
        let first = median(&self.of(|sample| sample.first_order_ms));
        let lacking = median(&self.of(|sample| count_of(sample.lacking_after)));
        let values = parts.map(between).into_iter();
        let cells = values.chain([lacking, orders, first]).map(cell);
        let name = [self.name.to_owned()].into_iter();
        name.chain(cells).collect()
    }
}

fn cell(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), readable)
}

fn count(of: usize) -> Option<f64> {
    u32::try_from(of).ok().map(f64::from)
}

fn count_of(of: u64) -> Option<f64> {
    u32::try_from(of).ok().map(f64::from)
}

fn row(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// The figures. The first column is what the others are compared with.
pub fn text(wanted: &Wanted<'_>, columns: &[Column]) -> String {
    let base = columns.first().and_then(|first| median(&first.served()));
    let times: Vec<_> = columns.iter().map(|it| it.times(base)).collect();
    let parts: Vec<_> = columns.iter().map(Column::parts).collect();
    let samples = || columns.iter().flat_map(|it| &it.samples);
    let acknowledged: usize = samples().map(|it| it.acknowledged).sum();
    let lost: usize = samples().map(|it| it.lost).sum();
    let (items, nodes) = (wanted.items, wanted.nodes);
    let fetch = wanted.fetch.as_millis();
    let head = ["ms", "count", "median", "p95", "max", "times the first"];
    let of_parts = [
        "medians",
        "to surveyed, ms",
        "to committed",
        "to confirmed",
        "items lacking",
        "orders",
        "first, ms",
    ];
    format!(
        "failover of Redis (3 redis-servers under 3 agents, WAIT 1) beside {items} items of three copies on {nodes} nodes, from \
         SIGKILL of the primary's redis-server to the first write that the new primary acknowledged:\n{}\
         a loss: a node is silent for the slow lease of 10 s and comes back after the failover; the grace before repair is 0. A \
         node says after {fetch} ms, or at once, that all that it was ordered is done; no data move. The primary is killed once \
         hundreds of items were ordered to be fetched, or when the lease ends: then the loss is found within 20 ms, or after the \
         failover. A round counts when one server led all the time and, amid a repair, when items still lacked copies at its end. \
         Between the signal and the end so many \"orders\" to fetch reached nodes in the median, the \"first\" so long after the \
         signal. The first three are the servers' own account, from the detection on:\n{}\
         acknowledged writes {acknowledged}, of which the last primary lacked {lost}",
        table(&row(&head), &times),
        table(&row(&of_parts), &parts),
    )
}
