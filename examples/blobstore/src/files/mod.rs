//! The files of one node: each version of each item is one file, written whole or not at all, with its checksum.
//!
//! A version that was written replaces no other by itself. The cluster decides which version is the item's, and until
//! it has, both are there: a reader finds the old one, and a write that comes to nothing costs it nothing.

mod error;
mod inventory;
mod record;
mod sum;

pub use error::FileError;
pub use inventory::{Held, Shelved};
pub use sum::Sum;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use inventory::{Inventory, Shelf};
use record::{Header, HeaderFault};

/// Largest data of one item, in bytes.
pub const DATA_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Versions of one item that a node keeps at a time; more are refused until some are let go.
const VERSIONS_MAX: usize = 16;

/// Items are spread over so many locks.
const LANES: usize = 64;

const DATA: &str = "data";
const UNFINISHED: &str = "unfinished";
const DAMAGED: &str = "damaged";

/// The files of one node, in a folder of its own. All calls block on the disk.
#[derive(Debug)]
pub struct Files {
    folder: PathBuf,
    inventory: Mutex<Inventory>,
    /// Held while what the inventory says of an item and what lies on the disk may differ.
    lanes: Vec<RwLock<()>>,
    next: AtomicU64,
}

impl Files {
    /// Opens a folder, makes it when it is missing, and reads what is there. What was not finished is removed; what has no
    /// whole header is set aside.
    ///
    /// # Errors
    /// [`FileError::Disk`].
    pub fn open(folder: &Path) -> Result<Self, FileError> {
        let files = Self {
            folder: folder.to_path_buf(),
            inventory: Mutex::default(),
            lanes: (0..LANES).map(|_| RwLock::default()).collect(),
            next: AtomicU64::new(0),
        };
        let unfinished = folder.join(UNFINISHED);
        match fs::remove_dir_all(&unfinished) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => {
                return Err(FileError::disk("remove", &unfinished)(why));
            }
            Ok(()) | Err(_) => {}
        }
        for part in [DATA, UNFINISHED, DAMAGED] {
            let path = folder.join(part);
            fs::create_dir_all(&path).map_err(FileError::disk("make", &path))?;
        }
        sync_folder(folder)?;
        files.take_stock()?;
        Ok(files)
    }

    /// Reads the header of every file.
    fn take_stock(&self) -> Result<(), FileError> {
        let data = self.folder.join(DATA);
        for shelf in entries(&data)? {
            for path in entries(&shelf)? {
                let file = File::open(&path).map_err(FileError::disk("open", &path))?;
                let length = file.metadata().map_err(FileError::disk("look at", &path))?;
                match Header::read(&mut io::BufReader::new(file), length.len()) {
                    Ok(header) => self.enter(&header.item, header.version, Some(header.held)),
                    Err(HeaderFault::Disk(why)) => {
                        return Err(FileError::disk("read", &path)(why));
                    }
                    Err(HeaderFault::Damaged(why)) => {
                        tracing::error!(path = %path.display(), why, "set aside");
                        self.set_aside(&path)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Keeps a version of an item: durable, and in the inventory, when this returns. To keep the same again is harmless.
    /// With `force` it takes the place of other data under the same version.
    ///
    /// # Errors
    /// [`FileError::Taken`], [`FileError::TooMany`], [`FileError::Disk`].
    pub fn keep(
        &self,
        item: &str,
        version: u64,
        data: &[u8],
        force: bool,
    ) -> Result<Sum, FileError> {
        let sum = Sum::of(data);
        let size = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let held = Held { sum, size };
        let _alone = self.alone(item);
        let is_new = self.may_keep(item, version, held, force)?;
        if is_new {
            let header = Header {
                item: item.to_owned(),
                version,
                held,
            };
            self.write(&header, data)?;
        }
        self.enter(item, version, is_new.then_some(held));
        Ok(sum)
    }

    /// Counts a version that is here as kept anew, for [`Files::remove_unless_kept`].
    ///
    /// # Errors
    /// [`FileError::Absent`] when it is not here (any more).
    pub fn mark(&self, item: &str, version: u64) -> Result<(), FileError> {
        let _alone = self.alone(item);
        if self.held(item, version).is_none() {
            let item = item.to_owned();
            return Err(FileError::Absent { item, version });
        }
        self.enter(item, version, None);
        Ok(())
    }

    /// Whether there is anything to write.
    fn may_keep(
        &self,
        item: &str,
        version: u64,
        held: Held,
        force: bool,
    ) -> Result<bool, FileError> {
        let inventory = self.lock();
        let versions = inventory.get(item).map(|shelf| &shelf.versions);
        match versions.and_then(|versions| versions.get(&version)) {
            Some(there) if *there == held => return Ok(false),
            Some(_) if !force => {
                let item = item.to_owned();
                return Err(FileError::Taken { item, version });
            }
            Some(_) => return Ok(true),
            None => {}
        }
        let count = versions.map_or(0, BTreeMap::len);
        if count >= VERSIONS_MAX {
            let item = item.to_owned();
            return Err(FileError::TooMany { item, count });
        }
        Ok(true)
    }

    /// Written beside, made durable, and only then put in its place.
    fn write(&self, header: &Header, data: &[u8]) -> Result<(), FileError> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let beside = self.folder.join(UNFINISHED).join(number.to_string());
        let mut options = OpenOptions::new();
        let file = options
            .write(true)
            .create(true)
            .truncate(true)
            .open(&beside);
        let mut file = file.map_err(FileError::disk("make", &beside))?;
        let written = file
            .write_all(&header.bytes())
            .and_then(|()| file.write_all(data))
            .and_then(|()| file.sync_data());
        written.map_err(FileError::disk("write", &beside))?;
        let path = self.path(&header.item, header.version);
        let shelf = path.parent().unwrap_or(&self.folder);
        if !shelf.is_dir() {
            fs::create_dir_all(shelf).map_err(FileError::disk("make", shelf))?;
            sync_folder(&self.folder.join(DATA))?;
        }
        fs::rename(&beside, &path).map_err(FileError::disk("put in its place", &path))?;
        sync_folder(shelf)
    }

    /// The data of a version, compared with its checksum. What differs is set aside, and is not here any more.
    ///
    /// # Errors
    /// [`FileError::Absent`], [`FileError::Damaged`], [`FileError::Disk`].
    pub fn read(&self, item: &str, version: u64) -> Result<(Held, Vec<u8>), FileError> {
        let absent = || FileError::Absent {
            item: item.to_owned(),
            version,
        };
        let path = self.path(item, version);
        let read = {
            let _beside = self.beside(item);
            let held = self.held(item, version).ok_or_else(absent)?;
            fs::read(&path).map(|bytes| (held, record::data(bytes)))
        };
        let (held, data) = read.map_err(FileError::disk("read", &path))?;
        let found = Sum::of(&data);
        if found == held.sum {
            return Ok((held, data));
        }
        let _alone = self.alone(item);
        // Somebody may have written it anew meanwhile.
        if self.held(item, version) == Some(held) {
            self.strike(item, version);
            self.set_aside(&path)?;
        }
        Err(FileError::Damaged {
            item: item.to_owned(),
            version,
            found,
            expected: held.sum,
        })
    }

    /// What is known of a version without reading it.
    #[must_use]
    pub fn held(&self, item: &str, version: u64) -> Option<Held> {
        self.lock().get(item)?.versions.get(&version).copied()
    }

    /// The latest version of an item that is here.
    #[must_use]
    pub fn latest(&self, item: &str) -> Option<u64> {
        Some(*self.lock().get(item)?.versions.last_key_value()?.0)
    }

    /// Lets go of all versions of an item that are earlier than one which the cluster has.
    ///
    /// # Errors
    /// [`FileError::Disk`]; what was not let go is let go at the next call.
    pub fn settle(&self, item: &str, version: u64) -> Result<(), FileError> {
        self.let_go(item, |there| there < version)
    }

    /// Lets go of all versions of an item up to one.
    ///
    /// # Errors
    /// [`FileError::Disk`]; what was not let go is let go at the next call.
    pub fn remove(&self, item: &str, up_to: u64) -> Result<(), FileError> {
        self.let_go(item, |there| there <= up_to)
    }

    /// Lets go of all versions of an item, unless it was kept since a page of the inventory showed this mark. Gives
    /// whether they are gone.
    ///
    /// # Errors
    /// [`FileError::Disk`]; what was not let go is let go at the next call.
    pub fn remove_unless_kept(&self, item: &str, mark: u64) -> Result<bool, FileError> {
        let _alone = self.alone(item);
        let now = self.lock().get(item).map(|shelf| shelf.mark);
        if now != Some(mark) {
            return Ok(false);
        }
        self.take_away(item, |_| true).map(|()| true)
    }

    fn let_go(&self, item: &str, goes: impl Fn(u64) -> bool) -> Result<(), FileError> {
        let _alone = self.alone(item);
        self.take_away(item, goes)
    }

    /// To be called while nobody else touches the item.
    fn take_away(&self, item: &str, goes: impl Fn(u64) -> bool) -> Result<(), FileError> {
        let there: Vec<u64> = match self.lock().get(item) {
            Some(shelf) => {
                let versions = shelf.versions.keys().copied();
                versions.filter(|version| goes(*version)).collect()
            }
            None => return Ok(()),
        };
        for version in there {
            // Out of the inventory first: what is promised to be there is there.
            self.strike(item, version);
            let path = self.path(item, version);
            match fs::remove_file(&path) {
                Err(why) if why.kind() != io::ErrorKind::NotFound => {
                    return Err(FileError::disk("remove", &path)(why));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Items that are here, by name, up to so many from the first one after a name on.
    #[must_use]
    pub fn page(&self, after: Option<&str>, most: usize) -> Vec<Shelved> {
        use std::ops::Bound::{Excluded, Unbounded};
        let from = after.map_or(Unbounded, Excluded);
        let inventory = self.lock();
        let shelves = inventory.range::<str, _>((from, Unbounded)).take(most);
        let shelved = |(item, shelf): (&String, &Shelf)| Shelved {
            item: item.clone(),
            latest: shelf.versions.keys().next_back().copied().unwrap_or(0),
            mark: shelf.mark,
        };
        shelves.map(shelved).collect()
    }

    /// How many items and how many bytes are here.
    #[must_use]
    pub fn total(&self) -> (usize, u64) {
        let inventory = self.lock();
        let sizes = inventory.values().flat_map(|shelf| shelf.versions.values());
        (inventory.len(), sizes.map(|held| held.size).sum())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn lock(&self) -> MutexGuard<'_, Inventory> {
        self.inventory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn lane(&self, item: &str) -> Option<&RwLock<()>> {
        let sum = Sum::of(item.as_bytes());
        let first = sum.as_bytes().first().copied().unwrap_or_default();
        self.lanes.get(usize::from(first) % LANES)
    }

    fn alone(&self, item: &str) -> Option<RwLockWriteGuard<'_, ()>> {
        let lane = self.lane(item)?;
        Some(lane.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn beside(&self, item: &str) -> Option<RwLockReadGuard<'_, ()>> {
        let lane = self.lane(item)?;
        Some(lane.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn enter(&self, item: &str, version: u64, held: Option<Held>) {
        let mark = self.next.fetch_add(1, Ordering::Relaxed);
        let mut inventory = self.lock();
        let shelf = inventory.entry(item.to_owned()).or_default();
        shelf.mark = mark;
        if let Some(held) = held {
            shelf.versions.insert(version, held);
        }
    }

    fn strike(&self, item: &str, version: u64) {
        let mut inventory = self.lock();
        if let Some(shelf) = inventory.get_mut(item) {
            shelf.versions.remove(&version);
            if shelf.versions.is_empty() {
                inventory.remove(item);
            }
        }
    }

    fn set_aside(&self, path: &Path) -> Result<(), FileError> {
        let name = path.file_name().unwrap_or_default();
        let aside = self.folder.join(DAMAGED).join(name);
        fs::rename(path, &aside).map_err(FileError::disk("set aside", path))
    }

    /// Names of items may hold anything; those of files may not.
    fn path(&self, item: &str, version: u64) -> PathBuf {
        let name = Sum::of(item.as_bytes()).to_string();
        let shelf = name.get(..2).unwrap_or_default();
        let data = self.folder.join(DATA);
        data.join(shelf).join(format!("{name}.{version}"))
    }
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = fs::read_dir(folder).map_err(FileError::disk("list", folder))?;
    let paths = read.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<Result<_, _>>()
        .map_err(FileError::disk("list", folder))
}

fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(FileError::disk("sync", folder))
}

#[cfg(test)]
mod tests;
