//! Which files are watched, and what the trace calls them.

use std::{
    ffi::{CStr, OsString},
    os::unix::ffi::OsStringExt,
    sync::OnceLock,
    time::Duration,
};

use libc::c_int;

use crate::system;

/// What the environment asks for; absent when the process is not traced.
pub(crate) struct Watch {
    root: Vec<u8>,
    marks: Vec<u8>,
    /// The trace file, open for appending.
    pub(crate) trace: c_int,
    /// How long a sync takes at least.
    pub(crate) sync_time: Duration,
    /// After how many records this process is killed.
    pub(crate) records: u64,
}

/// A watched file that the program has open.
pub(crate) struct Target {
    /// Relative to the watched folder.
    pub(crate) path: Vec<u8>,
    pub(crate) inode: u64,
    pub(crate) is_folder: bool,
    /// Writes to it are statements of the program about itself.
    pub(crate) is_marks: bool,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What to watch, read from the environment once.
pub(crate) fn watch() -> Option<&'static Watch> {
    static WATCH: OnceLock<Option<Watch>> = OnceLock::new();
    WATCH.get_or_init(Watch::from_environment).as_ref()
}

impl Watch {
    fn from_environment() -> Option<Self> {
        let root = std::env::var_os("TENURE_RECORDER_FOLDER")?.into_vec();
        let marks = std::env::var_os("TENURE_RECORDER_MARKS")
            .map(OsString::into_vec)
            .unwrap_or_default();
        let sync_time = Duration::from_micros(number("TENURE_RECORDER_SYNC_MICROS").unwrap_or(0));
        let records = number("TENURE_RECORDER_KILL_AFTER").unwrap_or(u64::MAX);
        let Some(trace) = std::env::var_os("TENURE_RECORDER_TRACE") else {
            system::give_up("TENURE_RECORDER_FOLDER is set but TENURE_RECORDER_TRACE is not");
        };
        let mut trace = trace.into_vec();
        trace.push(0);
        let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CREAT | libc::O_CLOEXEC;
        let trace = system::call!(
            libc::SYS_openat,
            libc::AT_FDCWD,
            trace.as_ptr(),
            flags,
            0o600
        );
        match c_int::try_from(trace) {
            Ok(trace) if trace >= 0 => Some(Self {
                root,
                marks,
                trace,
                sync_time,
                records,
            }),
            _ => system::give_up("cannot open the file that TENURE_RECORDER_TRACE names"),
        }
    }

    /// The watched file behind `fd`, if it is one.
    pub(crate) fn target(&self, fd: c_int) -> Option<Target> {
        let stat = system::stat(fd)?;
        let is_folder = stat.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if !is_folder && stat.st_mode & libc::S_IFMT != libc::S_IFREG {
            return None;
        }
        let mut path = system::path_of(fd)?;
        if stat.st_nlink == 0 {
            let name = path
                .strip_suffix(b" (deleted)")
                .map_or(path.len(), <[u8]>::len);
            path.truncate(name);
        }
        let is_marks = path == self.marks;
        let path = if is_marks {
            Vec::new()
        } else {
            self.relative(&path)?
        };
        Some(Target {
            path,
            inode: stat.st_ino,
            is_folder,
            is_marks,
        })
    }

    /// The name in the trace of `path` as seen from the open folder `folder`; `None` outside the watched folder.
    pub(crate) fn name(&self, folder: c_int, path: &CStr) -> Option<Vec<u8>> {
        let mut whole = Vec::new();
        if !path.to_bytes().starts_with(b"/") {
            whole = system::path_of(folder)?;
            whole.push(b'/');
        }
        whole.extend(path.to_bytes());
        let mut parts: Vec<&[u8]> = Vec::new();
        for part in whole.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => drop(parts.pop()),
                name => parts.push(name),
            }
        }
        let mut plain = vec![b'/'];
        plain.extend(parts.join(&b'/'));
        self.relative(&plain)
    }

    fn relative(&self, path: &[u8]) -> Option<Vec<u8>> {
        match path.strip_prefix(self.root.as_slice())? {
            b"" => Some(Vec::new()),
            below => below.strip_prefix(b"/").map(<[u8]>::to_vec),
        }
    }
}
