//! A disk that a trace is played on.

use std::{collections::HashMap, io};

use super::{
    Fate, Treatment,
    image::Image,
    names::{Entry, FileId, Names},
    pending::{Change, Contents},
    trace::{Kind, Record},
};

/// The watched folder after some beginning of a trace, with what is durable of it.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    names: Names,
    files: Vec<Contents>,
    /// The files by the inode numbers that the trace calls them by.
    inodes: HashMap<u64, FileId>,
}

impl Disk {
    /// A machine that starts with `image` on its disk.
    ///
    /// # Errors
    /// When `image` has a path in a folder that it does not have.
    pub fn from_image(image: &Image) -> io::Result<Self> {
        let mut disk = Self::default();
        for (path, pages) in &image.0 {
            let path = path.as_os_str().as_encoded_bytes();
            match pages {
                None => disk.names.add_folder(path)?,
                Some(pages) => {
                    disk.names.add_file(path, FileId(disk.files.len()))?;
                    disk.files.push(Contents::durable(pages.clone()));
                }
            }
        }
        disk.names.sync_all();
        Ok(disk)
    }

    /// The next event of the trace.
    ///
    /// # Errors
    /// When the trace speaks of a file or folder that it does not say the origin of.
    pub fn apply(&mut self, record: &Record) -> io::Result<()> {
        match record.kind {
            Kind::Create => {
                let file = FileId(self.files.len());
                self.files.push(Contents::default());
                self.inodes.insert(record.inode, file);
                self.names.add_file(&record.path, file)?;
            }
            Kind::Write if record.bytes.is_empty() => {
                self.file(record)?
                    .change(Change::Zeros(record.offset, record.length));
            }
            Kind::Write => self
                .file(record)?
                .change(Change::Write(record.offset, record.bytes.clone())),
            Kind::SetLen => self.file(record)?.change(Change::SetLength(record.length)),
            Kind::Extend => self.file(record)?.change(Change::Extend(record.length)),
            Kind::SyncFile => self.file(record)?.sync(),
            Kind::SyncDir => self.names.sync(&record.path)?,
            Kind::Rename => self.names.rename(&record.path, &record.to)?,
            Kind::Unlink | Kind::RemoveDir => self.names.remove(&record.path)?,
            Kind::MakeDir => self.names.add_folder(&record.path)?,
            Kind::SyncRange | Kind::Mark => {}
        }
        Ok(())
    }

    /// The folder as the machine finds it when the power is cut now.
    #[must_use]
    pub fn after_cut(&self, treatment: Treatment) -> Image {
        let mut image = Image::default();
        for (path, entry) in self.names.after_cut(treatment.names) {
            let pages = match entry {
                Entry::Folder(_) => None,
                Entry::File(FileId(file)) => {
                    let fate = match treatment.contents {
                        Fate::Partial(seed) => {
                            Fate::Partial(seed.wrapping_add(file as u64 * 0x9e37_79b9))
                        }
                        Fate::Dropped | Fate::Kept => treatment.contents,
                    };
                    Some(self.files[file].after_cut(fate).plain())
                }
            };
            image.0.insert(path, pages);
        }
        image
    }

    fn file(&mut self, record: &Record) -> io::Result<&mut Contents> {
        let known = self.inodes.get(&record.inode).copied();
        let found = known.or_else(|| match self.names.find(&record.path) {
            Some(Entry::File(file)) => Some(file),
            Some(Entry::Folder(_)) | None => None,
        });
        let Some(file) = found else {
            let path = String::from_utf8_lossy(&record.path);
            return Err(io::Error::other(format!(
                "the trace writes to {path:?} but does not say where it comes from"
            )));
        };
        self.inodes.insert(record.inode, file);
        Ok(&mut self.files[file.0])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_partial_sync_promises_nothing_and_a_file_sync_no_name() {
        let of_file = |kind, length| Record {
            inode: 9,
            length,
            ..Record::new(kind, b"db")
        };
        let mut disk = Disk::default();
        for kind in [Kind::Create, Kind::Write, Kind::SyncRange] {
            disk.apply(&of_file(kind, 100)).unwrap();
        }
        let length = |disk: &Disk, treatment| {
            let image = disk.after_cut(treatment);
            image
                .0
                .get(Path::new("db"))
                .map(|pages| pages.as_ref().unwrap().length())
        };
        assert_eq!(length(&disk, Treatment::EMPTY_FILES), Some(0));
        disk.apply(&of_file(Kind::SyncFile, 0)).unwrap();
        assert_eq!(length(&disk, Treatment::EMPTY_FILES), Some(100));
        assert_eq!(length(&disk, Treatment::DROPPED), None);
        disk.apply(&Record::new(Kind::SyncDir, b"")).unwrap();
        assert_eq!(length(&disk, Treatment::DROPPED), Some(100));
    }

    #[test]
    fn an_inode_number_that_is_given_out_again_is_another_file() {
        let mut disk = Disk::default();
        let file = |kind, path: &[u8], length| Record {
            inode: 5,
            length,
            ..Record::new(kind, path)
        };
        disk.apply(&file(Kind::Create, b"old", 0)).unwrap();
        disk.apply(&file(Kind::SetLen, b"old", 10)).unwrap();
        disk.apply(&Record::new(Kind::Unlink, b"old")).unwrap();
        disk.apply(&file(Kind::Create, b"new", 0)).unwrap();
        let image = disk.after_cut(Treatment::KEPT);
        assert_eq!(
            image.0.into_iter().collect::<Vec<_>>(),
            [("new".into(), Some(Default::default()))]
        );
    }
}
