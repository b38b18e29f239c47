//! Makes an image ready for opening, after whatever end an earlier process came to.

use std::fs::{self, File, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use super::db::FILE;
use crate::error::DiskError;

/// How long a database that this process had open before may take to let go of its file.
const RELEASE: Duration = Duration::from_secs(10);
/// How the name of a table ends that the database has not finished writing.
const UNFINISHED: &str = "generating";

/// Readies the image in `folder` for the database, which by itself
/// - takes a half-written table of its pages for damage, and refuses to open (without the table it
///   reads its log instead);
/// - syncs such a table when it opens, but not the log that the table speaks of, which may still be
///   in the memory of the operating system alone;
/// - lets go of its file some time after it was dropped, on a thread of its own.
pub fn prepare(folder: &Path) -> Result<(), DiskError> {
    let listing = |e| DiskError::new("list folder", folder, e);
    for entry in fs::read_dir(folder).map_err(listing)? {
        let path = entry.map_err(listing)?.path();
        if path.extension().is_some_and(|ending| ending == UNFINISHED) {
            fs::remove_file(&path).map_err(|e| DiskError::new("remove", &path, e))?;
        }
    }
    let path = folder.join(FILE);
    if path.exists() {
        let file = File::open(&path).map_err(|e| DiskError::new("open", &path, e))?;
        wait_until_released(&file, &path)?;
        file.sync_all()
            .map_err(|e| DiskError::new("sync", &path, e))?;
    }
    Ok(())
}

/// The folder is locked, so whoever holds the file is an earlier database of this process.
fn wait_until_released(file: &File, path: &Path) -> Result<(), DiskError> {
    let started = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => {
                return file.unlock().map_err(|e| DiskError::new("unlock", path, e));
            }
            Err(TryLockError::WouldBlock) if started.elapsed() < RELEASE => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => return Err(DiskError::new("lock", path, error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_written_table_of_the_database_is_cleared_away() {
        let temp = tempfile::tempdir().expect("temp");
        let (whole, half) = (
            temp.path().join("snap.00000000000000C4"),
            temp.path().join("snap.0000000000000152.generating"),
        );
        for path in [&whole, &half] {
            fs::write(path, b"table").expect("write");
        }
        prepare(temp.path()).expect("ready");
        assert!(whole.exists() && !half.exists());
    }

    #[test]
    fn a_file_that_another_holds_is_waited_for() {
        let temp = tempfile::tempdir().expect("temp");
        let path = temp.path().join(FILE);
        let holder = File::create(&path).expect("create");
        holder.lock().expect("lock");
        let folder = temp.path().to_owned();
        let waiting = std::thread::spawn(move || prepare(&folder));
        holder.unlock().expect("unlock");
        waiting.join().expect("no panic").expect("ready");
    }
}
