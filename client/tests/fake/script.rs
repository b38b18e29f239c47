//! What a watch at a fake server says.

use super::Watched;
use tenure_core::Record;
use tenure_proto::v1::{self, watch_response::Kind};

pub fn message(revision: u64, age_ms: u64, kind: Kind) -> Watched {
    let header = v1::Header {
        revision,
        age_ms,
        server: 1,
    };
    Watched::Send(Box::new(v1::WatchResponse {
        header: Some(header),
        kind: Some(kind),
    }))
}

pub fn part(revision: u64, records: Vec<v1::Record>, first: bool, last: bool) -> Watched {
    let part = v1::watch_response::Snapshot {
        records,
        first,
        last,
        gone: vec![],
    };
    message(revision, 0, Kind::Snapshot(part))
}

pub fn changes(revision: u64, records: Vec<v1::Record>) -> Watched {
    let event = |record: v1::Record| {
        let key = Record::try_from(record.clone()).unwrap().key();
        v1::watch_response::Event {
            key: Some((&key).try_into().unwrap()),
            after: Some(record),
        }
    };
    let events = records.into_iter().map(event).collect();
    message(
        revision,
        0,
        Kind::Changes(v1::watch_response::Changes {
            events,
            more: false,
        }),
    )
}

pub fn progress(revision: u64, age_ms: u64) -> Watched {
    message(
        revision,
        age_ms,
        Kind::Progress(v1::watch_response::Progress {}),
    )
}
