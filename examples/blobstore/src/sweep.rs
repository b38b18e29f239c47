//! Deletes what nobody wants any more: earlier versions, copies that went elsewhere while the node was away, and what a
//! writer that died left behind. Nobody reads any of it, so that this only gives room back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tenure_client::Consistency;
use tenure_client::copies::ItemCopies;
use tenure_client::core::copies::ItemName;

use crate::files::Shelved;
use crate::node::Node;

/// The pause between two sweeps.
const EVERY: Duration = Duration::from_secs(30);
/// Items that are asked about at a time.
const PAGE: usize = 1_000;

/// Sweeps for as long as it is polled.
pub async fn run(node: Arc<Node>) {
    loop {
        tokio::time::sleep(EVERY).await;
        if let Err(why) = sweep(&node).await {
            tracing::warn!(why, "not swept");
        }
    }
}

/// Looks at everything that is here once. Gives how many items went.
///
/// # Errors
/// A sentence, when the cluster cannot be asked or the disk fails; a retry is safe.
pub async fn sweep(node: &Node) -> Result<usize, String> {
    let mut after: Option<String> = None;
    let mut gone = 0;
    loop {
        // What is on the page was here before the cluster is asked, and a copy is written only after it was decided on.
        let page = node.files().page(after.as_deref(), PAGE);
        let Some(last) = page.last() else {
            return Ok(gone);
        };
        after = Some(last.item.clone());
        let names: Vec<ItemName> = page
            .iter()
            .filter_map(|shelved| ItemName::new(&shelved.item).ok())
            .collect();
        let known = node.copies.items(&names, Consistency::Linearizable).await;
        let known = known.map_err(|why| why.to_string())?.items.into_iter();
        let known: BTreeMap<String, ItemCopies> = known
            .map(|item| (item.name.as_str().to_owned(), item))
            .collect();
        for shelved in page {
            let item = known.get(&shelved.item);
            gone += usize::from(tidy(node, shelved, item).await?);
        }
    }
}

/// Brings one item in order. Gives whether nothing of it is left here.
async fn tidy(node: &Node, shelved: Shelved, item: Option<&ItemCopies>) -> Result<bool, String> {
    let own = item.filter(|item| item.copies.iter().any(|copy| copy.node == node.id));
    let done = match own.map(|item| item.version) {
        // The latest that is here stays, however old: it may be the last one that there is.
        Some(version) => {
            let earlier = version.min(shelved.latest);
            let settled = node.on_disk(move |files| files.settle(&shelved.item, earlier));
            settled.await.map(|()| false)
        }
        None => {
            let removed =
                node.on_disk(move |files| files.remove_unless_kept(&shelved.item, shelved.mark));
            removed.await
        }
    };
    done.map_err(|why| why.to_string())
}
