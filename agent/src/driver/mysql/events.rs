//! Reads the events of a binary log, as both dialects write them: which transaction each belongs to, and
//! whether it is anything but the agent's own.

use std::io::{self, Read};

use super::dialect::Dialect;
use super::gtid::Gtids;
use super::lineage::SCHEMA;

/// Every binary log begins so.
pub(super) const MAGIC: [u8; 4] = [0xfe, b'b', b'i', b'n'];
const HEADER: usize = 19;
/// Larger than any event that a server writes.
const EVENT_BYTES_MAX: u32 = 1_100_000_000;

const QUERY: u8 = 2;
const FORMAT: u8 = 15;
const TABLE_MAP: u8 = 19;
const GTID_MYSQL: u8 = 33;
const PREVIOUS_GTIDS: u8 = 35;
const GTID_MARIADB: u8 = 162;
const GTID_LIST: u8 = 163;
const ENCRYPTION: u8 = 164;
const ROTATE: u8 = 4;
const STOP: u8 = 3;
const CHECKPOINT: u8 = 161;

/// One event, as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) bytes: Vec<u8>,
}

/// What an event is, as far as that matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Says how the log is written.
    Format,
    /// Begins a transaction.
    Begins(Gtids),
    /// It belongs to the transaction that began last; whether it changes anything but the agent's own.
    Within { changes: bool },
    /// It belongs to the log and to no transaction.
    Frame,
    /// What follows cannot be read.
    Encrypted,
}

impl Event {
    /// The next event; None at the end of the log, also where the last one is torn.
    pub(super) fn read(log: &mut impl Read) -> io::Result<Option<Self>> {
        let mut header = [0; HEADER];
        if !fill(log, &mut header)? {
            return Ok(None);
        }
        let size = u32::from_le_bytes([header[9], header[10], header[11], header[12]]);
        let body = usize::try_from(size).unwrap_or(0).checked_sub(HEADER);
        let Some(body) = body.filter(|_| size <= EVENT_BYTES_MAX) else {
            let why = format!("an event states a size of {size} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        };
        let mut bytes = header.to_vec();
        bytes.resize(HEADER + body, 0);
        let whole = fill(log, &mut bytes[HEADER..])?;
        Ok(whole.then_some(Self { bytes }))
    }

    fn body(&self) -> &[u8] {
        self.bytes.get(HEADER..).unwrap_or_default()
    }

    fn server(&self) -> u32 {
        number(&self.bytes, 5, 4)
            .and_then(|it| u32::try_from(it).ok())
            .unwrap_or(0)
    }

    pub(super) fn kind(&self, dialect: Dialect) -> Kind {
        let body = self.body();
        let kind = self.bytes.get(4).copied().unwrap_or(0);
        match (kind, dialect) {
            (FORMAT, _) => Kind::Format,
            (ENCRYPTION, Dialect::MariaDb) => Kind::Encrypted,
            (ROTATE | STOP | CHECKPOINT | GTID_LIST | PREVIOUS_GTIDS, _) => Kind::Frame,
            (GTID_MARIADB, Dialect::MariaDb) => match self.of_mariadb() {
                Some(gtid) => Kind::Begins(gtid),
                None => Kind::Within { changes: true },
            },
            (GTID_MYSQL, Dialect::MySql) => match of_mysql(body) {
                Some(gtid) => Kind::Begins(gtid),
                None => Kind::Within { changes: true },
            },
            (TABLE_MAP, _) => Kind::Within {
                changes: schema_of_table(body) != Some(SCHEMA.as_bytes()),
            },
            (QUERY, _) => Kind::Within {
                changes: !is_frame(statement(body)),
            },
            // Rows belong to the table that was named before them; others to what is named beside them.
            _ => Kind::Within { changes: false },
        }
    }

    fn of_mariadb(&self) -> Option<Gtids> {
        let sequence = number(self.body(), 0, 8)?;
        let domain = number(self.body(), 8, 4)?;
        let text = format!("{domain}-{}-{sequence}", self.server());
        Gtids::read(Dialect::MariaDb, &text)
    }
}

fn of_mysql(body: &[u8]) -> Option<Gtids> {
    let source: String = body
        .get(1..17)?
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let sequence = number(body, 17, 8)?;
    let (a, rest) = source.split_at(8);
    let (b, rest) = rest.split_at(4);
    let (c, rest) = rest.split_at(4);
    let (d, e) = rest.split_at(4);
    Gtids::read(Dialect::MySql, &format!("{a}-{b}-{c}-{d}-{e}:{sequence}"))
}

/// A little-endian number.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(length)?)?;
    let each = bytes.iter().rev();
    Some(each.fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

/// Table id (6), flags (2), then the schema's name behind its length.
fn schema_of_table(body: &[u8]) -> Option<&[u8]> {
    let length = usize::from(*body.get(8)?);
    body.get(9..9_usize.checked_add(length)?)
}

/// Thread (4), time (4), the schema's length (1), error (2), the length of variables (2), those, the
/// schema, a zero, and the statement.
fn statement(body: &[u8]) -> &[u8] {
    let schema = body.get(8).copied().map_or(0, usize::from);
    let variables = number(body, 11, 2)
        .and_then(|it| usize::try_from(it).ok())
        .unwrap_or(0);
    body.get(13 + variables + schema + 1..).unwrap_or_default()
}

/// Whether a statement only frames a transaction. A checksum may stand behind it.
fn is_frame(statement: &[u8]) -> bool {
    ["BEGIN", "COMMIT", "ROLLBACK"].iter().any(|word| {
        let rest = statement.strip_prefix(word.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.len() == 4)
    })
}

/// Whether there was enough to read.
fn fill(log: &mut impl Read, to: &mut [u8]) -> io::Result<bool> {
    match log.read_exact(to) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn event(kind: u8, server: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(HEADER + body.len()).unwrap();
        let mut bytes = vec![0, 0, 0, 0, kind];
        bytes.extend(server.to_le_bytes());
        bytes.extend(size.to_le_bytes());
        bytes.extend([0; 6]);
        bytes.extend(body);
        bytes
    }

    pub(in super::super) fn gtid(domain: u32, server: u32, sequence: u64) -> Vec<u8> {
        let mut body = sequence.to_le_bytes().to_vec();
        body.extend(domain.to_le_bytes());
        body.push(0);
        event(GTID_MARIADB, server, &body)
    }

    pub(in super::super) fn table(schema: &str) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.push(u8::try_from(schema.len()).unwrap());
        body.extend(schema.as_bytes());
        body.extend([0, 1, b't', 0]);
        event(TABLE_MAP, 1, &body)
    }

    pub(in super::super) fn query(schema: &str, text: &str) -> Vec<u8> {
        let mut body = vec![0; 8];
        body.push(u8::try_from(schema.len()).unwrap());
        body.extend([0, 0, 2, 0, 7, 7]);
        body.extend(schema.as_bytes());
        body.push(0);
        body.extend(text.as_bytes());
        event(QUERY, 1, &body)
    }

    pub(in super::super) fn format() -> Vec<u8> {
        event(FORMAT, 1, &[4, 0])
    }

    fn kind(bytes: &[u8]) -> Kind {
        let event = Event::read(&mut &bytes[..]).unwrap().unwrap();
        event.kind(Dialect::MariaDb)
    }

    #[test]
    fn a_transaction_is_told_by_its_first_event() {
        let Kind::Begins(gtids) = kind(&gtid(0, 7, 42)) else {
            panic!("it begins a transaction");
        };
        assert_eq!(gtids.to_string(), "0-7-42");
        let mut body = vec![1];
        body.extend(0x3e11_fa47_71ca_11e1_9e33_c80a_a942_9562_u128.to_be_bytes());
        body.extend(9_u64.to_le_bytes());
        let found = of_mysql(&body).unwrap().to_string();
        assert_eq!(found, "3e11fa47-71ca-11e1-9e33-c80aa9429562:9");
    }

    #[test]
    fn only_the_agents_own_tables_are_no_change() {
        let table = [
            (table(SCHEMA), false),
            (table("app"), true),
            (query("app", "BEGIN"), false),
            (query("app", "COMMIT"), false),
            (query("app", "DROP TABLE t"), true),
            (query("tenure", "BEGIN\u{1}\u{2}\u{3}\u{4}"), false),
            (event(30, 1, b"rows"), false),
        ];
        for (at, (bytes, changes)) in table.into_iter().enumerate() {
            let expected = Kind::Within { changes };
            assert_eq!(kind(&bytes), expected, "{at}");
        }
    }

    #[test]
    fn a_torn_event_is_the_end_and_an_impossible_one_an_error() {
        let whole = gtid(0, 1, 1);
        let torn = &whole[..whole.len() - 1];
        assert_eq!(Event::read(&mut &torn[..]).unwrap(), None);
        let mut wrong = whole;
        wrong[9..13].copy_from_slice(&[3, 0, 0, 0]);
        assert!(Event::read(&mut &wrong[..]).is_err());
    }
}
