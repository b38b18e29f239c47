//! The names in a folder and below it, and which of them a power cut leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use super::{Fate, chance::Chance};

/// A folder, whatever its name is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FolderId(usize);

/// A file, whatever its name is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A folder.
    Folder(FolderId),
    /// A file.
    File(FileId),
}

const ROOT: FolderId = FolderId(0);

type Name = Vec<u8>;

/// Every folder with the names in it, reachable or not.
#[derive(Clone, Debug, Default)]
struct Tree(BTreeMap<FolderId, BTreeMap<Name, Entry>>);

impl Tree {
    fn apply(&mut self, change: &NameChange) {
        for (folder, name, entry) in &change.0 {
            let names = self.0.entry(*folder).or_default();
            match entry {
                Some(entry) => drop(names.insert(name.clone(), *entry)),
                None => drop(names.remove(name)),
            }
        }
    }

    fn find(&self, path: &[u8]) -> Option<Entry> {
        let mut at = Entry::Folder(ROOT);
        for name in path
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            let Entry::Folder(folder) = at else {
                return None;
            };
            at = *self.0.get(&folder)?.get(name)?;
        }
        Some(at)
    }

    fn walk(&self, folder: FolderId, path: &Path, found: &mut Vec<(PathBuf, Entry)>) {
        for (name, entry) in self.0.get(&folder).into_iter().flatten() {
            let path = path.join(String::from_utf8_lossy(name).as_ref());
            found.push((path.clone(), *entry));
            if let Entry::Folder(folder) = entry {
                self.walk(*folder, &path, found);
            }
        }
    }
}

/// Names given and taken together, or not at all.
#[derive(Clone, Debug)]
struct NameChange(Vec<(FolderId, Name, Option<Entry>)>);

/// The names as the program sees them, as of the last syncs, and the changes in between.
#[derive(Clone, Debug, Default)]
pub struct Names {
    live: Tree,
    synced: Tree,
    changes: Vec<NameChange>,
    folders: usize,
}

impl Names {
    /// What `path` stands for in the running program.
    #[must_use]
    pub fn find(&self, path: &[u8]) -> Option<Entry> {
        self.live.find(path)
    }

    /// The program gave `path` to a file.
    ///
    /// # Errors
    /// When the folder it would be in does not exist.
    pub fn add_file(&mut self, path: &[u8], file: FileId) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.change(vec![(folder, name, Some(Entry::File(file)))]);
        Ok(())
    }

    /// The program made a folder.
    ///
    /// # Errors
    /// When the folder it would be in does not exist.
    pub fn add_folder(&mut self, path: &[u8]) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.folders += 1;
        let made = Entry::Folder(FolderId(self.folders));
        self.change(vec![(folder, name, Some(made))]);
        Ok(())
    }

    /// The program took the name `path` away.
    ///
    /// # Errors
    /// When the folder it would be in does not exist.
    pub fn remove(&mut self, path: &[u8]) -> io::Result<()> {
        let (folder, name) = self.place(path)?;
        self.change(vec![(folder, name, None)]);
        Ok(())
    }

    /// The program renamed `from` to `to`.
    ///
    /// # Errors
    /// When `from` or the folder of either does not exist.
    pub fn rename(&mut self, from: &[u8], to: &[u8]) -> io::Result<()> {
        let entry = self.find(from).ok_or_else(|| unknown(from))?;
        let (old_folder, old_name) = self.place(from)?;
        let (new_folder, new_name) = self.place(to)?;
        self.change(vec![
            (old_folder, old_name, None),
            (new_folder, new_name, Some(entry)),
        ]);
        Ok(())
    }

    /// A sync of the folder `path` returned.
    ///
    /// # Errors
    /// When there is no such folder.
    pub fn sync(&mut self, path: &[u8]) -> io::Result<()> {
        let Some(Entry::Folder(folder)) = self.find(path) else {
            return Err(unknown(path));
        };
        // A change that is made durable takes along what it built on: a rename, the making of what it moved.
        let mut folders = BTreeSet::from([folder]);
        let mut durable = Vec::new();
        for (at, change) in self.changes.iter().enumerate().rev() {
            if change.0.iter().any(|(folder, ..)| folders.contains(folder)) {
                folders.extend(change.0.iter().map(|(folder, ..)| *folder));
                durable.push(at);
            }
        }
        for at in durable.iter().rev() {
            self.synced.apply(&self.changes[*at]);
        }
        for at in durable {
            self.changes.remove(at);
        }
        Ok(())
    }

    /// Everything so far is on the disk: the state in which a machine starts.
    pub fn sync_all(&mut self) {
        self.synced = self.live.clone();
        self.changes.clear();
    }

    /// Every path that is there after a power cut, with what it stands for.
    #[must_use]
    pub fn after_cut(&self, fate: Fate) -> Vec<(PathBuf, Entry)> {
        let kept = match fate {
            Fate::Dropped => 0,
            Fate::Kept => self.changes.len(),
            Fate::Partial(seed) => Chance::new(seed).up_to(self.changes.len()),
        };
        let mut tree = self.synced.clone();
        for change in &self.changes[..kept] {
            tree.apply(change);
        }
        let mut found = Vec::new();
        tree.walk(ROOT, Path::new(""), &mut found);
        found
    }

    fn change(&mut self, edits: Vec<(FolderId, Name, Option<Entry>)>) {
        let change = NameChange(edits);
        self.live.apply(&change);
        self.changes.push(change);
    }

    /// The folder that `path` is in, and the last part of it.
    fn place(&self, path: &[u8]) -> io::Result<(FolderId, Name)> {
        let cut = path.iter().rposition(|byte| *byte == b'/');
        let (folder, name) = cut.map_or((&b""[..], path), |at| (&path[..at], &path[at + 1..]));
        match self.find(folder) {
            Some(Entry::Folder(id)) => Ok((id, name.to_vec())),
            Some(Entry::File(_)) | None => Err(unknown(folder)),
        }
    }
}

fn unknown(path: &[u8]) -> io::Error {
    let path = String::from_utf8_lossy(path);
    io::Error::other(format!(
        "the trace speaks of {path:?}, which nothing in it made: a call went past the recorder"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &Names, fate: Fate) -> Vec<String> {
        names
            .after_cut(fate)
            .into_iter()
            .map(|(path, _)| path.display().to_string())
            .collect()
    }

    #[test]
    fn a_name_is_durable_after_its_folder_was_synced_and_not_before() {
        let mut names = Names::default();
        names.add_folder(b"log").unwrap();
        names.add_file(b"log/1", FileId(1)).unwrap();
        assert_eq!(paths(&names, Fate::Dropped), [""; 0]);
        names.sync(b"log").unwrap();
        assert_eq!(
            paths(&names, Fate::Dropped),
            [""; 0],
            "the folder itself has no durable name yet"
        );
        names.sync(b"").unwrap();
        assert_eq!(paths(&names, Fate::Dropped), ["log", "log/1"]);
        names.rename(b"log/1", b"log/2").unwrap();
        assert_eq!(paths(&names, Fate::Dropped), ["log", "log/1"]);
        assert_eq!(paths(&names, Fate::Kept), ["log", "log/2"]);
        names.remove(b"log/2").unwrap();
        names.sync(b"log").unwrap();
        assert_eq!(paths(&names, Fate::Dropped), ["log"]);
    }

    #[test]
    fn a_durable_rename_out_of_a_folder_takes_the_making_along() {
        let mut names = Names::default();
        names.add_folder(b"a").unwrap();
        names.add_folder(b"b").unwrap();
        names.sync(b"").unwrap();
        names.add_file(b"a/x", FileId(1)).unwrap();
        names.rename(b"a/x", b"b/x").unwrap();
        names.sync(b"b").unwrap();
        names.sync(b"a").unwrap();
        assert_eq!(paths(&names, Fate::Dropped), ["a", "b", "b/x"]);
    }

    #[test]
    fn in_part_names_change_in_order() {
        let mut names = Names::default();
        for file in 0..4 {
            names
                .add_file(format!("{file}").as_bytes(), FileId(file))
                .unwrap();
        }
        let mut lengths = BTreeSet::new();
        for seed in 0..100 {
            let found = paths(&names, Fate::Partial(seed));
            assert_eq!(found, ["0", "1", "2", "3"][..found.len()]);
            lengths.insert(found.len());
        }
        assert_eq!(lengths.len(), 5);
    }
}
