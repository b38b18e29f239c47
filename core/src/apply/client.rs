//! Registrations of clients: a retried request is answered, not applied again.

use super::Verdict;
use crate::{
    Client, ClientId, Created, Key, LogIndex, Outcome, Record, Reject, RejectCode, RequestId,
    State,
    change::Change,
    limits::{CLIENT_TEXT_BYTES_MAX, CLIENT_WINDOW_MAX, NOTE_BYTES_MAX},
};
use std::{collections::BTreeMap, sync::Arc};

/// The most text that one answer can hold: the subject and the detail of a reject.
const ANSWER_TEXT_BYTES_MAX: usize = 2 * NOTE_BYTES_MAX;

pub(super) fn open(change: &mut Change<'_>) -> Verdict {
    let index = LogIndex(change.revision.0);
    let id = ClientId(index.0);
    let others = change.state.settings.clients_max.saturating_sub(1);
    keep_at_most(change, others);
    let client = Client {
        id,
        last_active: index,
        first_incomplete: 1,
        answers: BTreeMap::new(),
    };
    change.put(Record::Client(Arc::new(client)));
    Ok(Some(Created::Client(id)))
}

/// Drops the least recently active registrations until at most `max` are left.
pub(super) fn keep_at_most(change: &mut Change<'_>, max: u32) {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    while change.state.clients.len() > max
        && let Some((_, idlest)) = change.state.derived.clients_by_activity.first().copied()
    {
        change.delete(&Key::Client(idlest));
    }
}

pub(super) fn close(change: &mut Change<'_>, client: ClientId) -> Verdict {
    change.delete(&Key::Client(client));
    Ok(None)
}

impl State {
    /// The answer to a request that needs no execution: a known one, or one that cannot be judged.
    /// Only a registration that is still there proves that a request was not applied before.
    pub(super) fn answer_known(&self, request: &RequestId) -> Option<Outcome> {
        let subject = || format!("client {}", request.client);
        let rejected = |code| Some(Outcome::Rejected(Reject::new(code, subject())));
        let Some(client) = self.clients.get(&request.client) else {
            return rejected(RejectCode::UnknownClient);
        };
        if let Some(known) = client.answers.get(&request.sequence) {
            return Some(known.clone());
        }
        if request.sequence < client.first_incomplete {
            let reject = Reject::new(RejectCode::RequestSettled, subject())
                .values(client.first_incomplete, request.sequence);
            return Some(Outcome::Rejected(reject));
        }
        if request.sequence < request.first_incomplete {
            let reject = Reject::new(RejectCode::Invalid, subject())
                .values(request.first_incomplete, request.sequence)
                .detail("a request under way cannot be below the first incomplete one");
            return Some(Outcome::Rejected(reject));
        }
        // The last place is kept for the oldest request: were it refused for the sake of later ones,
        // the window could never move on.
        let oldest = request.sequence == request.first_incomplete;
        let places = if oldest { 1 } else { 2 };
        let under_way = client.answers.range(request.first_incomplete..).count();
        let text = client.text_bytes(request.first_incomplete);
        let texts = ANSWER_TEXT_BYTES_MAX.saturating_mul(places);
        if under_way.saturating_add(places) > CLIENT_WINDOW_MAX
            || text.saturating_add(texts) > CLIENT_TEXT_BYTES_MAX
        {
            return rejected(RejectCode::RequestWindowFull);
        }
        None
    }

    /// Keeps the answer for a retry, forgets those that the client has, and marks it as active.
    pub(super) fn keep_answer(&mut self, index: LogIndex, request: &RequestId, answer: &Outcome) {
        let Some(shared) = self.clients.get_mut(&request.client) else {
            return;
        };
        let client = Arc::make_mut(shared);
        let was_active = client.last_active;
        client.last_active = index;
        client.first_incomplete = client.first_incomplete.max(request.first_incomplete);
        client.answers.insert(request.sequence, answer.clone());
        while let Some(settled) = client.answers.first_entry()
            && *settled.key() < client.first_incomplete
        {
            drop(settled.remove());
        }
        self.derived
            .clients_by_activity
            .remove(&(was_active, request.client));
        self.derived
            .clients_by_activity
            .insert((index, request.client));
    }
}
