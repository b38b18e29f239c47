//! Files about a copy of the data: the options of the tool that makes it, and the exchange of folders.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, chown};
use std::path::{Path, PathBuf};

use tenure_core::Endpoint;

use super::DriverError;
use super::line::host_and_port;
use super::settings::Settings;

/// A file of options with a password, which goes when this is dropped.
pub(super) struct Options {
    pub(super) path: PathBuf,
}

impl Drop for Options {
    fn drop(&mut self) {
        // Gone already is what is wanted.
        let _ = fs::remove_file(&self.path);
    }
}

impl Options {
    pub(super) fn write(settings: &Settings, primary: &Endpoint) -> Result<Self, DriverError> {
        let (host, port) = host_and_port(primary);
        let secret = settings.login.password.clone().unwrap_or_default();
        let secret = secret.replace('\\', "\\\\").replace('"', "\\\"");
        let text = format!(
            "[mariadb-backup]\nhost={host}\nport={port}\nprotocol=tcp\nuser={}\npassword=\"{secret}\"\n",
            settings.login.username
        );
        let path = settings.save_dir.join("backup.cnf");
        let write = || -> io::Result<()> {
            fs::create_dir_all(&settings.save_dir)?;
            let mut options = fs::File::options();
            let mut file = options
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(text.as_bytes())
        };
        write().map_err(|error| DriverError::file("cannot write", &path, error))?;
        Ok(Self { path })
    }
}

/// A folder beside the data, on the same file system.
pub(super) fn beside(datadir: &Path, what: &str) -> PathBuf {
    let name = datadir.file_name().unwrap_or_default().to_string_lossy();
    datadir.with_file_name(format!("{name}.{what}"))
}

pub(super) fn remove(folder: &Path) -> Result<(), DriverError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DriverError::file("cannot remove", folder, error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Puts the copy in the place of the data, which is removed: what was its own alone was saved.
pub(super) fn replace(datadir: &Path, copy: &Path) -> Result<(), DriverError> {
    let old = beside(datadir, "tenure-old");
    remove(&old)?;
    let owner = fs::metadata(datadir)
        .map_err(|error| DriverError::file("cannot look at", datadir, error))?;
    own(copy, owner.uid(), owner.gid())
        .map_err(|error| DriverError::file("cannot give away", copy, error))?;
    let moved = fs::rename(datadir, &old).and_then(|()| fs::rename(copy, datadir));
    moved.map_err(|error| {
        // Better the old data than none.
        let _ = fs::rename(&old, datadir);
        DriverError::file("cannot replace (is it a mount point?)", datadir, error)
    })?;
    remove(&old)
}

/// Gives a folder with all that is in it to the owner of the data, when it is somebody else's.
fn own(path: &Path, user: u32, group: u32) -> io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (user, group) {
        chown(path, Some(user), Some(group))?;
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            own(&entry?.path(), user, group)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_takes_the_place_of_the_data() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path().join("data");
        let copy = beside(&datadir, "tenure-copy");
        for (path, text) in [(&datadir, "old"), (&copy, "new")] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("f"), text).unwrap();
        }
        replace(&datadir, &copy).unwrap();
        assert_eq!(fs::read_to_string(datadir.join("f")).unwrap(), "new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
