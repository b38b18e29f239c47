//! Where the servers' folders lie, and what a power cut leaves of them.
//!
//! The program runs with the recorder of the power-loss tests preloaded, which writes down every write and sync below one
//! folder. Played on the model of a disk, that trace says what is durable at any moment.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tenure_tests::power_loss::{Treatment, chance::Chance, disk::Disk, image::Image, run, trace};

const FOLDER: &str = "TENURE_RECORDER_FOLDER";
const TRACE: &str = "TENURE_RECORDER_TRACE";

/// Runs this program again, with the recorder preloaded, and removes its folders afterwards. Gives None in the program
/// that has it.
pub fn recorded() -> io::Result<Option<std::process::ExitStatus>> {
    if env::var_os(FOLDER).is_some() {
        return Ok(None);
    }
    let place = run::scratch()?;
    let base = place.path().canonicalize()?;
    let folder = base.join("folder");
    fs::create_dir(&folder)?;
    let mut command = Command::new(env::current_exe()?);
    command
        .arg0("tenure-system")
        .args(env::args_os().skip(1))
        .env("LD_PRELOAD", run::recorder()?)
        .env(FOLDER, &folder)
        .env(TRACE, base.join("trace"));
    command.status().map(Some)
}

/// The folders of one simulation.
pub struct Place {
    root: TempDir,
    name: PathBuf,
    trace: File,
    unread: Vec<u8>,
    disk: Disk,
}

impl Place {
    /// A new and empty one.
    ///
    /// # Errors
    /// When it cannot be made, or the recorder is not there.
    pub fn new() -> io::Result<Self> {
        let named =
            |name| env::var_os(name).ok_or_else(|| io::Error::other(format!("{name} is not set")));
        let folder = PathBuf::from(named(FOLDER)?);
        let root = tempfile::Builder::new()
            .prefix("seed-")
            .tempdir_in(&folder)?;
        // A cut takes away what the servers did, and not where they are.
        File::open(&folder)?.sync_all()?;
        let relative = root
            .path()
            .strip_prefix(&folder)
            .map_err(io::Error::other)?;
        Ok(Self {
            name: relative.to_owned(),
            root,
            trace: File::open(named(TRACE)?)?,
            unread: Vec::new(),
            disk: Disk::default(),
        })
    }

    /// The folder of a server.
    pub fn of(&self, server: &str) -> PathBuf {
        self.root.path().join(server)
    }

    /// The folder of a server as it is found after a power cut now.
    ///
    /// # Errors
    /// When the trace cannot be read.
    pub fn after_cut(&mut self, server: &str, treatment: Treatment) -> io::Result<Image> {
        self.mark()?;
        Ok(self.below(server, treatment))
    }

    /// From here on [`Place::after_cut_since`] may let the power be cut.
    ///
    /// # Errors
    /// When the trace cannot be read.
    pub fn mark(&mut self) -> io::Result<()> {
        for record in self.news()? {
            self.disk.apply(&record)?;
        }
        Ok(())
    }

    /// The folders of servers as they are found when the power of all was cut at one moment since the last mark,
    /// between any two of their writes and syncs.
    ///
    /// # Errors
    /// When the trace cannot be read.
    pub fn after_cut_since(
        &mut self,
        servers: &[String],
        treatment: Treatment,
        chance: &mut Chance,
    ) -> io::Result<Vec<Image>> {
        let folders: Vec<PathBuf> = servers
            .iter()
            .map(|server| self.name.join(server))
            .collect();
        let is_theirs = |record: &trace::Record| {
            let mut folders = folders
                .iter()
                .map(|folder| folder.as_os_str().as_encoded_bytes());
            folders.any(|folder| record.path.starts_with(folder))
        };
        let news = self.news()?;
        let mut left = chance.up_to(news.iter().filter(|record| is_theirs(record)).count());
        let all = |place: &Self| {
            let image = |server: &String| place.below(server, treatment);
            servers.iter().map(image).collect::<Vec<Image>>()
        };
        let mut images = None;
        for record in news {
            if is_theirs(&record) {
                if left == 0 && images.is_none() {
                    images = Some(all(self));
                }
                left = left.saturating_sub(1);
            }
            self.disk.apply(&record)?;
        }
        Ok(images.unwrap_or_else(|| all(self)))
    }

    fn below(&self, server: &str, treatment: Treatment) -> Image {
        let below = self.name.join(server);
        let whole = self.disk.after_cut(treatment);
        let own = whole.0.into_iter().filter_map(|(path, pages)| {
            let path = path.strip_prefix(&below).ok()?.to_owned();
            (path != Path::new("")).then_some((path, pages))
        });
        Image(own.collect())
    }

    /// Puts a folder in the place of a server's, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn restore(&self, server: &str, image: &Image) -> io::Result<()> {
        let folder = self.of(server);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        image.write(&folder)?;
        for (path, pages) in &image.0 {
            if pages.is_some() {
                File::open(folder.join(path))?.sync_all()?;
            }
        }
        for (path, _) in image.0.iter().filter(|(_, pages)| pages.is_none()) {
            File::open(folder.join(path))?.sync_all()?;
        }
        File::open(&folder)?.sync_all()?;
        File::open(self.root.path())?.sync_all()
    }

    /// What was done in this place since the last call.
    fn news(&mut self) -> io::Result<Vec<trace::Record>> {
        self.trace.read_to_end(&mut self.unread)?;
        let bytes = std::mem::take(&mut self.unread);
        let (mut rest, mut news) = (bytes.as_slice(), Vec::new());
        loop {
            let mut next = rest;
            match trace::Record::decode(&mut next) {
                Ok(record) if self.concerns(&record.path) => news.push(record),
                Ok(_) => {}
                // The end of it is not there yet.
                Err(_) => break,
            }
            rest = next;
        }
        self.unread = rest.to_vec();
        Ok(news)
    }

    /// Others may run beside it in the same process.
    fn concerns(&self, path: &[u8]) -> bool {
        path.is_empty() || path.starts_with(self.name.as_os_str().as_encoded_bytes())
    }
}
