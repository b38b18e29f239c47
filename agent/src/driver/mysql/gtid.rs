//! What an instance has, as either dialect names it: MariaDB by the latest transaction of each domain, MySQL
//! by the set of all transactions.
//!
//! The offset of a position is how many transactions that is: the sum of the latest sequence numbers of
//! MariaDB's domains (`gtid_strict_mode` has them grow by one), the size of MySQL's set. Along one history both
//! only grow, and what is one history is said by the epochs written into the data ([`super::lineage`]).

use std::collections::BTreeMap;
use std::fmt;

use super::dialect::Dialect;

/// What an instance has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Gtids {
    /// By domain: who wrote the latest transaction, and its sequence number.
    Latest(BTreeMap<u32, (u32, u64)>),
    /// By source: the intervals of numbers, ascending and apart from each other, both ends included.
    All(BTreeMap<String, Vec<(u64, u64)>>),
}

impl Gtids {
    /// None when the text is not of that dialect.
    pub(super) fn read(dialect: Dialect, text: &str) -> Option<Self> {
        let parts = text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty());
        match dialect {
            Dialect::MariaDb => {
                let mut latest = BTreeMap::new();
                for part in parts {
                    let (domain, server, sequence) = three(part)?;
                    let known = latest.entry(domain).or_insert((server, sequence));
                    if known.1 < sequence {
                        *known = (server, sequence);
                    }
                }
                Some(Self::Latest(latest))
            }
            Dialect::MySql => {
                let mut all: BTreeMap<String, Vec<(u64, u64)>> = BTreeMap::new();
                for part in parts {
                    let (source, intervals) = source_and_intervals(part)?;
                    all.entry(source).or_default().extend(intervals);
                }
                let tidied = all.into_iter().map(|(source, them)| (source, tidy(them)));
                Some(Self::All(tidied.collect()))
            }
        }
    }

    /// Nothing.
    pub(super) fn none(dialect: Dialect) -> Self {
        match dialect {
            Dialect::MariaDb => Self::Latest(BTreeMap::new()),
            Dialect::MySql => Self::All(BTreeMap::new()),
        }
    }

    /// How many transactions that is.
    pub(super) fn count(&self) -> u64 {
        match self {
            Self::Latest(latest) => {
                let each = latest.values().map(|(_, sequence)| *sequence);
                each.fold(0, u64::saturating_add)
            }
            Self::All(all) => {
                let each = all.values().flatten();
                let each = each.map(|(from, to)| to.saturating_sub(*from).saturating_add(1));
                each.fold(0, u64::saturating_add)
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether everything of another of the same history is in it.
    pub(super) fn has_all_of(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Latest(own), Self::Latest(other)) => {
                other.iter().all(|(domain, (_, sequence))| {
                    own.get(domain).is_some_and(|(_, own)| own >= sequence) || *sequence == 0
                })
            }
            (Self::All(_), Self::All(_)) => other.without(self).is_empty(),
            (Self::Latest(_), Self::All(_)) | (Self::All(_), Self::Latest(_)) => false,
        }
    }

    /// Both together, of one history.
    pub(super) fn with(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Latest(own), Self::Latest(other)) => {
                let mut both = own.clone();
                for (domain, latest) in other {
                    let known = both.entry(*domain).or_insert(*latest);
                    if known.1 < latest.1 {
                        *known = *latest;
                    }
                }
                Self::Latest(both)
            }
            (Self::All(own), Self::All(other)) => {
                let mut both = own.clone();
                for (source, intervals) in other {
                    let known = both.entry(source.clone()).or_default();
                    known.extend(intervals);
                    *known = tidy(std::mem::take(known));
                }
                Self::All(both)
            }
            (Self::Latest(_), Self::All(_)) | (Self::All(_), Self::Latest(_)) => self.clone(),
        }
    }

    /// What is in this and not in the other. Of MariaDB's it is what comes after the other in each domain.
    pub(super) fn without(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::All(own), Self::All(other)) => {
                let mut left = BTreeMap::new();
                for (source, intervals) in own {
                    let taken = other.get(source).map_or(&[][..], Vec::as_slice);
                    let rest = subtract(intervals, taken);
                    if !rest.is_empty() {
                        left.insert(source.clone(), rest);
                    }
                }
                Self::All(left)
            }
            (Self::Latest(own), Self::Latest(other)) => {
                let newer = own.iter().filter(|(domain, (_, sequence))| {
                    other.get(domain).is_none_or(|(_, other)| other < sequence)
                });
                Self::Latest(newer.map(|(domain, latest)| (*domain, *latest)).collect())
            }
            (Self::Latest(_), Self::All(_)) | (Self::All(_), Self::Latest(_)) => self.clone(),
        }
    }
}

impl fmt::Display for Gtids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: Vec<String> = match self {
            Self::Latest(latest) => {
                let each = latest.iter();
                each.map(|(domain, (server, sequence))| format!("{domain}-{server}-{sequence}"))
                    .collect()
            }
            Self::All(all) => all
                .iter()
                .map(|(source, intervals)| {
                    let each = intervals.iter().map(|(from, to)| match from == to {
                        true => format!(":{from}"),
                        false => format!(":{from}-{to}"),
                    });
                    format!("{source}{}", each.collect::<String>())
                })
                .collect(),
        };
        f.write_str(&text.join(","))
    }
}

/// What MariaDB's log has ever had: the latest sequence number of each domain and server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Written(BTreeMap<(u32, u32), u64>);

impl Written {
    /// Reads `gtid_binlog_state`.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut written = BTreeMap::new();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            let (domain, server, sequence) = three(part)?;
            let known = written.entry((domain, server)).or_insert(sequence);
            *known = sequence.max(*known);
        }
        Some(Self(written))
    }

    /// The state of a log that ends with these, which is the last of its domain in it.
    pub(super) fn up_to(&self, end: &Gtids) -> String {
        let Gtids::Latest(end) = end else {
            return String::new();
        };
        let kept = |(domain, server): &(u32, u32), sequence: &u64| {
            let (last, upto) = end.get(domain)?;
            let before = (server != last).then(|| (*sequence).min(upto.saturating_sub(1)));
            before.filter(|it| *it > 0 && it == sequence)
        };
        let before = self.0.iter().filter_map(|(of, sequence)| {
            let kept = kept(of, sequence)?;
            Some((of.0, kept, format!("{}-{}-{kept}", of.0, of.1)))
        });
        let ends = end.iter().map(|(domain, (server, sequence))| {
            (*domain, *sequence, format!("{domain}-{server}-{sequence}"))
        });
        let mut all: Vec<(u32, u64, String)> = before.chain(ends).collect();
        all.sort();
        let texts: Vec<String> = all.into_iter().map(|(_, _, text)| text).collect();
        texts.join(",")
    }

    /// Up to where the logs are the same, by domain: the latest transaction that each has of one server.
    pub(super) fn shared_with(&self, other: &Self) -> Gtids {
        let mut shared: BTreeMap<u32, (u32, u64)> = BTreeMap::new();
        for ((domain, server), own) in &self.0 {
            let Some(other) = other.0.get(&(*domain, *server)) else {
                continue;
            };
            let sequence = *own.min(other);
            let known = shared.entry(*domain).or_insert((*server, sequence));
            if known.1 < sequence {
                *known = (*server, sequence);
            }
        }
        Gtids::Latest(shared)
    }
}

fn three(text: &str) -> Option<(u32, u32, u64)> {
    let mut parts = text.split('-');
    let three = (
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
        parts.next()?.parse().ok()?,
    );
    parts.next().is_none().then_some(three)
}

/// A source is a UUID, with a tag behind it where the server has tags.
fn source_and_intervals(text: &str) -> Option<(String, Vec<(u64, u64)>)> {
    let mut parts = text.split(':').map(str::trim);
    let mut source = parts.next()?.to_lowercase();
    let is_uuid =
        source.len() == 36 && source.chars().all(|it| it == '-' || it.is_ascii_hexdigit());
    if !is_uuid {
        return None;
    }
    let mut intervals = Vec::new();
    for part in parts {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        match (from.trim().parse(), to.trim().parse()) {
            (Ok(from), Ok(to)) if from <= to => intervals.push((from, to)),
            _ if intervals.is_empty()
                && part.starts_with(|it: char| it.is_ascii_lowercase() || it == '_') =>
            {
                source = format!("{source}:{part}");
            }
            _ => return None,
        }
    }
    (!intervals.is_empty()).then_some((source, intervals))
}

/// Ascending, and apart from each other.
fn tidy(mut intervals: Vec<(u64, u64)>) -> Vec<(u64, u64)> {
    intervals.sort_unstable();
    let mut tidied: Vec<(u64, u64)> = Vec::new();
    for (from, to) in intervals {
        match tidied.last_mut() {
            Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
            Some(_) | None => tidied.push((from, to)),
        }
    }
    tidied
}

fn subtract(own: &[(u64, u64)], taken: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = own.to_vec();
    for (from, to) in taken {
        let cut = left.iter().flat_map(|(start, end)| {
            let before = (start < from).then(|| (*start, *end.min(&from.saturating_sub(1))));
            let after = (end > to).then(|| (*start.max(&to.saturating_add(1)), *end));
            let apart = end < from || start > to;
            match apart {
                true => vec![(*start, *end)],
                false => before.into_iter().chain(after).collect(),
            }
        });
        left = cut.collect();
    }
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn maria(text: &str) -> Gtids {
        Gtids::read(Dialect::MariaDb, text).unwrap()
    }

    fn mysql(text: &str) -> Gtids {
        Gtids::read(Dialect::MySql, text).unwrap()
    }

    #[test]
    fn both_dialects_are_read_and_shown() {
        assert_eq!(maria("0-1-5, 1-2-7").to_string(), "0-1-5,1-2-7");
        assert_eq!((maria("0-1-5,1-2-7").count(), maria("").count()), (12, 0));
        let text = format!("{A}:1-5:7,\n{B}:1-3:4-6");
        let set = mysql(&text);
        assert_eq!(set.to_string(), format!("{A}:1-5:7,{B}:1-6"));
        assert_eq!(set.count(), 12);
        assert_eq!(
            mysql(&format!("{A}:tag:1-2")).to_string(),
            format!("{A}:tag:1-2")
        );
    }

    #[test]
    fn rubbish_is_nothing() {
        for text in ["0-1", "0-1-2-3", "a-b-c", "0:1-5"] {
            assert_eq!(Gtids::read(Dialect::MariaDb, text), None, "{text}");
        }
        for text in ["0-1-5", "x:1", A, &format!("{A}:5-1"), &format!("{A}:1:x")] {
            assert_eq!(Gtids::read(Dialect::MySql, text), None, "{text}");
        }
    }

    #[test]
    fn what_one_has_and_the_other_has_not() {
        let both = mysql(&format!("{A}:1-10:20,{B}:1"));
        let less = mysql(&format!("{A}:3-4:8-10"));
        assert!(both.has_all_of(&less) && !less.has_all_of(&both));
        let left = both.without(&less);
        assert_eq!(left.to_string(), format!("{A}:1-2:5-7:20,{B}:1"));
        assert_eq!(left.with(&less), both);
        assert!(
            maria("0-2-9").has_all_of(&maria("0-1-8"))
                && !maria("0-1-8").has_all_of(&maria("0-1-9"))
        );
        assert!(maria("").has_all_of(&maria("")) && !maria("0-1-1").has_all_of(&maria("1-1-1")));
        assert_eq!(
            maria("0-1-8").with(&maria("0-2-9,1-1-1")).to_string(),
            "0-2-9,1-1-1"
        );
    }

    #[test]
    fn a_log_that_is_cut_ends_with_what_is_kept() {
        let written = Written::read("0-1-104,0-2-120,0-3-90").unwrap();
        assert_eq!(written.up_to(&maria("0-2-118")), "0-3-90,0-1-104,0-2-118");
        // What a server wrote beyond is not known to have begun before.
        assert_eq!(written.up_to(&maria("0-1-100")), "0-3-90,0-1-100");
        assert_eq!(written.up_to(&maria("")), "");
    }

    #[test]
    fn logs_of_mariadb_are_the_same_up_to_what_both_have_of_one_server() {
        let table = [
            // The successor goes on where the other stopped.
            ("0-1-104", "0-1-104,0-2-120", "0-1-104"),
            // The other has a tail.
            ("0-1-110", "0-1-104,0-2-120", "0-1-104"),
            // The other lacks the latest part.
            ("0-1-90", "0-1-104,0-2-120", "0-1-90"),
            // It was promoted itself, and nobody has what it wrote then.
            ("0-1-104,0-2-105", "0-1-104,0-3-107", "0-1-104"),
            ("0-2-1", "0-1-5", ""),
        ];
        for (own, theirs, shared) in table {
            let (own, theirs) = (Written::read(own).unwrap(), Written::read(theirs).unwrap());
            assert_eq!(own.shared_with(&theirs).to_string(), shared);
        }
    }
}
