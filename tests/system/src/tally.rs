//! What happened in runs, so that one in which nothing did is noticed.

use std::fmt;
use std::time::Duration;

/// How a line begins that holds a tally.
const LINE: &str = "tally: ";

/// What happened in one run, or in several.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How long was simulated.
    pub simulated: Duration,
    /// What went wrong.
    pub faults: u64,
    /// Servers taken down.
    pub downs: u64,
    /// Of these, with something lost that was not durable.
    pub lossy: u64,
    /// Terms with a leader.
    pub elections: u64,
    /// Reads of registers that were answered.
    pub reads: u64,
    /// Writes that were acknowledged.
    pub writes: u64,
    /// Writes that were refused for the version that they named.
    pub refused: u64,
    /// Writes of which nothing was heard.
    pub unknown: u64,
    /// Changes through the client library that were made.
    pub made: u64,
    /// Changes of which it did not know.
    pub unsure: u64,
    /// How often a store became the primary.
    pub promotions: u64,
    /// Writes to stores that were acknowledged.
    pub acked: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// A number for all that was sent, and when; nothing for several runs.
    pub trace: u64,
}

impl Tally {
    /// A server was taken down; `lossy` when its disk has less than it had written.
    pub fn took_down(&mut self, lossy: bool) {
        self.downs += 1;
        self.lossy += u64::from(lossy);
    }

    /// All of it in one line, for [`Tally::parse`].
    pub fn line(&self) -> String {
        let millis = self.simulated.as_millis() as u64;
        let mut own = self.clone();
        let counts = own.counts_mut().map(|count| count.to_string());
        format!("{LINE}{millis} {} {}", self.trace, counts.join(" "))
    }

    /// What a line says; None when it is another kind of line.
    pub fn parse(line: &str) -> Option<Self> {
        let numbers = line.strip_prefix(LINE)?.split(' ');
        let mut numbers = numbers.map(|number| number.parse::<u64>());
        let mut next = || numbers.next().and_then(Result::ok);
        let mut tally = Self {
            simulated: Duration::from_millis(next()?),
            trace: next()?,
            ..Self::default()
        };
        for count in tally.counts_mut() {
            *count = next()?;
        }
        Some(tally)
    }

    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.simulated += other.simulated;
        self.trace = 0;
        for (sum, more) in self
            .counts_mut()
            .into_iter()
            .zip(other.clone().counts_mut())
        {
            *sum += *more;
        }
    }

    fn counts_mut(&mut self) -> [&mut u64; 13] {
        [
            &mut self.faults,
            &mut self.downs,
            &mut self.lossy,
            &mut self.elections,
            &mut self.reads,
            &mut self.writes,
            &mut self.refused,
            &mut self.unknown,
            &mut self.made,
            &mut self.unsure,
            &mut self.promotions,
            &mut self.acked,
            &mut self.bytes,
        ]
    }

    /// What never happened, of what has to happen sometimes.
    pub fn never(&self) -> Vec<&'static str> {
        let wanted = [
            (self.downs, "no server was taken down"),
            (self.lossy, "no power cut lost anything"),
            (self.elections, "nobody was elected"),
            (self.reads, "no read was answered"),
            (self.writes, "no write was acknowledged"),
            (self.refused, "no write was refused"),
            (self.unknown, "no outcome was unknown"),
            (self.promotions, "no store became the primary"),
            (self.acked, "no write to a store was acknowledged"),
            (self.made, "no change was made through the client library"),
        ];
        let never = wanted.into_iter().filter(|(count, _)| *count == 0);
        never.map(|(_, what)| what).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            faults,
            downs,
            lossy,
            elections,
            reads,
            writes,
            refused,
            unknown,
            ..
        } = self;
        write!(
            f,
            "{:.0} s simulated, {faults} faults, {downs} servers taken down ({lossy} lost unsynced data), {elections} \
             elections, {reads} reads, {writes} writes, {refused} refused, {unknown} unknown, {} changes, {} unsure, \
             {} promotions, {} writes to stores, {} kB sent",
            self.simulated.as_secs_f64(),
            self.made,
            self.unsure,
            self.promotions,
            self.acked,
            self.bytes / 1_000,
        )?;
        match self.trace {
            0 => Ok(()),
            trace => write!(f, ", trace {trace:016x}"),
        }
    }
}
