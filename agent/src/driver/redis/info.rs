//! Reads what `INFO` says: the role, how far the data has got and in which history, who is attached.

use std::collections::BTreeMap;

use tenure_core::{Note, Position};

use super::NOWHERE;

/// One section's fields.
struct Fields<'a>(BTreeMap<&'a str, &'a str>);

impl<'a> Fields<'a> {
    fn read(text: &'a str) -> Self {
        Self(
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .collect(),
        )
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).copied()
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.text(key)?.parse().ok()
    }

    fn is(&self, key: &str, value: &str) -> bool {
        self.text(key) == Some(value)
    }
}

/// What `INFO server` says of the process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Process {
    pub(super) version: String,
    /// Random, of this one run of the program.
    pub(super) run: String,
    pub(super) id: Option<i32>,
    /// The file that it was started with; empty when it was with none.
    pub(super) file: String,
}

impl Process {
    /// The run as a number; never 0.
    pub(super) fn number(run: &str) -> u64 {
        let digits = run.get(..16).unwrap_or(run);
        u64::from_str_radix(digits, 16).unwrap_or(1).max(1)
    }

    pub(super) fn read(text: &str) -> Self {
        let fields = Fields::read(text);
        let owned = |key| fields.text(key).unwrap_or_default().to_owned();
        Self {
            version: owned("redis_version"),
            run: owned("run_id"),
            file: owned("config_file"),
            id: fields.text("process_id").and_then(|id| id.parse().ok()),
        }
    }
}

/// What `INFO persistence` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Persistence {
    pub(super) loading: bool,
    /// The latest save or append failed.
    pub(super) failing: bool,
}

impl Persistence {
    pub(super) fn read(text: &str) -> Self {
        let fields = Fields::read(text);
        Self {
            loading: fields.is("loading", "1") || fields.is("async_loading", "1"),
            failing: fields.is("rdb_last_bgsave_status", "err")
                || fields.is("aof_last_write_status", "err"),
        }
    }
}

/// How far a data set has got, by the histories that it belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track {
    /// The history that it goes on with.
    pub(super) history: String,
    pub(super) offset: u64,
    /// The history that it came from, and up to which offset the two are one.
    pub(super) before: Option<(String, u64)>,
}

/// A replica as its primary sees it: under the address that the replica announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Attached {
    pub(super) host: String,
    pub(super) port: u16,
}

/// What a replica says of its primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Upstream {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) linked: bool,
    /// All the data is being sent, or loaded.
    pub(super) syncing: bool,
    /// It refuses writes of clients, as a replica must.
    pub(super) read_only: bool,
}

impl Upstream {
    /// It follows nobody, and is a replica all the same.
    pub(super) fn is_nowhere(&self) -> bool {
        (self.host.as_str(), self.port) == NOWHERE
    }
}

/// What `INFO replication` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replication {
    /// Whom it follows; None of a primary.
    pub(super) upstream: Option<Upstream>,
    pub(super) track: Track,
    /// In the order in which they were attached.
    pub(super) attached: Vec<Attached>,
    /// The oldest offset that can still be had without sending everything.
    pub(super) backlog_from: Option<u64>,
}

impl Replication {
    /// None when the text is no such section.
    pub(super) fn read(text: &str) -> Option<Self> {
        let fields = Fields::read(text);
        let upstream = match fields.text("role")? {
            "master" => None,
            _ => Some(Upstream {
                host: fields.text("master_host")?.to_owned(),
                port: fields.number("master_port")?.try_into().ok()?,
                linked: fields.is("master_link_status", "up"),
                syncing: fields.is("master_sync_in_progress", "1"),
                read_only: fields.is("slave_read_only", "1"),
            }),
        };
        let offset = match upstream {
            Some(_) => fields.number("slave_repl_offset")?,
            None => fields.number("master_repl_offset")?,
        };
        // -1 when there was no other history before.
        let before = fields.number("second_repl_offset").and_then(|second| {
            let history = fields.text("master_replid2")?.to_owned();
            Some((history, second.saturating_sub(1)))
        });
        Some(Self {
            upstream,
            track: Track {
                history: fields.text("master_replid")?.to_owned(),
                offset,
                before,
            },
            attached: (0..)
                .map_while(|index| fields.text(&format!("slave{index}")))
                .filter_map(attached)
                .collect(),
            backlog_from: fields
                .number("repl_backlog_first_byte_offset")
                .filter(|_| fields.is("repl_backlog_active", "1")),
        })
    }

    /// How far the instance has got; None of a replica that has nothing of any primary yet. One that
    /// `was_primary` and follows nowhere goes on in its own history.
    pub(super) fn position(&self, was_primary: bool) -> Option<Position> {
        let without = self.upstream.as_ref().is_some_and(|it| !it.linked);
        if without && self.track.offset <= 1 && !was_primary {
            return None;
        }
        Some(Position {
            history: Note::new(&self.track.history).ok()?,
            offset: self.track.offset,
        })
    }
}

fn attached(line: &str) -> Option<Attached> {
    let pairs = line.split(',').filter_map(|pair| pair.split_once('='));
    let fields = Fields(pairs.collect());
    Some(Attached {
        host: fields.text("ip")?.to_owned(),
        port: fields.number("port")?.try_into().ok()?,
    })
}

/// How many keys `INFO keyspace` speaks of.
pub(super) fn keys(keyspace: &str) -> u64 {
    let databases = keyspace.lines().filter_map(|line| line.strip_prefix("db"));
    databases
        .filter_map(|line| line.split_once("keys=")?.1.split(',').next()?.parse().ok())
        .fold(0, u64::saturating_add)
}
