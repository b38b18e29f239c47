//! A snapshot that is garbled on its way: refused, or what was sent. Nothing of it is seen before that is known.

use bytes::Bytes;
use futures::StreamExt;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use tenure_core::State;
use tenure_garble::{Edit, edit};
use tenure_storage::snapshot::{SnapshotData, SnapshotError};
use tenure_storage::types::SnapshotMeta;

use crate::fixture::{Fixture, a_world};

/// What happens to the chunks.
#[derive(Debug, Clone)]
enum Mishap {
    /// One is garbled, and its checksum too.
    Edited(Index, Vec<Edit>),
    /// One is garbled before its checksum is made.
    Wrong(Index, Vec<Edit>),
    Lost(Index),
    Twice(Index, Index),
    Swapped(Index, Index),
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let at = any::<Index>;
    let edits = || vec(edit(), 1..3);
    prop_oneof![
        3 => (at(), edits()).prop_map(|(chunk, edits)| Mishap::Edited(chunk, edits)),
        6 => (at(), edits()).prop_map(|(chunk, edits)| Mishap::Wrong(chunk, edits)),
        1 => at().prop_map(Mishap::Lost),
        1 => (at(), at()).prop_map(|(chunk, place)| Mishap::Twice(chunk, place)),
        1 => (at(), at()).prop_map(|(one, other)| Mishap::Swapped(one, other)),
    ]
}

/// Version, kind and number before the checksum, and the body after it.
const BEFORE: usize = 6;
const HEAD: usize = 10;

fn resealed(chunk: &Bytes, edits: &[Edit]) -> Bytes {
    let mut content = chunk[..BEFORE].to_vec();
    content.extend_from_slice(&chunk[HEAD..]);
    edits.iter().for_each(|edit| edit.apply(&mut content));
    content.resize(content.len().max(BEFORE), 0);
    let crc = crc32c::crc32c(&content).to_le_bytes();
    content.splice(BEFORE..BEFORE, crc);
    content.into()
}

impl Mishap {
    fn befall(&self, chunks: &mut Vec<Bytes>) {
        let count = chunks.len();
        match self {
            Self::Edited(at, edits) => {
                let mut bytes = chunks[at.index(count)].to_vec();
                edits.iter().for_each(|edit| edit.apply(&mut bytes));
                chunks[at.index(count)] = bytes.into();
            }
            Self::Wrong(at, edits) => {
                let chunk = &mut chunks[at.index(count)];
                *chunk = resealed(chunk, edits);
            }
            Self::Lost(at) => drop(chunks.remove(at.index(count))),
            Self::Twice(at, place) => {
                let chunk = chunks[at.index(count)].clone();
                chunks.insert(place.index(count + 1), chunk);
            }
            Self::Swapped(one, other) => chunks.swap(one.index(count), other.index(count)),
        }
    }
}

async fn receive(to: &mut Fixture, chunks: &[Bytes]) -> Result<SnapshotData, SnapshotError> {
    let mut receiver = to.store().inbox.begin();
    for chunk in chunks {
        receiver.write(chunk.clone()).await?;
    }
    receiver.finish().await
}

/// Sends the garbled chunks; whoever took them has what was sent, or has what it had.
async fn arrives(sent: &(State, SnapshotMeta, Vec<Bytes>), to: &mut Fixture, mishap: &Mishap) {
    let (state, meta, chunks) = sent;
    let mut chunks = chunks.clone();
    mishap.befall(&mut chunks);
    let before = to.state();
    let received = receive(to, &chunks).await;
    assert_eq!(to.state(), before, "nothing was installed");
    let installed = match received {
        Ok(received) => {
            use openraft::storage::RaftStateMachine;
            let machine = &mut to.store().machine;
            machine.install_snapshot(meta, received).await.is_ok()
        }
        Err(refused) => {
            assert!(refused.to_string().len() > 8, "{refused}");
            false
        }
    };
    // What the first chunk says of the state's revision, with a right checksum, is believed.
    let revised = matches!(mishap, Mishap::Wrong(at, _) if at.index(sent.2.len()) == 0);
    if installed {
        let got = to.state();
        assert!(revised || got == *state, "{mishap:?}");
        assert_eq!(got.nodes(), state.nodes(), "{mishap:?}");
    } else {
        // After some errors the image is closed: it is as it was when it is opened again.
        to.reopen();
        assert_eq!(to.state(), before, "{mishap:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default().cases / 32,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_garbled_snapshot_is_refused_or_is_the_one_that_was_sent(mishaps in vec(mishap(), 4)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
        runtime.expect("runtime").block_on(async {
            let mut leader = Fixture::new();
            leader.apply(a_world(30)).await;
            leader.checkpoint().await;
            let (meta, snapshot) = leader.current().await;
            let chunks: Vec<_> = snapshot.chunks().collect().await;
            let chunks = chunks.into_iter().map(|chunk| chunk.expect("chunk")).collect();
            let sent = (leader.state(), meta, chunks);
            for mishap in &mishaps {
                let mut follower = Fixture::new();
                follower.apply(a_world(2)).await;
                follower.checkpoint().await;
                arrives(&sent, &mut follower, mishap).await;
            }
        });
    }
}
