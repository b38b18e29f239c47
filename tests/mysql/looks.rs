//! What an operator is told of a site, and what he does to it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use tenure_client::{Consistency, Error, Resolved};
use tenure_core::controller::{Explanation, Hold, HoldCode};
use tenure_core::{Epoch, NodeId, Note, Receipt, Role};
use tenure_tests::mariadb::config::OPERATOR;
use tenure_tests::mariadb::link;

use super::load::Load;
use super::site::{ALL, Site, eventually, node, service, within_bound};

impl Site {
    pub async fn explained(&self) -> Explanation {
        eventually("an explanation", || async {
            let explained = self.client.admin().explain(&service()).await.ok()?;
            Some(explained.1)
        })
        .await
    }

    /// Waits for a condition, and says what there is to see when it does not come.
    pub async fn until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        condition: impl FnMut() -> F,
    ) -> T {
        if let Some(found) = within_bound(condition).await {
            return found;
        }
        let explained = self.explained().await;
        let facts = explained.facts.join("\n");
        panic!("in vain: {what}; {:?}\n{facts}", explained.decision);
    }

    /// Waits until nothing is done about the service, for a reason as wanted.
    pub async fn held(&self, wanted: impl Fn(&Hold) -> bool) -> Hold {
        self.until("a hold", || async {
            let hold = self.explained().await.decision.err();
            hold.filter(|hold| wanted(hold))
        })
        .await
    }

    pub async fn resolved(&self) -> Option<Resolved> {
        let discovery = self.client.discovery();
        let service = service();
        let resolved = discovery.resolve(&service, Consistency::Linearizable);
        resolved.await.ok()
    }

    /// Waits until exactly these are in sync, and nobody is on the way.
    pub async fn in_sync(&self, nodes: &[u64]) {
        let wanted: BTreeSet<NodeId> = nodes.iter().copied().map(NodeId).collect();
        self.until("these in sync", || async {
            let assignment = self.resolved().await?.assignment?;
            let alone = assignment.syncing.is_subset(&assignment.in_sync);
            (alone && assignment.in_sync == wanted).then_some(())
        })
        .await;
    }

    /// Waits until these are in sync, whoever else is.
    pub async fn in_sync_at_least(&self, nodes: &[u64]) {
        self.until("these in sync", || async {
            let assignment = self.resolved().await?.assignment?;
            let is_in = |node: &u64| assignment.in_sync.contains(&NodeId(*node));
            nodes.iter().all(is_in).then_some(())
        })
        .await;
    }

    /// Everybody has the role that the present epoch gives it, and all are in sync: who is stated to be in sync right
    /// after a change of primary is so by what was known before it.
    pub async fn whole(&self) {
        self.until("all in sync by the present epoch", || async {
            let resolved = self.resolved().await?;
            let assignment = resolved.assignment.as_ref()?;
            let (primary, epoch) = (assignment.primary?.node, assignment.epoch);
            let fits = |node: &u64| {
                let node = NodeId(*node);
                let role = match node == primary {
                    true => Role::Primary,
                    false => Role::Replica,
                };
                let mut instances = resolved.instances.iter();
                let own = instances.find(|it| it.node == node);
                let says = own.is_some_and(|it| it.report.role == Some((role, epoch)));
                says && assignment.in_sync.contains(&node)
            };
            ALL.iter().all(fits).then_some(())
        })
        .await;
    }

    /// What `explain` says of an instance, with its remark: the state has that only as it was at the latest change of
    /// its health or role.
    pub async fn remark(&self, of: u64) -> String {
        let name = format!("{}: ", super::site::name(of));
        eventually("an instance", || async {
            let mut facts = self.explained().await.facts.into_iter();
            facts.find_map(|fact| {
                let fact = fact.as_str();
                fact.starts_with(&name).then(|| fact.to_owned())
            })
        })
        .await
    }

    /// Ends the connections over which a primary sends its binary log.
    pub async fn end_dumps(&self, primary: u64) {
        let address = self.address(primary);
        let query = "SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'";
        let dumps: Vec<u64> = link::ask(address, OPERATOR, query)
            .await
            .expect("it answers");
        assert_eq!(dumps.len(), 2, "both replicas are attached");
        for dump in dumps {
            let kill = format!("KILL {dump}");
            link::tell(address, OPERATOR, &[&kill])
                .await
                .expect("killed");
        }
    }

    pub async fn receipt(&self, epoch: Epoch) -> Arc<Receipt> {
        let admin = self.client.admin();
        eventually("a receipt", || async {
            let receipts = admin.receipts(Some(&service()), 32).await.ok()?;
            let mut receipts = receipts.1.into_iter();
            receipts.find(|it| it.epoch == epoch).map(Arc::new)
        })
        .await
    }

    /// What became of the primary that an epoch ended.
    pub async fn returned(&self, epoch: Epoch) -> String {
        self.until("what became of the old primary", || async {
            let returned = self.receipt(epoch).await.returned.clone();
            let said = returned.as_str().to_owned();
            (!said.is_empty()).then_some(said)
        })
        .await
    }

    pub async fn switchover(&self, to: Option<u64>) -> Result<Epoch, Error> {
        let admin = self.client.admin();
        let to = to.map(node);
        let moved = admin.switchover(&service(), to, Note::default()).await?;
        Ok(moved.epoch)
    }

    /// Why a switchover to a node was refused, or taken back.
    pub async fn switchover_refused(&self, to: u64) -> (HoldCode, String) {
        let error = self.switchover(Some(to)).await.expect_err("refused");
        let text = error.to_string();
        let held = error.held().unwrap_or_else(|| panic!("{text}"));
        (held.code.expect("a known code"), text)
    }

    /// Everything that was acknowledged is with the primary.
    pub async fn nothing_lost(&mut self, load: Load) {
        let (primary, _) = self.primary().await;
        let lost = load.lost_at(self.address(primary)).await;
        assert_eq!(lost, BTreeSet::new());
    }

    /// The same rows are everywhere.
    pub async fn all_alike(&self) {
        let query =
            "SELECT COUNT(*), COALESCE(SUM(number), 0), COALESCE(SUM(tries), 0) FROM app.writes";
        eventually("the same rows everywhere", || async {
            let mut sums = BTreeSet::new();
            for node in ALL {
                let rows: Vec<(u64, String, String)> =
                    link::ask(self.address(node), OPERATOR, query).await.ok()?;
                sums.extend(rows);
            }
            (sums.len() == 1).then_some(())
        })
        .await;
    }

    /// The files in which the agent of a node saved what nobody else had.
    pub fn saved(&self, node: u64) -> Vec<PathBuf> {
        let mut folders = vec![self.folder.path().join(format!("agent-{node}"))];
        let mut found = Vec::new();
        while let Some(folder) = folders.pop() {
            let is_tails = folder.ends_with("tails");
            for entry in std::fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if is_tails {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}
