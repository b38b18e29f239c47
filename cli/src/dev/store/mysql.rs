//! MariaDB for `dev`: its programs, the data that its instances begin with, and their configuration.

use super::{Site, is_program, on_path};
use crate::exit::Failure;
use std::{
    fs::OpenOptions,
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

/// The account of the agents, and that of the writer, which may do nothing that a fence does not stop.
pub const AGENT: &str = "tenure";
/// The writer's account.
pub const WRITER: &str = "app";
/// The password of both. They are reached from this machine alone, and hold nothing of worth.
pub const PASSWORD: &str = "tenure-dev";

/// What is looked for, under its present name and its former one.
const SERVER: [&str; 2] = ["mariadbd", "mysqld"];
const INSTALL: &str = "mariadb-install-db";
/// Where a distribution puts servers, which is in root's path alone.
const SERVERS: &str = "/usr/sbin";

/// Its programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mysql {
    /// The server.
    pub server: PathBuf,
    /// What makes its first data.
    install: PathBuf,
}

impl Mysql {
    /// As if this were installed.
    #[cfg(test)]
    pub fn of(server: &str) -> Self {
        let (server, install) = (server.into(), INSTALL.into());
        Self { server, install }
    }

    /// Looks for what is installed, or beside the server that is named.
    ///
    /// # Errors
    /// Says what is missing, and how to install it.
    pub fn find(named: Option<&Path>) -> Result<Self, Failure> {
        let usual = || {
            let beside = SERVER.map(|name| Path::new(SERVERS).join(name));
            let found = SERVER.iter().find_map(|name| on_path(name));
            found.or_else(|| beside.into_iter().find(|path| is_program(path)))
        };
        let server = match named {
            Some(path) => path.canonicalize().ok().filter(|path| is_program(path)),
            None => usual(),
        };
        let Some(server) = server else {
            let what = match named {
                Some(path) => format!("--mysql={}: there is no such program", path.display()),
                None => "--mysql: mariadbd is not installed".to_owned(),
            };
            return Err(Failure::invalid(format!(
                "{what}; install it (Debian, Ubuntu: apt-get install mariadb-server; its service need not run), \
                 or name its file with --mysql=PATH"
            )));
        };
        let beside = server
            .parent()
            .and_then(Path::parent)
            .map(|folder| folder.join("bin").join(INSTALL));
        let install = beside.filter(|path| is_program(path)).or(on_path(INSTALL));
        let install = install.ok_or_else(|| {
            Failure::invalid(format!(
                "--mysql: {} is there and {INSTALL} is not, which makes its first data: install the whole of \
                 mariadb-server",
                server.display()
            ))
        })?;
        Ok(Self { server, install })
    }
}

impl Site<'_> {
    /// Where an instance has its configuration.
    pub fn my_cnf(&self) -> PathBuf {
        self.folder.join("my.cnf")
    }

    /// The file with the agent's password.
    pub fn password(&self) -> PathBuf {
        self.folder.join("agent.password")
    }

    /// Writes it, for nobody else to read.
    ///
    /// # Errors
    /// What the system says.
    pub fn write_password(&self) -> Result<(), Failure> {
        let path = self.password();
        let opened = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path);
        let written = opened.and_then(|mut file| file.write_all(PASSWORD.as_bytes()));
        written.map_err(|why| Failure::local(format!("cannot write {}: {why}", path.display())))
    }

    /// The configuration of an instance with this number. Roles are the agent's business.
    pub fn mysql(&self, number: u64) -> String {
        let user = as_root().map_or_else(String::new, |user| format!("user = {user}\n"));
        let data = quoted(&data(&self.folder));
        let log = quoted(&self.folder.join("mariadbd.log"));
        // The socket is beside the data: a path of ours may be too long for one.
        format!(
            "# Written by `tenure dev` for {}; what the agent sets at run time is not here.\n\
             [mariadbd]\n{user}datadir = {data}\nlog-error = {log}\nsocket = socket\npid-file = pid\n\
             bind-address = 127.0.0.1\nport = {}\nserver-id = {number}\nskip-name-resolve\n\
             log-bin = binlog\nbinlog-format = ROW\ngtid-strict-mode = 1\nlog-slave-updates = 1\nsync-binlog = 1\n\
             innodb-flush-log-at-trx-commit = 1\nread-only = 1\nskip-slave-start = 1\nslave-parallel-threads = 4\n\
             innodb-buffer-pool-size = 16M\ninnodb-log-file-size = 8M\nperformance-schema = 0\n",
            self.node, self.ports.store
        )
    }
}

fn data(folder: &Path) -> PathBuf {
    folder.join("data")
}

/// As an option file has it.
fn quoted(path: &Path) -> String {
    let path = path.to_string_lossy();
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\""))
}

/// It refuses to be run by root without being told so.
fn as_root() -> Option<&'static str> {
    rustix::process::geteuid().is_root().then_some("root")
}

/// The data that all instances begin with: the accounts, and nothing in a binary log.
pub struct FirstData {
    place: TempDir,
}

impl FirstData {
    /// Makes it, in a folder of its own: what makes it cannot cope with every path.
    ///
    /// # Errors
    /// What the programs say.
    pub fn make(programs: &Mysql) -> Result<Self, Failure> {
        let place = tempfile::tempdir();
        let place = place.map_err(|why| Failure::local(format!("cannot make a folder: {why}")))?;
        let mut options = vec![
            "--no-defaults".to_owned(),
            format!("--datadir={}", data(place.path()).display()),
            "--innodb-log-file-size=8M".to_owned(),
            "--innodb-autoextend-increment=1".to_owned(),
        ];
        options.extend(as_root().map(|user| format!("--user={user}")));
        let mut install = Command::new(&programs.install);
        install
            .args(&options)
            .args(["--skip-test-db", "--auth-root-authentication-method=socket"]);
        ran(&programs.install, install.output())?;
        let mut bootstrap = Command::new(&programs.server);
        bootstrap.args(&options).arg("--bootstrap");
        bootstrap.stdin(Stdio::piped()).stdout(Stdio::piped());
        let fed = bootstrap
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut child| {
                if let Some(mut input) = child.stdin.take() {
                    input.write_all(accounts().as_bytes())?;
                }
                child.wait_with_output()
            });
        ran(&programs.server, fed)?;
        Ok(Self { place })
    }

    /// Gives it to the instance that has this folder.
    ///
    /// # Errors
    /// What the system says.
    pub fn copy_to(&self, folder: &Path) -> Result<(), Failure> {
        let mut copy = Command::new("cp");
        copy.arg("--archive")
            .arg(data(self.place.path()))
            .arg(data(folder));
        ran(Path::new("cp"), copy.output())
    }
}

fn ran(program: &Path, output: std::io::Result<Output>) -> Result<(), Failure> {
    let name = program.display();
    let output = output.map_err(|why| Failure::local(format!("cannot run {name}: {why}")))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let said = said.join("");
    Err(Failure::local(format!(
        "{name} failed, {}: {}",
        output.status,
        said.trim()
    )))
}

/// A statement a line: that is how it is read.
fn accounts() -> String {
    let create = |name: &str| format!("CREATE USER '{name}'@'%' IDENTIFIED BY '{PASSWORD}';\n");
    format!(
        "FLUSH PRIVILEGES;\n{}GRANT ALL PRIVILEGES ON *.* TO '{AGENT}'@'%' WITH GRANT OPTION;\n\
         {}GRANT ALL PRIVILEGES ON tenure_dev.* TO '{WRITER}'@'%';\nFLUSH PRIVILEGES;\n",
        create(AGENT),
        create(WRITER)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told_with_how_to_install_it() {
        let why = Mysql::find(Some(Path::new("/nowhere/mariadbd"))).unwrap_err();
        let text = why.sentence;
        assert!(
            text.contains("--mysql=/nowhere/mariadbd: there is no"),
            "{text}"
        );
        assert!(text.contains("apt-get install mariadb-server"), "{text}");
    }
}
