//! The agent's folder: one agent at a time, whole files only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::StateError;

/// The agent's folder. Nobody else uses it as long as this is held.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    /// Locked; the lock goes with it.
    _lock: File,
}

impl Folder {
    /// Opens the folder, which is made when it is missing.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be made or another agent uses it.
    pub(crate) fn open(path: &Path) -> Result<Self, StateError> {
        fs::create_dir_all(path).map_err(|why| StateError::disk("make the folder", path, why))?;
        let lock = path.join("lock");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&lock)
            .map_err(|why| StateError::disk("open", &lock, why))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self {
                path: path.to_owned(),
                _lock: file,
            }),
            Err(rustix::io::Errno::WOULDBLOCK) => Err(StateError::InUse {
                path: path.to_owned(),
            }),
            Err(why) => Err(StateError::disk("lock", &lock, why)),
        }
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The bytes of a file; None when there is none.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(why) => Err(StateError::disk("read", &path, why)),
        }
    }

    /// Puts a file in the place of an earlier one: the old one or the new one is there whatever happens,
    /// and the new one is durable when this returns.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let (path, new) = (self.file(name), self.file(&format!("{name}.new")));
        let written = || {
            let mut file = File::create(&new)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.path)?.sync_all()
        };
        written().map_err(|why| StateError::disk("write", &path, why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_agent_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        let held = Folder::open(&path).unwrap();
        assert_eq!(
            Folder::open(&path).unwrap_err(),
            StateError::InUse { path: path.clone() }
        );
        drop(held);
        let again = Folder::open(&path).unwrap();
        again.replace("x", b"one").unwrap();
        again.replace("x", b"two").unwrap();
        assert_eq!(again.read("x").unwrap().unwrap(), b"two");
        assert_eq!(again.read("y").unwrap(), None);
    }

    #[test]
    fn a_folder_that_cannot_be_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "x").unwrap();
        let error = Folder::open(&file.join("state")).unwrap_err().to_string();
        assert!(error.starts_with("cannot make the folder "), "{error}");
    }
}
