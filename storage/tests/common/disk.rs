//! A disk in memory that records what is done to it, and can say what a power cut would leave.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use tenure_storage::wal::disk::{Disk, DiskFile};

pub const PAGE: usize = 4096;

/// One change to the disk. Files are known by number, names only point to them.
#[derive(Debug, Clone)]
pub enum Change {
    Create {
        name: String,
        file: usize,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetSize {
        file: usize,
        size: u64,
    },
    Sync {
        file: usize,
    },
    Rename {
        from: String,
        to: String,
    },
    Remove {
        name: String,
    },
    SyncFolder,
}

/// What happens to what was not synced.
#[derive(Debug, Clone, Copy)]
pub enum Unsynced {
    Dropped,
    Kept,
    /// Each page of each write, each change of size and each prefix of the changes of names is
    /// kept or not, by this seed.
    InPart(u64),
}

#[derive(Debug, Default)]
struct State {
    names: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    changes: Vec<Change>,
    /// Fail the change after this many more, with this error.
    fails: Option<(usize, io::ErrorKind)>,
}

impl State {
    fn change(&mut self, change: Change) -> io::Result<()> {
        if let Some((left, kind)) = &mut self.fails {
            if *left == 0 {
                return Err((*kind).into());
            }
            *left -= 1;
        }
        self.changes.push(change);
        Ok(())
    }
}

#[derive(Debug, Clone, Default)]
pub struct MemoryDisk(Arc<Mutex<State>>);

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
}

fn name_of(path: &Path) -> String {
    path.file_name()
        .expect("a file name")
        .to_string_lossy()
        .into_owned()
}

pub fn dir() -> PathBuf {
    PathBuf::from("/log")
}

impl MemoryDisk {
    pub fn with_files(files: BTreeMap<String, Vec<u8>>) -> MemoryDisk {
        let mut state = State::default();
        for (name, bytes) in files {
            state.names.insert(name, state.files.len());
            state.files.push(bytes);
        }
        MemoryDisk(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .expect("no test panics while it holds the disk")
    }

    /// Nothing gets to this disk, or from it, until the guard is dropped.
    pub fn hold(&self) -> impl Sized + '_ {
        self.state()
    }

    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let state = self.state();
        let with_bytes =
            |(name, file): (&String, &usize)| (name.clone(), state.files[*file].clone());
        state.names.iter().map(with_bytes).collect()
    }

    pub fn changes(&self) -> usize {
        self.state().changes.len()
    }

    pub fn recorded(&self) -> Vec<Change> {
        self.state().changes.clone()
    }

    /// Fails every change from the one after the next `changes` on.
    pub fn fail_after(&self, changes: usize, kind: io::ErrorKind) {
        self.state().fails = Some((changes, kind));
    }
}

impl Disk for MemoryDisk {
    fn list(&self, _folder: &Path) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        let (name, file) = (name_of(path), state.files.len());
        state.change(Change::Create {
            name: name.clone(),
            file,
        })?;
        state.files.push(Vec::new());
        state.names.insert(name, file);
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            file,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.state().names.get(&name_of(path)).copied();
        let file = file.ok_or(io::ErrorKind::NotFound)?;
        Ok(Arc::new(MemoryFile {
            disk: self.clone(),
            file,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        let (from, to) = (name_of(from), name_of(to));
        let file = state
            .names
            .get(&from)
            .copied()
            .ok_or(io::ErrorKind::NotFound)?;
        state.change(Change::Rename {
            from: from.clone(),
            to: to.clone(),
        })?;
        state.names.remove(&from);
        state.names.insert(to, file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let name = name_of(path);
        state.change(Change::Remove { name: name.clone() })?;
        state
            .names
            .remove(&name)
            .map(|_| ())
            .ok_or(io::ErrorKind::NotFound.into())
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        self.state().change(Change::SyncFolder)
    }
}

impl DiskFile for MemoryFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().files[self.file].len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let state = self.disk.state();
        let from = offset as usize;
        let bytes = state.files[self.file].get(from..from + buffer.len());
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let file = self.file;
        state.change(Change::Write {
            file,
            offset,
            bytes: bytes.to_vec(),
        })?;
        write(&mut state.files[file], offset, bytes);
        Ok(())
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(Change::SetSize {
            file: self.file,
            size,
        })?;
        state.files[self.file].resize(size as usize, 0);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.state().change(Change::Sync { file: self.file })
    }
}

fn write(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let end = offset as usize + bytes.len();
    if file.len() < end {
        file.resize(end, 0);
    }
    file[offset as usize..end].copy_from_slice(bytes);
}

/// A small generator, so that a failing image is found again by its seed.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub fn coin(&mut self) -> bool {
        self.next() & 1 == 1
    }
}

/// The files after a power cut that follows the last of `changes`, on a disk that began with
/// `files`.
pub fn image(
    files: &BTreeMap<String, Vec<u8>>,
    changes: &[Change],
    unsynced: Unsynced,
) -> BTreeMap<String, Vec<u8>> {
    let synced_to = synced(changes);
    let mut random = Random(match unsynced {
        Unsynced::InPart(seed) => seed,
        Unsynced::Dropped | Unsynced::Kept => 0,
    });
    let keeps = |durable: bool, random: &mut Random| {
        durable
            || match unsynced {
                Unsynced::Dropped => false,
                Unsynced::Kept => true,
                Unsynced::InPart(_) => random.coin(),
            }
    };
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    let mut contents: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    for (i, (name, bytes)) in files.iter().enumerate() {
        names.insert(name.clone(), i);
        contents.insert(i, bytes.clone());
    }
    let mut names_go_on = true;
    for (change, durable) in changes.iter().zip(synced_to) {
        match change {
            Change::Write {
                file,
                offset,
                bytes,
            } => {
                for (from, page) in pages(*offset, bytes) {
                    if keeps(durable, &mut random) {
                        write(contents.entry(*file).or_default(), from, page);
                    } else if keeps(false, &mut random) {
                        // The size got there, the page did not.
                        let content = contents.entry(*file).or_default();
                        let end = from as usize + page.len();
                        content.resize(content.len().max(end), 0);
                    }
                }
            }
            Change::SetSize { file, size } => {
                if keeps(durable, &mut random) {
                    contents.entry(*file).or_default().resize(*size as usize, 0);
                }
            }
            Change::Create { .. } | Change::Rename { .. } | Change::Remove { .. } => {
                // A journal keeps the order of changes of names: what is lost is the end of them.
                names_go_on = names_go_on && keeps(durable, &mut random);
                if names_go_on {
                    rename(&mut names, change);
                }
            }
            Change::Sync { .. } | Change::SyncFolder => {}
        }
    }
    let content =
        |(name, file): (String, usize)| (name, contents.get(&file).cloned().unwrap_or_default());
    names.into_iter().map(content).collect()
}

fn rename(names: &mut BTreeMap<String, usize>, change: &Change) {
    match change {
        Change::Create { name, file } => {
            names.insert(name.clone(), *file);
        }
        Change::Rename { from, to } => {
            let file = names.remove(from).expect("changes of names stay in order");
            names.insert(to.clone(), file);
        }
        Change::Remove { name } => {
            names.remove(name);
        }
        Change::Write { .. }
        | Change::SetSize { .. }
        | Change::Sync { .. }
        | Change::SyncFolder => {}
    }
}

/// The pages that a write touches, each with its place.
fn pages(offset: u64, bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pages = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let from = offset as usize + at;
        let length = (PAGE - from % PAGE).min(bytes.len() - at);
        pages.push((from as u64, &bytes[at..at + length]));
        at += length;
    }
    pages
}

/// For each change whether a later sync among `changes` covers it.
fn synced(changes: &[Change]) -> Vec<bool> {
    let covered = |i: usize| {
        changes[i + 1..]
            .iter()
            .any(|later| match (&changes[i], later) {
                (
                    Change::Write { file, .. } | Change::SetSize { file, .. },
                    Change::Sync { file: synced },
                ) => file == synced,
                (
                    Change::Create { .. } | Change::Rename { .. } | Change::Remove { .. },
                    Change::SyncFolder,
                ) => true,
                _ => false,
            })
    };
    (0..changes.len()).map(covered).collect()
}
