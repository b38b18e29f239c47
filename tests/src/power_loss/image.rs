//! A folder as a disk has it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use super::pages::{PAGE, Pages, ZEROS};

/// The paths in a folder, relative to it; `None` stands for a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Image(pub BTreeMap<PathBuf, Option<Pages>>);

impl Image {
    /// Reads the folder `root`.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub fn read(root: &Path) -> io::Result<Self> {
        let mut image = Self::default();
        image.read_below(root, Path::new(""))?;
        Ok(image)
    }

    fn read_below(&mut self, root: &Path, path: &Path) -> io::Result<()> {
        for entry in fs::read_dir(root.join(path))? {
            let entry = entry?;
            let path = path.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.0.insert(path.clone(), None);
                self.read_below(root, &path)?;
            } else {
                self.0.insert(path, Some(read_pages(&entry.path())?));
            }
        }
        Ok(())
    }

    /// Makes the folder `root`, which must be empty, be this.
    ///
    /// # Errors
    /// When something in it cannot be written.
    pub fn write(&self, root: &Path) -> io::Result<()> {
        for (path, pages) in &self.0 {
            let path = root.join(path);
            let Some(pages) = pages else {
                fs::create_dir(path)?;
                continue;
            };
            let file = File::create(path)?;
            file.set_len(pages.length())?;
            for (offset, run) in pages.runs() {
                file.write_all_at(&run, offset)?;
            }
        }
        Ok(())
    }

    /// A number that tells images apart.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }

    /// The first difference between two images, in words.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<String> {
        for path in self.0.keys().chain(other.0.keys()) {
            let path_shown = path.display();
            match (self.0.get(path), other.0.get(path)) {
                (one, other) if one == other => {}
                (Some(Some(one)), Some(Some(other))) => {
                    let length = one.length().max(other.length());
                    let page = (0..length.div_ceil(PAGE)).map(|page| page * PAGE);
                    let at = page
                        .into_iter()
                        .find(|at| one.read(*at..*at + PAGE) != other.read(*at..*at + PAGE));
                    let (one, other) = (one.length(), other.length());
                    return Some(format!(
                        "{path_shown}: {one} and {other} bytes, first differing page at {at:?}"
                    ));
                }
                (one, other) => {
                    let (one, other) = (describe(one), describe(other));
                    return Some(format!("{path_shown}: {one} and {other}"));
                }
            }
        }
        None
    }
}

fn describe(entry: Option<&Option<Pages>>) -> &'static str {
    match entry {
        None => "absent",
        Some(None) => "a folder",
        Some(Some(_)) => "a file",
    }
}

fn read_pages(path: &Path) -> io::Result<Pages> {
    let bytes = fs::read(path)?;
    let mut pages = Pages::default();
    pages.set_length(bytes.len() as u64);
    for (number, page) in (0..).zip(bytes.chunks(usize::try_from(PAGE).expect("small"))) {
        // A comparison of slices is fast even in a debug build; most of a database file is a hole.
        if page != &ZEROS[..page.len()] {
            pages.write(number * PAGE, page);
        }
    }
    Ok(pages)
}
