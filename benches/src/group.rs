//! A process group that does not outlive the bench, however the bench ends: also by SIGKILL, or by a panic that
//! runs no destructor.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits until the bench has gone (its end of the pipe is closed), then kills its own group and removes the
/// folder, from a session of its own because it is a member of the group. A hang-up is what the kernel sends to a
/// group that is left alone with a stopped member.
const WATCH: &str = r#"trap '' HUP; cat >/dev/null
exec setsid sh -c 'kill -s KILL -- "-$1"; exec rm -rf -- "$2"' sh "$$" "$1""#;

/// The group that all processes of the bench are members of.
#[derive(Debug)]
pub struct Group {
    watcher: Child,
    id: i32,
}

impl Group {
    /// Starts the group with the process that watches over the bench. When the bench has ended, whatever is left of
    /// the group is killed, and `folder` with everything in it is removed.
    ///
    /// # Errors
    /// `sh` cannot be started; retrying is safe.
    pub fn begin(folder: &Path) -> io::Result<Self> {
        let watcher = Command::new("sh")
            .args(["-c", WATCH, "sh"])
            .arg(folder.canonicalize()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        let id = i32::try_from(watcher.id()).map_err(io::Error::other)?;
        Ok(Self { watcher, id })
    }

    /// The group's id, for [`Process::in_group`](crate::process::Process::in_group).
    #[must_use]
    pub fn id(&self) -> i32 {
        self.id
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        // It ends by itself, and an error here means that it has done so already.
        let _already_reaped = self.watcher.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::process::Process;

    #[test]
    fn what_is_left_is_killed_and_the_folder_removed() {
        let parent = tempfile::tempdir().expect("a temp folder");
        let folder = parent.path().join("it's data");
        std::fs::create_dir(&folder).expect("created");
        std::fs::write(folder.join("file"), "x").expect("written");
        let group = Group::begin(&folder).expect("sh starts");
        let log = parent.path().join("log");
        let mut left = Process::new("sleeper", Path::new("sleep"), vec!["60".into()], log)
            .in_group(group.id());
        left.start().expect("sleep starts");
        drop(group);
        let deadline = Instant::now() + Duration::from_secs(20);
        while folder.exists() || left.check().is_ok() {
            assert!(Instant::now() < deadline, "both should be gone within 20 s");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
