//! Where the servers' folders lie, and what a power cut leaves of them.
//!
//! The program runs with the recorder of the power-loss tests preloaded, which writes down every write and sync below one
//! folder. Played on the model of a disk, that trace says what is durable at any moment.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use tenure_tests::power_loss::{Treatment, chance::Chance, disk::Disk, image::Image, run, trace};

const FOLDER: &str = "TENURE_RECORDER_FOLDER";
const TRACE: &str = "TENURE_RECORDER_TRACE";

/// Whether this is the program that runs one seed, with the recorder preloaded.
pub fn is_recorded() -> bool {
    env::var_os(FOLDER).is_some()
}

/// This program with other arguments and with the recorder preloaded, and its folders, which are removed when dropped.
///
/// # Errors
/// When the recorder cannot be built or the folders cannot be made.
pub fn recorded(arguments: &[String]) -> io::Result<(Command, TempDir)> {
    let place = run::scratch()?;
    let base = place.path().canonicalize()?;
    let folder = base.join("folder");
    fs::create_dir(&folder)?;
    let mut command = Command::new(env::current_exe()?);
    command
        .args(arguments)
        .env("LD_PRELOAD", run::recorder()?)
        .env(FOLDER, &folder)
        .env(TRACE, base.join("trace"));
    Ok((command, place))
}

/// The folders of the simulation that this program runs.
pub struct Place {
    root: PathBuf,
    trace: File,
    unread: Vec<u8>,
    disk: Disk,
    lies: bool,
}

impl Place {
    /// Takes the place that [`recorded`] made. A disk that `lies` takes no notice of syncs of logs, which has to be found
    /// out.
    ///
    /// # Errors
    /// When the program was started without the recorder.
    pub fn new(lies: bool) -> io::Result<Self> {
        let named = |name| {
            let value = env::var_os(name);
            value.ok_or_else(|| io::Error::other(format!("{name} is not set")))
        };
        Ok(Self {
            root: PathBuf::from(named(FOLDER)?),
            trace: File::open(named(TRACE)?)?,
            unread: Vec::new(),
            disk: Disk::default(),
            lies,
        })
    }

    /// The folder of a server.
    pub fn of(&self, server: &str) -> PathBuf {
        self.root.join(server)
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
        let is_theirs = |record: &trace::Record| {
            let mut theirs = servers.iter().map(String::as_bytes);
            theirs.any(|server| record.path.starts_with(server))
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
        let whole = self.disk.after_cut(treatment);
        let own = whole.0.into_iter().filter_map(|(path, pages)| {
            let path = path.strip_prefix(server).ok()?.to_owned();
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
        File::open(&self.root)?.sync_all()
    }

    /// What was done in this place since the last call.
    fn news(&mut self) -> io::Result<Vec<trace::Record>> {
        self.trace.read_to_end(&mut self.unread)?;
        let bytes = std::mem::take(&mut self.unread);
        let (mut rest, mut news) = (bytes.as_slice(), Vec::new());
        loop {
            let mut next = rest;
            match trace::Record::decode(&mut next) {
                Ok(record) if self.lies && is_sync_of_log(&record) => {}
                Ok(record) => news.push(record),
                // The end of it is not there yet.
                Err(_) => break,
            }
            rest = next;
        }
        self.unread = rest.to_vec();
        Ok(news)
    }
}

fn is_sync_of_log(record: &trace::Record) -> bool {
    record.kind == trace::Kind::SyncFile && record.path.ends_with(b".wal")
}
