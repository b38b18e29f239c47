//! What the parts of one node share.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenure_client::Copies;
use tenure_client::core::copies::ItemName;
use tenure_client::core::{NodeId, Zone};
use tokio::sync::{Mutex, MutexGuard};

use crate::files::{FileError, Files, Sum};

/// Items are spread over so many locks.
const LANES: usize = 64;

/// One node of the store.
#[derive(Debug)]
pub struct Node {
    files: Arc<Files>,
    /// Where the items of the service are.
    pub copies: Copies,
    /// Which node this is.
    pub id: NodeId,
    /// Its failure domain.
    pub zone: Option<Zone>,
    busy: AtomicUsize,
    lanes: Vec<Mutex<()>>,
}

/// Held for as long as a request is being answered.
#[derive(Debug)]
pub struct Busy<'a>(&'a Node);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Node {
    /// A node with these files.
    #[must_use]
    pub fn new(files: Files, copies: Copies, id: NodeId, zone: Option<Zone>) -> Self {
        Self {
            files: Arc::new(files),
            copies,
            id,
            zone,
            busy: AtomicUsize::new(0),
            lanes: (0..LANES).map(|_| Mutex::default()).collect(),
        }
    }

    /// The files, for what does not touch the disk.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Does something on the disk without holding up anything else.
    ///
    /// # Errors
    /// What it fails with.
    pub async fn on_disk<T: Send + 'static>(
        &self,
        what: impl FnOnce(&Files) -> Result<T, FileError> + Send + 'static,
    ) -> Result<T, FileError> {
        let files = self.files.clone();
        let folder = files.folder().to_path_buf();
        let done = tokio::task::spawn_blocking(move || what(&files)).await;
        done.unwrap_or_else(|why| {
            Err(FileError::Disk {
                what: "use",
                path: folder,
                source: io::Error::other(why),
            })
        })
    }

    /// What is ordered of one item is done in turn.
    pub async fn in_turn(&self, item: &ItemName) -> Option<MutexGuard<'_, ()>> {
        let sum = Sum::of(item.as_str().as_bytes());
        let first = sum.as_bytes().first().copied().unwrap_or_default();
        let lane = self.lanes.get(usize::from(first) % LANES)?;
        Some(lane.lock().await)
    }

    /// Counts a request.
    #[must_use]
    pub fn begin(&self) -> Busy<'_> {
        self.busy.fetch_add(1, Ordering::Relaxed);
        Busy(self)
    }

    /// Requests that are being answered.
    #[must_use]
    pub fn busy(&self) -> usize {
        self.busy.load(Ordering::Relaxed)
    }
}

/// The number by which the cluster knows a data folder: chosen at the first start, and kept in it. A folder that was lost
/// has another one, so that nobody counts on what was there.
///
/// # Errors
/// What the system says; a file that does not hold such a number is an error, too.
pub fn folder_number(folder: &Path) -> io::Result<u64> {
    let path = folder.join("folder");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let number = u64::from_str_radix(text.trim(), 16).ok();
            let number = number.filter(|number| *number > 0);
            return number.ok_or_else(|| {
                let why = format!("{} does not hold the folder's number", path.display());
                io::Error::new(io::ErrorKind::InvalidData, why)
            });
        }
        Err(why) if why.kind() == io::ErrorKind::NotFound => {}
        Err(why) => return Err(why),
    }
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|why| io::Error::other(why.to_string()))?;
    let number = u64::from_le_bytes(bytes).max(1);
    std::fs::create_dir_all(folder)?;
    let beside = folder.join("folder.new");
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .open(&beside)?;
    writeln!(file, "{number:016x}")?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    std::fs::File::open(folder)?.sync_all()?;
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_number_and_another_has_another() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let number = folder_number(one.path()).unwrap();
        assert_eq!(folder_number(one.path()).unwrap(), number);
        assert_ne!(folder_number(other.path()).unwrap(), number);
        std::fs::write(one.path().join("folder"), "0").unwrap();
        assert!(folder_number(one.path()).is_err());
    }
}
