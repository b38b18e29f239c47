//! Which history the data belongs to: a row for each change of primary, written by the new primary before
//! anything else and replicated like any other write.
//!
//! GTIDs alone do not say it: an old primary with a tail of its own and its successor may have got equally
//! far. So a position's history is the latest epoch in the data, and its offset how many transactions there
//! are ([`super::gtid`]): two instances that name the same epoch hold prefixes of what one primary wrote.

use tenure_core::{Epoch, Note, Position, Rejoin};

use super::dialect::Dialect;
use super::gtid::{Gtids, Written};
use super::line::Row;

/// The schema of the agent's own tables.
pub(super) const SCHEMA: &str = "tenure";

/// How many changes of primary are kept.
const KEPT: u64 = 200;

/// Reads the lineage, the latest change first.
pub(super) const READ: &str =
    "SELECT epoch, began, gtids FROM tenure.epochs ORDER BY epoch DESC LIMIT 200";

/// One change of primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) epoch: u64,
    /// How far the new primary had got before it wrote this.
    pub(super) began: u64,
    /// The same as GTIDs.
    pub(super) gtids: String,
}

/// The changes of primary that the data has been through, the latest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Lineage(Vec<Change>);

impl Lineage {
    pub(super) fn read(rows: &[Row]) -> Self {
        let change = |row: &Row| {
            Some(Change {
                epoch: row.number("epoch")?,
                began: row.number("began")?,
                gtids: row.text("gtids").to_owned(),
            })
        };
        Self(rows.iter().filter_map(change).collect())
    }

    pub(super) fn epoch(&self) -> Option<u64> {
        self.0.first().map(|change| change.epoch)
    }

    /// The position of whoever has so much of this lineage.
    pub(super) fn position(&self, gtids: &Gtids) -> Option<Position> {
        position(self.epoch()?, gtids)
    }

    /// Where the epoch that follows a given one began; None when it is the latest.
    fn end_of(&self, epoch: u64) -> Option<&Change> {
        let later = self.0.iter().filter(|change| change.epoch > epoch);
        later.min_by_key(|change| change.epoch)
    }

    fn has(&self, epoch: u64) -> bool {
        self.0.iter().any(|change| change.epoch == epoch)
    }
}

/// A position in the history that an epoch began.
pub(super) fn position(epoch: u64, gtids: &Gtids) -> Option<Position> {
    Some(Position {
        history: Note::new(&format!("epoch {epoch}")).ok()?,
        offset: gtids.count(),
    })
}

/// What the new primary of an epoch writes first. Of an epoch that it has written already, as when it is
/// promoted once more, nothing changes.
pub(super) fn written_by(epoch: Epoch, gtids: &Gtids) -> String {
    let (began, oldest) = (gtids.count(), epoch.0.saturating_sub(KEPT));
    format!(
        "BEGIN; INSERT INTO tenure.epochs (epoch, began, gtids) VALUES ({epoch}, {began}, '{gtids}') \
         ON DUPLICATE KEY UPDATE epoch = epoch; \
         DELETE FROM tenure.epochs WHERE epoch < {oldest}; \
         INSERT INTO tenure.progress (id, epoch, written) VALUES (1, {epoch}, 0) \
         ON DUPLICATE KEY UPDATE epoch = {epoch}, written = written + 1; COMMIT"
    )
}

/// What an instance holds, for a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) lineage: Lineage,
    pub(super) gtids: Gtids,
    /// What its log has ever had, as the dialect says it.
    pub(super) written: String,
}

/// How one's own data compares with that of a primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Compared {
    pub(super) rejoin: Rejoin,
    /// Up to where they are one.
    pub(super) fork: Gtids,
    /// What is one's own alone; empty when nothing is.
    pub(super) own: Gtids,
}

/// Compares what one has with what a primary has; None when they have nothing in common.
pub(super) fn compare(dialect: Dialect, own: &Holding, theirs: &Holding) -> Option<Compared> {
    match dialect {
        Dialect::MySql => Some(by_sets(own, theirs)),
        Dialect::MariaDb => {
            let fork = match by_epochs(own, theirs) {
                Some(fork) => fork,
                None => {
                    let (own, theirs) = (
                        Written::read(&own.written)?,
                        Written::read(&theirs.written)?,
                    );
                    own.shared_with(&theirs)
                }
            };
            let apart = fork.is_empty() && !own.gtids.is_empty();
            (!apart).then(|| verdict(own, theirs, fork))
        }
    }
}

/// Sets say it themselves.
fn by_sets(own: &Holding, theirs: &Holding) -> Compared {
    let alone = own.gtids.without(&theirs.gtids);
    let fork = own.gtids.without(&alone);
    Compared {
        own: alone,
        ..verdict(own, theirs, fork)
    }
}

/// The latest epoch that both have been through ends, in each, where its next one began, or where it
/// stands: they are one up to the earlier of the two ends.
fn by_epochs(own: &Holding, theirs: &Holding) -> Option<Gtids> {
    let shared = own.lineage.0.iter().map(|change| change.epoch);
    let epoch = shared.filter(|epoch| theirs.lineage.has(*epoch)).max()?;
    let end = |it: &Holding| match it.lineage.end_of(epoch) {
        Some(change) => Gtids::read(Dialect::MariaDb, &change.gtids),
        None => Some(it.gtids.clone()),
    };
    let (ours, others) = (end(own)?, end(theirs)?);
    Some(if ours.count() <= others.count() {
        ours
    } else {
        others
    })
}

fn verdict(own: &Holding, theirs: &Holding, fork: Gtids) -> Compared {
    let more = |it: &Holding| it.gtids.count() > fork.count();
    let rejoin = match (more(own), more(theirs)) {
        (false, false) => Rejoin::Identical,
        (false, true) => Rejoin::Behind,
        (true, false) => Rejoin::Ahead,
        (true, true) => Rejoin::Diverged,
    };
    let alone = own.gtids.without(&fork);
    Compared {
        rejoin,
        fork,
        own: alone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Rejoin::{Ahead, Behind, Diverged, Identical};

    fn holding(dialect: Dialect, epochs: &[(u64, &str)], gtids: &str, written: &str) -> Holding {
        let read = |text: &str| Gtids::read(dialect, text).unwrap();
        let change = |(epoch, gtids): &(u64, &str)| Change {
            epoch: *epoch,
            began: read(gtids).count(),
            gtids: (*gtids).to_owned(),
        };
        Holding {
            lineage: Lineage(epochs.iter().rev().map(change).collect()),
            gtids: read(gtids),
            written: written.to_owned(),
        }
    }

    fn compared(own: &Holding, theirs: &Holding) -> Option<(Rejoin, String)> {
        let found = compare(Dialect::MariaDb, own, theirs)?;
        Some((found.rejoin, found.fork.to_string()))
    }

    #[test]
    fn an_old_primary_beside_its_successor() {
        let one = |gtids| holding(Dialect::MariaDb, &[(1, "")], gtids, "");
        let two = |gtids| holding(Dialect::MariaDb, &[(1, ""), (2, "0-1-50")], gtids, "");
        let table = [
            (one("0-1-50"), two("0-2-50"), Identical, "0-1-50"),
            (one("0-1-50"), two("0-2-90"), Behind, "0-1-50"),
            (one("0-1-40"), two("0-2-90"), Behind, "0-1-40"),
            (one("0-1-70"), two("0-2-90"), Diverged, "0-1-50"),
            (one("0-1-70"), one("0-1-60"), Ahead, "0-1-60"),
            (one("0-1-60"), one("0-1-60"), Identical, "0-1-60"),
        ];
        for (own, theirs, rejoin, fork) in table {
            assert_eq!(
                compared(&own, &theirs),
                Some((rejoin, fork.to_owned())),
                "{own:?}"
            );
        }
    }

    /// It was primary by epoch 2 for a moment, and nobody else has what it wrote then. Sequence numbers
    /// and servers would say that it is behind.
    #[test]
    fn a_tail_is_seen_although_its_server_went_on_to_write_more() {
        let state = "0-1-130,0-2-120";
        let own = holding(Dialect::MariaDb, &[(1, "")], "0-1-110", "0-1-110");
        let theirs = [(1, ""), (2, "0-1-104"), (3, "0-2-120")];
        let theirs = holding(Dialect::MariaDb, &theirs, "0-1-130", state);
        assert_eq!(
            compared(&own, &theirs),
            Some((Diverged, "0-1-104".to_owned()))
        );
    }

    #[test]
    fn without_a_shared_epoch_the_logs_are_compared() {
        let own = holding(Dialect::MariaDb, &[], "0-1-60", "0-1-60");
        let theirs = holding(
            Dialect::MariaDb,
            &[(1, "0-1-50")],
            "0-2-55",
            "0-1-50,0-2-55",
        );
        assert_eq!(
            compared(&own, &theirs),
            Some((Diverged, "0-1-50".to_owned()))
        );
        let other = holding(Dialect::MariaDb, &[(1, "")], "0-7-5", "0-7-5");
        assert_eq!(compared(&own, &other), None);
        let empty = holding(Dialect::MariaDb, &[], "", "");
        assert_eq!(compared(&empty, &other), Some((Behind, String::new())));
    }

    #[test]
    fn sets_name_what_is_errant() {
        let a = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        let b = "4e11fa47-71ca-11e1-9e33-c80aa9429562";
        let own = holding(Dialect::MySql, &[], &format!("{a}:1-50,{b}:1-2"), "");
        let theirs = holding(Dialect::MySql, &[], &format!("{a}:1-60"), "");
        let found = compare(Dialect::MySql, &own, &theirs).unwrap();
        assert_eq!(
            (found.rejoin, found.own.to_string()),
            (Diverged, format!("{b}:1-2"))
        );
        assert_eq!(found.fork.to_string(), format!("{a}:1-50"));
    }

    #[test]
    fn a_position_is_of_the_latest_epoch() {
        let own = holding(Dialect::MariaDb, &[(1, ""), (4, "0-1-3")], "0-2-9", "");
        let at = own.lineage.position(&own.gtids).unwrap();
        assert_eq!((at.history.as_str(), at.offset), ("epoch 4", 9));
        assert_eq!(Lineage::default().position(&own.gtids), None);
    }
}
