//! A disk that has no room left: a small file system for the data of one process.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory. Dropping it unmounts it.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of so many MiB; None, with the reason printed, where that is not permitted.
    ///
    /// # Panics
    /// When there can be no folder to mount it on.
    #[expect(
        clippy::print_stdout,
        reason = "a check that was left out has to be seen"
    )]
    #[must_use]
    pub fn mount(at: &Path, mib: u32) -> Option<Self> {
        fs::create_dir_all(at).expect("a folder to mount on");
        let options = format!("size={mib}m");
        let mut mounting = Command::new("mount");
        mounting
            .args(["-t", "tmpfs", "-o", &options, "tmpfs"])
            .arg(at);
        match mounting.output() {
            Ok(output) if output.status.success() => Some(Self { at: at.to_owned() }),
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                println!("SKIPPED: a small file system cannot be mounted here: {said}");
                None
            }
            Err(error) => {
                println!("SKIPPED: mount cannot be run here: {error}");
                None
            }
        }
    }

    /// Takes all the room that is left but so many bytes. Gives the file that takes it.
    ///
    /// # Panics
    /// When nothing can be written there at all.
    pub fn fill(&self, left: usize) -> PathBuf {
        let path = self.at.join("filler");
        let mut file = File::create(&path).expect("a file");
        let block = vec![1; 64 << 10];
        let mut written = 0;
        while file.write_all(&block).is_ok() {
            written += block.len() as u64;
        }
        file.set_len(written.saturating_sub(left as u64))
            .expect("some room is left");
        path
    }

    /// Makes it so many MiB large.
    ///
    /// # Panics
    /// When that is refused.
    pub fn enlarge(&self, mib: u32) {
        let options = format!("remount,size={mib}m");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.at)
            .status();
        assert!(
            status.expect("mount can be run").success(),
            "the file system is made larger"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, so that a server that a failed test left running does not keep it.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.at).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
        // The cluster's own folder could not be removed while this was mounted in it. Where the cluster is
        // still there neither is empty, and it removes them itself.
        for emptied in self.at.ancestors().take(2) {
            let _not_empty = fs::remove_dir(emptied);
        }
    }
}
