//! One `redis-server` of the distribution, with its own folder and port.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A `redis-server` process, killed when this is dropped.
pub struct Store {
    folder: PathBuf,
    pub port: u16,
    /// What the process says; elsewhere than its data, whose disk may be full.
    log: tempfile::NamedTempFile,
    child: Option<Child>,
}

impl Store {
    /// One with more lines of configuration, which come last.
    pub fn new(folder: PathBuf, more: &str) -> Store {
        std::fs::create_dir_all(&folder).expect("a folder");
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let port = listener.local_addr().expect("bound").port();
        drop(listener);
        let config = folder.join("redis.conf");
        let text = format!(
            "bind 127.0.0.1\nport {port}\ndir {}\nsave \"\"\nappendonly no\nrepl-diskless-sync-delay 0\n{more}\n",
            folder.display()
        );
        std::fs::write(config, text).expect("written");
        Store {
            folder,
            port,
            log: tempfile::NamedTempFile::new().expect("a log"),
            child: None,
        }
    }

    pub fn start(&mut self) {
        let log = std::fs::File::create(self.log.path()).expect("a log");
        let child = Command::new("redis-server")
            .arg(self.folder.join("redis.conf"))
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null())
            .spawn()
            .expect("redis-server is installed (apt-get install redis-server)");
        self.child = Some(child);
    }

    /// Waits until it answers.
    pub async fn is_up(&self) {
        super::site::eventually("it to be up", || async {
            super::looks::ask(self.port, &["PING"]).await.ok()
        })
        .await;
    }

    /// Stops the process where it stands, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        self.signal(if frozen { Signal::STOP } else { Signal::CONT });
    }

    /// Kills the process, and does not wait until it is gone.
    pub fn shoot(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a pid"), signal).expect("signalled");
    }

    /// Whether the process has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        match &mut self.child {
            Some(child) => child.try_wait().expect("it can be asked").is_some(),
            None => true,
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path()).expect("a log")
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("killed");
            child.wait().expect("ended");
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.kill();
    }
}
