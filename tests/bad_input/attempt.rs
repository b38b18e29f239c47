//! Attempts to start a server that have to fail, and what they leave behind.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tenure_tests::cluster::Listed;
use tenure_tests::cluster::binary::tenure;
use tenure_tests::cluster::config::ServerConfig;
use tenure_tests::ports::free_ports;

/// How long a server may take to refuse.
const BOUND: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// Exit code for a configuration that cannot be right.
pub const INVALID: i32 = 3;
/// Exit code for a server that cannot start.
pub const CRITICAL: i32 = 2;

/// How a server ended that was not to start.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit code; None when a signal ended it.
    pub code: Option<i32>,
    /// All that it printed.
    pub said: String,
}

impl Refusal {
    /// Checks the exit code and that all of these texts were printed, without a panic.
    #[track_caller]
    pub fn check(&self, code: i32, texts: &[&str]) {
        assert_eq!(self.code, Some(code), "{}", self.said);
        assert!(!self.said.contains("panicked"), "{}", self.said);
        for text in texts {
            assert!(
                self.said.contains(text),
                "{text:?} is not in: {}",
                self.said
            );
        }
    }
}

/// Ends the process when the test does.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Runs a server that has to refuse, to its end.
pub fn attempt(config: &Path) -> Refusal {
    let log = config.with_extension("attempt.log");
    let output = File::create(&log).expect("a file for the output");
    let errors = output.try_clone().expect("the same file again");
    let mut command = Command::new(tenure().expect("the program tenure"));
    command.arg("server").arg("--config").arg(config);
    command.stdin(Stdio::null()).stdout(output).stderr(errors);
    let mut running = Running(command.spawn().expect("tenure can be run"));
    let began = Instant::now();
    let status = loop {
        if let Some(status) = running.0.try_wait().expect("its status") {
            break status;
        }
        assert!(began.elapsed() < BOUND, "it runs: {}", said(&log));
        std::thread::sleep(POLL);
    };
    Refusal {
        code: status.code(),
        said: said(&log),
    }
}

fn said(log: &Path) -> String {
    String::from_utf8_lossy(&fs::read(log).expect("the output")).into_owned()
}

/// A server alone, on ports of its own, with a data folder of the caller's.
pub struct Alone {
    /// Its cluster.
    pub cluster: String,
    /// Its id and addresses.
    pub own: Listed,
}

impl Alone {
    /// Server `id` of the cluster that the harness makes.
    pub fn new(id: u64) -> Self {
        let ports = free_ports(2).expect("two ports");
        let [raft, api] = [ports[0], ports[1]].map(|port| format!("127.0.0.1:{port}"));
        Self {
            cluster: "test".to_owned(),
            own: Listed { id, raft, api },
        }
    }

    /// Writes its configuration to a file of its own beside the data folder.
    pub fn config(&self, data_dir: &Path) -> PathBuf {
        let path = data_dir.with_extension("alone.toml");
        fs::write(&path, self.text(data_dir)).expect("the configuration is written");
        path
    }

    /// Its configuration.
    pub fn text(&self, data_dir: &Path) -> String {
        ServerConfig {
            cluster: &self.cluster,
            own: &self.own,
            data_dir,
            servers: std::slice::from_ref(&self.own),
            timing: None,
            keeping: None,
        }
        .text()
    }
}

/// All files under a folder with their bytes.
pub fn contents(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.clone(), fs::read(&path).expect("a file"));
            }
        }
    }
    files
}

/// Copies a folder with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    for (path, bytes) in contents(from) {
        let path = to.join(path.strip_prefix(from).expect("it lies in the folder"));
        fs::create_dir_all(path.parent().expect("a file lies in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    }
}

/// Starts a server on `folder`, which has to refuse and to leave every byte as it is.
#[track_caller]
pub fn refused(alone: &Alone, folder: &Path, texts: &[&str]) {
    let before = contents(folder);
    attempt(&alone.config(folder)).check(CRITICAL, texts);
    let after = contents(folder);
    for path in before.keys().chain(after.keys()) {
        let same = before.get(path) == after.get(path);
        assert!(same, "{} was changed, came or went", path.display());
    }
}
