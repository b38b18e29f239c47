//! The conditions under which a figure was seen: without them it says nothing.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::summary::median;

const SYNC_PROBES: usize = 200;
const SYNC_RECORD_BYTES: usize = 512;

/// Machine and file system of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Cores that the bench and all servers share.
    pub cores: usize,
    /// The processor as the kernel names it.
    pub processor: String,
    /// The kernel's release.
    pub kernel: String,
    /// Type of the file system that holds the servers' data.
    pub file_system: String,
    /// Load average over the last minute when the run began: above 0.5 something else was running.
    pub load_average: f64,
    /// Median milliseconds of a 512-byte write and its `fdatasync` on a file that grows.
    pub fdatasync_growing_ms: f64,
    /// The same on a file whose blocks were written before.
    pub fdatasync_preallocated_ms: f64,
}

impl Machine {
    /// Looks at this machine, and times `fdatasync` in `dir`.
    ///
    /// # Errors
    /// `dir` cannot be written; retrying is safe.
    pub fn look(dir: &Path) -> io::Result<Self> {
        let dir = dir.canonicalize()?;
        let (growing, preallocated) = time_syncs(&dir)?;
        Ok(Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            processor: processor(),
            kernel: first_word_of("/proc/sys/kernel/osrelease"),
            file_system: file_system_of(
                &dir,
                &std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default(),
            )
            .unwrap_or_else(|| "unknown".to_owned()),
            load_average: first_word_of("/proc/loadavg").parse().unwrap_or(f64::NAN),
            fdatasync_growing_ms: growing,
            fdatasync_preallocated_ms: preallocated,
        })
    }

    /// Whether the data lies in memory, where no write is durable and every write figure is worthless.
    #[must_use]
    pub fn data_in_memory(&self) -> bool {
        matches!(self.file_system.as_str(), "tmpfs" | "ramfs")
    }
}

fn first_word_of(path: &str) -> String {
    std::fs::read_to_string(path)
        .ok()
        .and_then(|text| text.split_whitespace().next().map(str::to_owned))
        .unwrap_or_else(|| "unknown".to_owned())
}

fn processor() -> String {
    std::fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map_or_else(
            || "unknown".to_owned(),
            |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned(),
        )
}

/// The type of the innermost mount above `dir`, from the text of `/proc/self/mountinfo`.
fn file_system_of(dir: &Path, mountinfo: &str) -> Option<String> {
    mountinfo
        .lines()
        .filter_map(|line| {
            let (mount, file_system) = line.split_once(" - ")?;
            let point = mount.split(' ').nth(4)?;
            let kind = file_system.split(' ').next()?;
            dir.starts_with(point)
                .then(|| (point.len(), kind.to_owned()))
        })
        .max_by_key(|(depth, _kind)| *depth)
        .map(|(_depth, kind)| kind)
}

/// Medians in milliseconds on a growing file, then on the same file over blocks that are already there.
fn time_syncs(dir: &Path) -> io::Result<(f64, f64)> {
    let mut file = tempfile::tempfile_in(dir)?;
    let growing = time_pass(&mut file)?;
    file.seek(SeekFrom::Start(0))?;
    let preallocated = time_pass(&mut file)?;
    Ok((growing, preallocated))
}

fn time_pass(file: &mut File) -> io::Result<f64> {
    let record = [0x5a; SYNC_RECORD_BYTES];
    let mut millis = Vec::with_capacity(SYNC_PROBES);
    for _probe in 0..SYNC_PROBES {
        let begun = Instant::now();
        file.write_all(&record)?;
        file.sync_data()?;
        millis.push(begun.elapsed().as_secs_f64() * 1_000.0);
    }
    Ok(median(&millis).unwrap_or(f64::NAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:25 / /tmp rw shared:2 master:1 - tmpfs tmpfs rw
31 22 0:26 / /tmpfiles rw - xfs /dev/vdb rw";

    #[test]
    fn the_innermost_mount_decides() {
        let kind = |dir: &str| file_system_of(Path::new(dir), MOUNTS);
        assert_eq!(kind("/tmp/bench").as_deref(), Some("tmpfs"));
        assert_eq!(kind("/tmpfiles").as_deref(), Some("xfs"));
        assert_eq!(kind("/var/tmp").as_deref(), Some("ext4"));
        assert_eq!(file_system_of(Path::new("/x"), "nonsense"), None);
    }

    #[test]
    fn a_look_at_this_machine() {
        let dir = tempfile::tempdir().expect("a temp folder");
        let machine = Machine::look(dir.path()).expect("the folder can be written");
        assert!(machine.cores >= 1);
        assert_ne!(machine.kernel, "unknown");
        assert!(machine.fdatasync_growing_ms.is_finite());
    }
}
