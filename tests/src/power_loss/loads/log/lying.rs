//! A disk that does not do what the store asks for: with it the bench must find that promises are broken.

use std::{io, path::Path, sync::Arc};

use tenure_storage::wal::disk::{Disk, DiskFile, RealDisk};

/// What a disk leaves out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing.
    None,
    /// The sync of files.
    FileSync,
    /// The sync of folders.
    FolderSync,
}

impl Lie {
    /// Every lie with the word for it on the command line.
    pub const ALL: [(&str, Self); 3] = [
        ("none", Self::None),
        ("file-sync", Self::FileSync),
        ("folder-sync", Self::FolderSync),
    ];
}

/// The operating system's files, less one kind of call.
#[derive(Debug)]
pub struct LyingDisk(pub Lie);

impl LyingDisk {
    fn file(&self, inner: Arc<dyn DiskFile>) -> Arc<dyn DiskFile> {
        match self.0 {
            Lie::FileSync => Arc::new(UnsyncedFile(inner)),
            Lie::None | Lie::FolderSync => inner,
        }
    }
}

impl Disk for LyingDisk {
    fn list(&self, folder: &Path) -> io::Result<Vec<String>> {
        RealDisk.list(folder)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.create(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        Ok(self.file(RealDisk.open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        match self.0 {
            Lie::FolderSync => Ok(()),
            Lie::None | Lie::FileSync => RealDisk.sync_folder(folder),
        }
    }
}

#[derive(Debug)]
struct UnsyncedFile(Arc<dyn DiskFile>);

impl DiskFile for UnsyncedFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn set_size(&self, size: u64) -> io::Result<()> {
        self.0.set_size(size)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}
