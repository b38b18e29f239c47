//! What the ledger says of items, compared with what is really there.

use super::World;
use tenure_core::{
    NodeId,
    copies::{CopyState, Item, Stage},
};

impl World {
    /// Whatever the ledger says is fresh is really there; an acknowledged version is never gone back behind, nor gone
    /// while one of its disks is left.
    pub(super) fn check_items(&mut self) {
        let Some(ledger) = self.ledger() else { return };
        let mut found = Vec::new();
        for item in ledger.all_stored() {
            for (node, state) in &item.copies {
                let shelf = &self.items.shelves[usize::try_from(node.0).expect("it is small") - 1];
                let same_disk = ledger
                    .store(*node)
                    .is_some_and(|it| it.folder() == shelf.folder);
                let fresh = *state == CopyState::InSync;
                let has = shelf.has(&item.name, item.version) == item.checksum;
                if same_disk && fresh && !has {
                    let has = shelf.files.get(&item.name);
                    found.push(format!("{node} has {has:?} of {item:?}"));
                }
            }
        }
        for (name, (version, _)) in &self.items.acked {
            let known = ledger.stored(name);
            if known.as_ref().is_none_or(|item| item.version < *version) {
                found.push(format!(
                    "{name} was acknowledged at {version}, and is {known:?}"
                ));
            }
        }
        for item in self.written() {
            if !self.items.lost.contains(&item.name) && !self.exists(&item) {
                found.push(format!("nobody has {item:?}"));
            }
        }
        for what in found {
            self.broken(&what);
        }
    }

    /// Whether every item has all of its copies, none too many, and nothing of what was dropped is left; but for what
    /// was lost with its disks.
    pub fn items_are_whole(&self) -> bool {
        let Some(ledger) = self.ledger() else {
            return true;
        };
        let takers = ledger.stores().filter(|store| store.takes_copies()).count();
        ledger.all_stored().all(|item| {
            let wanted = if item.follows {
                usize::try_from(ledger.policy().copies).expect("it is small")
            } else {
                item.wanted.into()
            };
            let wanted = wanted.min(takers);
            // What is called fresh and is not there, on a disk that was replaced, does not count.
            let fresh = |(node, state): &&(NodeId, CopyState)| {
                let index = usize::try_from(node.0).expect("it is small") - 1;
                let has = self.items.shelves[index].has(&item.name, item.version);
                *state == CopyState::InSync && has == item.checksum
            };
            let fresh = item.copies.iter().filter(fresh).count();
            match item.stage {
                Stage::Written => {
                    let whole = fresh == wanted && item.copies.len() == wanted;
                    whole || self.items.lost.contains(&item.name)
                }
                Stage::Removed => false,
                Stage::Vacant => true,
            }
        })
    }

    pub(in super::super) fn items_picture(&self) -> String {
        let Some(ledger) = self.ledger() else {
            return String::new();
        };
        let items: Vec<Item> = ledger.all_stored().collect();
        let stores: Vec<_> = ledger
            .stores()
            .map(|it| (it.node(), it.is_lost(), it.is_draining(), it.folder()))
            .collect();
        let shelves: Vec<_> = self
            .items
            .shelves
            .iter()
            .map(|it| (it.folder, &it.orders, &it.reports))
            .collect();
        format!("items {items:#?}\nstores {stores:?}\nshelves {shelves:#?}\n")
    }
}
