//! A trial of opening the image, in a process that may die of it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::db::{self, Db};
use super::{ImageError, META, load};
use crate::error::DiskError;
use crate::format::Meta;

/// How many bytes of what the trial wrote to its standard error are told.
const TOLD_BYTES: usize = 400;

/// How to try whether the image can be opened. The database ends the process when its file is
/// damaged in certain ways, and a server must say what to do instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Runs a program with these arguments and the image's folder as the last one. It calls
    /// [`probe`] and exits with 0 when that is well.
    Command {
        /// The program.
        program: PathBuf,
        /// Its arguments before the folder.
        args: Vec<OsString>,
    },
    /// No trial: damage may end this process.
    None,
}

impl Probe {
    pub(super) fn run(&self, folder: &Path) -> Result<(), ImageError> {
        let (program, args) = match self {
            Self::None => return Ok(()),
            Self::Command { program, args } => (program, args),
        };
        let output = Command::new(program)
            .args(args)
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|e| DiskError::new("run", program, e))?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let tail: String = said.trim().chars().take(TOLD_BYTES).collect();
        Err(ImageError::Probe {
            path: folder.to_owned(),
            why: format!("{}: {tail}", output.status),
        })
    }
}

/// Opens the image in `folder` and reads all of it. For a process of its own: it may be ended by it.
///
/// # Errors
/// [`ImageError`] when it is damaged in a way that does not end the process.
pub fn probe(folder: &Path) -> Result<(), ImageError> {
    if !db::exists(folder) {
        return Ok(());
    }
    let db = Db::open(folder)?;
    let Some(bytes) = db.get(META)? else {
        return Ok(());
    };
    let meta = Meta::decode(&bytes).map_err(|e| db.damaged("its meta", e.to_string()))?;
    for part in load::parts(&db, meta.tree)? {
        part?;
    }
    Ok(())
}
