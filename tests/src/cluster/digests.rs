//! Whether all servers hold the same.

use tenure_core::Command;
use tenure_proto::v1;

use super::{Cluster, ClusterError, SETTLE_BOUND, until};

impl Cluster {
    /// Commits one more entry, waits until every running server has applied it, and compares what they hold at the
    /// same entry. Nothing else may be written meanwhile. Answers with what they agree on.
    ///
    /// # Errors
    /// [`ClusterError::Digests`] when they differ, [`ClusterError::TooLate`] when one does not catch up.
    pub async fn wait_for_equal_digests(&mut self) -> Result<v1::DigestResponse, ClusterError> {
        self.wait_for_leader().await?;
        let last = self.execute(&Command::OpenClient).await?.revision;
        let this = &*self;
        let digests = until(
            "the same entry applied by all",
            2 * SETTLE_BOUND,
            async || {
                let digests = this.digests().await?;
                let first = digests.first().ok_or("no server runs")?;
                let level = digests.iter().all(|digest| digest.applied == first.applied);
                if level && first.revision >= last {
                    return Ok(digests);
                }
                Err(told(&digests))
            },
        )
        .await?;
        let same = |pair: &[v1::DigestResponse]| {
            pair[0].digest == pair[1].digest && pair[0].revision == pair[1].revision
        };
        if digests.windows(2).all(same) {
            Ok(digests[0].clone())
        } else {
            Err(ClusterError::Digests(told(&digests)))
        }
    }

    async fn digests(&self) -> Result<Vec<v1::DigestResponse>, String> {
        let mut digests = vec![];
        for at in self.running() {
            let digest = self.calls(at).digest().await;
            digests.push(digest.map_err(|error| format!("server {}: {error}", at + 1))?);
        }
        Ok(digests)
    }
}

fn told(digests: &[v1::DigestResponse]) -> String {
    let one = |d: &v1::DigestResponse| {
        format!(
            "server {}: applied {}, revision {}, {}",
            d.server, d.applied, d.revision, d.digest
        )
    };
    digests.iter().map(one).collect::<Vec<_>>().join("\n")
}
