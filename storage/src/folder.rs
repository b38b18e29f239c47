//! A server's data folder: whose it is, and that nobody else has it open.
//!
//! ```text
//! identity   whose folder this is; written last, so a folder with it is complete
//! log/       the write-ahead log
//! image/     state, snapshots and history
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};

use crate::error::{DiskError, OpenError};
use crate::wal::disk::RealDisk;
use crate::wal::segment;

mod identity;

use identity::{FILE as IDENTITY, FILE_NEW as IDENTITY_NEW};

const LOG: &str = "log";
const IMAGE: &str = "image";

/// Whose data a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name.
    pub cluster: String,
    /// The server's id.
    pub server: u64,
}

/// An open data folder. It stays locked until the last clone is dropped.
#[derive(Debug, Clone)]
pub struct DataFolder {
    path: PathBuf,
    identity: Identity,
    store: u128,
    /// The folder itself, locked; the lock goes with the handle.
    _lock: Arc<File>,
}

impl DataFolder {
    /// Opens the folder of `identity`, and creates it when it is missing or empty.
    ///
    /// # Errors
    ///
    /// Anything but an empty folder or a folder of exactly this cluster and server is refused
    /// before a byte is written. See [`OpenError`] for when trying again helps.
    pub fn open(path: impl AsRef<Path>, identity: Identity) -> Result<DataFolder, OpenError> {
        let path = path.as_ref();
        create_folders(path)?;
        let lock = lock_folder(path)?;
        let stored = match identity::read(&path.join(IDENTITY))? {
            Some(stored) => {
                identity::check(&path.join(IDENTITY), &stored, &identity)?;
                check_present(&path.join(LOG))?;
                stored
            }
            None => create(path, &identity)?,
        };
        Ok(DataFolder {
            path: path.to_owned(),
            identity,
            store: stored.store,
            _lock: Arc::new(lock),
        })
    }

    /// The folder's path, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whose folder it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Drawn at random when the folder was created. Files that carry another one were not
    /// written here.
    pub fn store_id(&self) -> u128 {
        self.store
    }

    /// Where the write-ahead log lies.
    pub fn log_dir(&self) -> PathBuf {
        self.path.join(LOG)
    }

    /// Where the state's image, the snapshots and the history lie.
    pub fn image_dir(&self) -> PathBuf {
        self.path.join(IMAGE)
    }
}

/// Makes the contents of a folder's listing durable.
pub(crate) fn sync_folder(path: &Path) -> Result<(), DiskError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| DiskError::new("sync folder", path, e))
}

fn create_folders(path: &Path) -> Result<(), OpenError> {
    let missing: Vec<&Path> = path
        .ancestors()
        .take_while(|p| !p.as_os_str().is_empty() && !p.exists())
        .collect();
    for folder in missing.into_iter().rev() {
        fs::create_dir(folder).map_err(|e| DiskError::new("create folder", folder, e))?;
        sync_folder(parent(folder))?;
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        Some(_) | None => Path::new("."),
    }
}

/// The lock is on the folder itself, so that taking it writes nothing.
fn lock_folder(path: &Path) -> Result<File, OpenError> {
    let dir = File::open(path).map_err(|e| DiskError::new("open folder", path, e))?;
    match flock(&dir, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(dir),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(OpenError::InUse {
            path: path.to_owned(),
        }),
        Err(e) => Err(DiskError::new("lock folder", path, e.into()).into()),
    }
}

fn check_present(path: &Path) -> Result<(), OpenError> {
    if path.is_dir() {
        return Ok(());
    }
    Err(OpenError::Missing {
        path: path.to_owned(),
    })
}

/// The identity is renamed into place last: a folder without it was never used, and holds nothing
/// but what an interrupted creation leaves.
fn create(path: &Path, identity: &Identity) -> Result<identity::Stored, OpenError> {
    check_unused(path)?;
    let body = identity::Stored {
        cluster: identity.cluster.clone(),
        server: identity.server,
        store: random_id(path)?,
    };
    for folder in [path.join(LOG), path.join(IMAGE)] {
        if !folder.is_dir() {
            fs::create_dir(&folder).map_err(|e| DiskError::new("create folder", &folder, e))?;
        }
    }
    segment::create(&RealDisk, &path.join(LOG), body.store)?;
    identity::write(path, &body)?;
    Ok(body)
}

fn random_id(path: &Path) -> Result<u128, OpenError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|e| {
        DiskError::new(
            "draw a random id for",
            path,
            io::Error::other(e.to_string()),
        )
    })?;
    Ok(u128::from_le_bytes(bytes))
}

fn check_unused(path: &Path) -> Result<(), OpenError> {
    for name in names_in(path)? {
        let unused = match name.as_str() {
            IDENTITY_NEW => true,
            LOG => is_unused_log(&path.join(&name))?,
            IMAGE => names_in(&path.join(&name))?.is_empty(),
            _ => false,
        };
        if !unused {
            return Err(OpenError::NotOurs {
                path: path.to_owned(),
                found: name,
            });
        }
    }
    Ok(())
}

fn is_unused_log(path: &Path) -> Result<bool, OpenError> {
    for name in names_in(path)? {
        let file = path.join(&name);
        let size = fs::metadata(&file)
            .map_err(|e| DiskError::new("read", &file, e))?
            .len();
        if !segment::is_unused(&name, size) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn names_in(path: &Path) -> Result<Vec<String>, OpenError> {
    let failed = |e| DiskError::new("list folder", path, e);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        names.push(entry.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mine() -> Identity {
        Identity {
            cluster: "site-1".into(),
            server: 3,
        }
    }

    fn snapshot_of(path: &Path) -> Vec<(String, Vec<u8>)> {
        names_in(path)
            .expect("list")
            .into_iter()
            .map(|name| {
                let bytes = fs::read(path.join(&name)).unwrap_or_default();
                (name, bytes)
            })
            .collect()
    }

    #[test]
    fn a_new_folder_is_created_and_reopened_as_the_same_store() {
        let temp = tempfile::tempdir().expect("temp");
        let path = temp.path().join("a/b");
        let first = DataFolder::open(&path, mine()).expect("create");
        let store = first.store_id();
        drop(first);
        let again = DataFolder::open(&path, mine()).expect("reopen");
        assert_eq!(again.store_id(), store);
        assert!(again.log_dir().is_dir() && again.image_dir().is_dir());
    }

    #[test]
    fn a_second_server_is_locked_out_until_the_first_lets_go() {
        let temp = tempfile::tempdir().expect("temp");
        let first = DataFolder::open(temp.path(), mine()).expect("create");
        let clone = first.clone();
        drop(first);
        let refused = DataFolder::open(temp.path(), mine()).expect_err("locked");
        assert!(matches!(refused, OpenError::InUse { .. }), "{refused}");
        drop(clone);
        DataFolder::open(temp.path(), mine()).expect("free again");
    }

    #[test]
    fn what_an_interrupted_creation_leaves_is_taken_over() {
        let temp = tempfile::tempdir().expect("temp");
        fs::create_dir(temp.path().join(LOG)).expect("log");
        fs::write(temp.path().join(IDENTITY_NEW), b"TENU").expect("torn");
        DataFolder::open(temp.path(), mine()).expect("created");
    }

    #[test]
    fn folders_of_others_are_refused_and_left_alone() {
        let temp = tempfile::tempdir().expect("temp");
        drop(DataFolder::open(temp.path(), mine()).expect("create"));
        let good = fs::read(temp.path().join(IDENTITY)).expect("identity");
        let changed = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            bytes
        };
        let cases: Vec<(&str, Identity, Vec<u8>, &str)> = vec![
            (
                "cluster",
                Identity {
                    cluster: "x".into(),
                    server: 3,
                },
                good.clone(),
                "belongs to cluster",
            ),
            (
                "server",
                Identity {
                    cluster: "site-1".into(),
                    server: 4,
                },
                good.clone(),
                "belongs to server 3",
            ),
            ("magic", mine(), changed(0, b'X'), "not a file of Tenure"),
            (
                "version",
                mine(),
                changed(8, 2),
                "format version 2 (byte 8)",
            ),
            ("length", mine(), changed(10, 0), "damaged at byte 10"),
            (
                "checksum",
                mine(),
                changed(14, good[14] ^ 1),
                "damaged at byte 14",
            ),
            (
                "body",
                mine(),
                changed(20, good[20] ^ 1),
                "damaged at byte 14",
            ),
            ("short", mine(), good[..10].to_vec(), "ends after 10 bytes"),
            ("empty", mine(), Vec::new(), "ends after 0 bytes"),
        ];
        for (name, identity, bytes, says) in cases {
            fs::write(temp.path().join(IDENTITY), bytes).expect("write");
            let before = snapshot_of(temp.path());
            let refused = DataFolder::open(temp.path(), identity).expect_err(name);
            assert!(refused.to_string().contains(says), "{name}: {refused}");
            assert_eq!(snapshot_of(temp.path()), before, "{name}");
        }
    }

    #[test]
    fn a_folder_with_other_files_is_refused() {
        let temp = tempfile::tempdir().expect("temp");
        fs::write(temp.path().join("notes.txt"), b"mine").expect("write");
        let refused = DataFolder::open(temp.path(), mine()).expect_err("not ours");
        assert!(refused.to_string().contains("notes.txt"), "{refused}");
        assert_eq!(names_in(temp.path()).expect("list"), ["notes.txt"]);
    }

    #[test]
    fn a_folder_whose_log_was_taken_away_is_refused() {
        let temp = tempfile::tempdir().expect("temp");
        drop(DataFolder::open(temp.path(), mine()).expect("create"));
        fs::remove_dir_all(temp.path().join(LOG)).expect("remove");
        let refused = DataFolder::open(temp.path(), mine()).expect_err("no log");
        assert!(matches!(refused, OpenError::Missing { .. }), "{refused}");
    }
}
