//! What must hold in the end: every item has its fresh copies, and each of them holds what was acknowledged last.

use std::collections::BTreeSet;

use futures::StreamExt as _;
use futures::stream;
use tenure_blobstore::{custody, reach};
use tenure_client::Consistency;
use tenure_client::copies::ItemCopies;
use tenure_core::copies::{CopyState, ItemName};

use super::site::Site;
use super::traffic::is_write;

/// Items that are read back at a time.
const AT_A_TIME: usize = 8;
const PAGE: usize = 1_000;
const WANTED: usize = 3;

/// Looks at every copy of every item.
pub async fn all_is_there(site: &Site, acknowledged: &[(String, u64)]) {
    for part in acknowledged.chunks(PAGE) {
        let names: Vec<ItemName> = part
            .iter()
            .map(|(item, _)| ItemName::new(item).expect("a name"))
            .collect();
        let found = site.copies.items(&names, Consistency::Linearizable).await;
        let found = found.expect("it is told");
        assert_eq!(found.items.len(), part.len(), "items that are not known");
        let looks = found
            .items
            .iter()
            .zip(part)
            .map(async |(item, (name, number))| {
                assert_eq!(item.name.as_str(), name);
                let holders = &found.holders;
                let endpoint = |node| holders.get(&node).and_then(|at| at.endpoint.clone());
                let copies = fresh(item);
                assert_eq!(copies.len(), WANTED, "{name}: {item:?}");
                let sum = item.checksum.as_ref().map(custody::sum);
                let sum = sum.expect("it has one").expect("of this store");
                for node in copies {
                    let at = endpoint(node).expect("it has an instance");
                    let within = std::time::Duration::from_secs(10);
                    let data = reach::fetch(&at, name, item.version, Some(sum), within).await;
                    let data = data.unwrap_or_else(|why| panic!("{name} on node {node}: {why}"));
                    assert!(
                        is_write(name, *number, &data),
                        "{name} on node {node} is not write {number}"
                    );
                }
            });
        let mut looks = stream::iter(looks).buffer_unordered(AT_A_TIME);
        while looks.next().await.is_some() {}
    }
}

fn fresh(item: &ItemCopies) -> BTreeSet<tenure_core::NodeId> {
    let fresh = item.copies.iter();
    let fresh = fresh.filter(|copy| copy.state == CopyState::InSync && !copy.lost);
    fresh.map(|copy| copy.node).collect()
}
