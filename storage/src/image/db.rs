//! The embedded database, made sound.
//!
//! Sled's `flush()` hands the bytes to the system and starts their writing, but asks for no barrier
//! and for no size or extents of the file. A descriptor of our own on the same file, kept open for
//! life, supplies both: `flush()`, then `fdatasync`. What sled would keep in files of its own (nodes
//! above a quarter of a segment) is never synced by anybody; segments of 8 MiB and parts of 32 KiB
//! keep every node below that.
//!
//! Sled permits segments of 16 MiB and counts the bytes of a buffer, which is as long as a segment,
//! in 24 bits. A message that ends with the segment's last byte overflows the count into that of the
//! buffer's writers: the buffer is never written, and the next flush or read waits for ever.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::ImageError;
use crate::error::DiskError;
use crate::folder::sync_folder;

const SEGMENT_BYTES: usize = 8 << 20;
const _: () = assert!(
    SEGMENT_BYTES < 1 << 24,
    "a buffer that is full to its last byte must be counted in 24 bits"
);
const CACHE_BYTES: u64 = 64 << 20;
pub(super) const FILE: &str = "db";
const CONF: &str = "conf";

/// An open database.
pub struct Db {
    sled: sled::Db,
    file: File,
    path: PathBuf,
}

/// Whether there is a database at all.
pub fn exists(folder: &Path) -> bool {
    folder.join(FILE).exists() || folder.join(CONF).exists()
}

impl Db {
    /// Opens the database in `folder`, and creates it durably when there is none.
    pub fn open(folder: &Path) -> Result<Self, ImageError> {
        let fresh = !exists(folder);
        let sled = sled::Config::new()
            .path(folder)
            .segment_size(SEGMENT_BYTES)
            .cache_capacity(CACHE_BYTES)
            .flush_every_ms(None)
            .open()
            .map_err(|e| failed("open", folder, &e))?;
        let path = folder.join(FILE);
        let file = File::options()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|e| DiskError::new("open", &path, e))?;
        let db = Self {
            sled,
            file,
            path: folder.to_owned(),
        };
        if fresh {
            db.make_durable()?;
            sync_creation(folder)?;
        }
        Ok(db)
    }

    /// The database's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything written before is on the disk when this returns.
    pub fn make_durable(&self) -> Result<(), ImageError> {
        self.sled
            .flush()
            .map_err(|e| failed("flush", &self.path, &e))?;
        self.file
            .sync_data()
            .map_err(|e| DiskError::new("sync", &self.path.join(FILE), e).into())
    }

    /// A tree, created when it is not there.
    pub fn tree(&self, name: &str) -> Result<sled::Tree, ImageError> {
        self.sled
            .open_tree(name)
            .map_err(|e| failed("open a tree of", &self.path, &e))
    }

    /// Removes a tree with all that is in it.
    pub fn drop_tree(&self, name: &[u8]) -> Result<(), ImageError> {
        self.sled
            .drop_tree(name)
            .map(drop)
            .map_err(|e| failed("drop a tree of", &self.path, &e))
    }

    /// Names of all trees.
    pub fn tree_names(&self) -> Vec<sled::IVec> {
        self.sled.tree_names()
    }

    /// Reads one value of the default tree.
    pub fn get(&self, key: &str) -> Result<Option<sled::IVec>, ImageError> {
        self.sled
            .get(key)
            .map_err(|e| failed("read", &self.path, &e))
    }

    /// Sets one value of the default tree.
    pub fn put(&self, key: &str, value: Vec<u8>) -> Result<(), ImageError> {
        self.sled
            .insert(key, value)
            .map(drop)
            .map_err(|e| failed("write", &self.path, &e))
    }

    /// Takes one value of the default tree away.
    pub fn remove(&self, key: &str) -> Result<(), ImageError> {
        self.sled
            .remove(key)
            .map(drop)
            .map_err(|e| failed("write", &self.path, &e))
    }

    /// Names the image in an error of the database.
    pub fn failed(&self, what: &'static str, error: &sled::Error) -> ImageError {
        failed(what, &self.path, error)
    }

    /// Names the image and a part of it that is not what was written.
    pub fn damaged(&self, subject: impl Into<String>, what: impl Into<String>) -> ImageError {
        ImageError::Damaged {
            path: self.path.clone(),
            subject: subject.into(),
            what: what.into(),
        }
    }
}

fn failed(what: &'static str, path: &Path, error: &sled::Error) -> ImageError {
    ImageError::Database {
        what,
        path: path.to_owned(),
        why: error.to_string(),
    }
}

fn sync_creation(folder: &Path) -> Result<(), ImageError> {
    for name in [CONF, FILE] {
        let path = folder.join(name);
        if path.exists() {
            File::open(&path)
                .and_then(|file| file.sync_all())
                .map_err(|e| DiskError::new("sync", &path, e))?;
        }
    }
    sync_folder(folder)?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    Ok(())
}

/// Renames a damaged image, so that a new one can be made in its place and the old one looked at.
/// `None` when there was none.
pub fn set_aside(folder: &Path) -> Result<Option<PathBuf>, DiskError> {
    let aside = if folder.exists() {
        let aside = (1u32..)
            .map(|n| folder.with_extension(format!("damaged-{n}")))
            .find(|path| !path.exists())
            .expect("not all numbers are taken");
        fs::rename(folder, &aside).map_err(|e| DiskError::new("rename", folder, e))?;
        Some(aside)
    } else {
        None
    };
    fs::create_dir(folder).map_err(|e| DiskError::new("create folder", folder, e))?;
    if let Some(parent) = folder.parent() {
        sync_folder(parent)?;
    }
    Ok(aside)
}
