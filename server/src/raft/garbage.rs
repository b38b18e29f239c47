//! Messages between servers as another version or a broken network may make them: refused with what they lack, or
//! understood as something that says the same when it is sent on.

use bytes::Bytes;
use openraft::raft::{AppendEntriesRequest, TransferLeaderRequest, VoteRequest, VoteResponse};
use proptest::prelude::*;
use prost::Message;
use tenure_garble::{frugally, garbled};
use tenure_proto::raft as pb;
use tenure_storage::types::{
    Entry, EntryPayload, Membership, Payload, ServerAddr, TypeConfig, Vote, log_id,
};

use super::wire;

fn membership() -> Membership {
    let server = |id: u64| {
        let address = ServerAddr {
            raft: format!("10.0.0.{id}:7401"),
            api: format!("10.0.0.{id}:7400"),
        };
        (id, address)
    };
    let servers = std::collections::BTreeMap::from([1, 2, 3].map(server));
    Membership::new(vec![[1, 2].into(), [2, 3].into()], servers).expect("it is well-formed")
}

fn append() -> AppendEntriesRequest<TypeConfig> {
    let payloads = [
        EntryPayload::Blank,
        EntryPayload::Normal(Payload(Bytes::from_static(b"a command"))),
        EntryPayload::Membership(membership()),
    ];
    let entries = (5..).zip(payloads).map(|(index, payload)| Entry {
        log_id: log_id(3, index),
        payload,
    });
    AppendEntriesRequest {
        vote: Vote::new_committed(3, 1),
        prev_log_id: Some(log_id(2, 4)),
        entries: entries.collect(),
        leader_commit: Some(log_id(2, 4)),
    }
}

/// Whatever message it should be, what is understood of it is sent on as what it was.
fn understood<W, T>(bytes: &[u8], parse: impl Fn(W) -> Option<T>, send: impl Fn(&T) -> W)
where
    W: Message + Default + PartialEq,
{
    let Ok(wire) = frugally(bytes.len(), || W::decode(bytes)) else {
        return;
    };
    let Some(message) = frugally(bytes.len(), || parse(wire)) else {
        return;
    };
    let sent = send(&message);
    let again = parse(sent.clone_by_bytes()).map(|again| send(&again));
    assert!(
        again == Some(sent),
        "it is another one after it was sent on"
    );
}

trait ByBytes: Message + Default {
    fn clone_by_bytes(&self) -> Self {
        Self::decode(self.encode_to_vec().as_slice()).expect("what was encoded is decoded")
    }
}

impl<W: Message + Default> ByBytes for W {}

fn messages() -> BoxedStrategy<Vec<u8>> {
    let vote = Vote::new(7, 2);
    let asked = VoteRequest::new(vote, Some(log_id(3, 9)));
    let answered = VoteResponse::new(vote, None, true);
    let transfer = TransferLeaderRequest::new(vote, 3, Some(log_id(3, 9)));
    let all = vec![
        wire::append_to_wire(append()).encode_to_vec(),
        wire::vote_request_to_wire(&asked).encode_to_vec(),
        wire::vote_response_to_wire(&answered).encode_to_vec(),
        wire::transfer_to_wire(&transfer).encode_to_vec(),
        wire::append_result_to_wire(&Ok(Some(log_id(3, 9)))).encode_to_vec(),
        wire::membership_to_wire(&membership()).encode_to_vec(),
    ];
    garbled(prop::sample::select(all).boxed()).boxed()
}

proptest! {
    #[test]
    fn messages_between_servers(bytes in messages()) {
        understood(&bytes, |it| wire::append(it).ok(), |it| wire::append_to_wire(it.clone()));
        understood(&bytes, |it| wire::vote_request(it).ok(), wire::vote_request_to_wire);
        understood(&bytes, |it| wire::vote_response(it).ok(), wire::vote_response_to_wire);
        understood(&bytes, |it| wire::transfer(it).ok(), wire::transfer_to_wire);
        understood(&bytes, |it| wire::append_result(it).ok(), wire::append_result_to_wire);
        understood(&bytes, |it| wire::membership(it).ok(), wire::membership_to_wire);
        let start = frugally(bytes.len(), || pb::snapshot_chunk::Start::decode(&bytes[..]));
        if let Ok(start) = start {
            drop(frugally(bytes.len(), || wire::snapshot_meta(&start)));
        }
    }

    #[test]
    fn an_append_that_is_cut_into_parts_is_still_all_of_it(
        lengths in prop::collection::vec(0..40_usize, 0..20),
        most in 0..100_usize,
    ) {
        let entries: Vec<Entry> = (5..).zip(&lengths).map(|(index, length)| Entry {
            log_id: log_id(3, index),
            payload: EntryPayload::Normal(Payload(Bytes::from(vec![1; *length]))),
        }).collect();
        let whole = AppendEntriesRequest { entries: entries.clone(), ..append() };
        let parts = wire::split(whole.clone(), most);
        let mut previous = whole.prev_log_id;
        for part in &parts {
            prop_assert_eq!(part.prev_log_id, previous);
            previous = part.entries.last().map(|it| it.log_id).or(previous);
        }
        let together: Vec<Entry> = parts.into_iter().flat_map(|part| part.entries).collect();
        prop_assert_eq!(together, entries);
    }
}
