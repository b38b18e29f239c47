//! Folders: what is in one, and that it stays so.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::FileError;

pub(super) fn entries(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let read = fs::read_dir(folder).map_err(FileError::disk("list", folder))?;
    let paths = read.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<Result<_, _>>()
        .map_err(FileError::disk("list", folder))
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), FileError> {
    let synced = File::open(folder).and_then(|open| open.sync_all());
    synced.map_err(FileError::disk("sync", folder))
}
