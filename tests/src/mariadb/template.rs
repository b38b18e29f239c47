//! The data folder that every `mariadbd` begins with: system tables, and the accounts of agents, writers and operators,
//! with nothing in a binary log. To make it takes seconds, to copy it a moment.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::config::{AGENT, Files, KEEPER, Login, OPERATOR, WRITER};

/// What must be the same for a template to be used again, beside its accounts. To be changed with whatever is done
/// below.
const RECIPE: &str = "mariadb-template-3";

/// The page that says which rights the agent's account needs: it gets these and no others.
const PAGE: &str = include_str!("../../../README.md");
/// With what the statements on that page begin and end that make the account.
const PAGE_BEGINS: &str = "```sql\nSET SESSION sql_log_bin = 0;\n";
const PAGE_ENDS: &str = "```";
/// What stands there in the place of the password.
const PAGE_PASSWORD: &str = "'...'";

/// Sizes as the configuration has them, and small first files.
const SIZES: [&str; 4] = [
    "--innodb-buffer-pool-size=16M",
    "--innodb-log-file-size=8M",
    "--innodb-data-file-path=ibdata1:12M:autoextend",
    "--innodb-autoextend-increment=1",
];

/// Why there is no template, or no copy of it. A retry is safe.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// A program could not be run.
    #[error("cannot run {program}: {source}; is the package mariadb-server installed?")]
    Run {
        /// The program.
        program: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed: {told}")]
    Failed {
        /// The program.
        program: &'static str,
        /// What it said.
        told: String,
    },
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A data folder that nobody uses.
#[derive(Clone, Debug)]
pub struct Template {
    data: PathBuf,
}

impl Template {
    /// The template in `shelf`, made when it is not there yet. Others who ask meanwhile wait for it.
    ///
    /// # Errors
    /// [`TemplateError`]; what was begun is not taken for a template.
    pub fn on(shelf: &Path) -> Result<Self, TemplateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TemplateError::Write { path, source }
        };
        fs::create_dir_all(shelf).map_err(failed(shelf))?;
        let accounts = accounts();
        let mut digest = tenure_core::Digest::new();
        digest.update(accounts.as_bytes());
        let recipe = format!("{RECIPE}-{digest}");
        let lock = shelf.join(format!("{recipe}.lock"));
        let held = File::create(&lock).map_err(failed(&lock))?;
        held.lock().map_err(failed(&lock))?;
        let data = shelf.join(recipe);
        if !data.exists() {
            let begun = tempfile::tempdir_in(shelf).map_err(failed(shelf))?;
            let fresh = begun.path().join("data");
            make(&fresh, &accounts)?;
            fs::rename(&fresh, &data).map_err(failed(&data))?;
        }
        Ok(Self { data })
    }

    /// Gives a `mariadbd` its data, and its agent the password.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn copy_to(&self, files: &Files) -> Result<(), TemplateError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| TemplateError::Write { path, source }
        };
        fs::create_dir_all(&files.folder).map_err(failed(&files.folder))?;
        let mut copy = Command::new("cp");
        // Without holes: where the disk is full later, what is there already can be written to.
        copy.args(["--archive", "--sparse=never"])
            .arg(&self.data)
            .arg(files.data());
        run("cp", copy.output())?;
        let path = files.password();
        let secret = fs::OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode_of_a_secret()
            .open(&path);
        let mut secret = secret.map_err(failed(&path))?;
        secret
            .write_all(AGENT.password.as_bytes())
            .map_err(failed(&path))
    }
}

/// Files that nobody else may read.
trait ModeOfASecret {
    fn mode_of_a_secret(&mut self) -> &mut Self;
}

impl ModeOfASecret for fs::OpenOptions {
    fn mode_of_a_secret(&mut self) -> &mut Self {
        use std::os::unix::fs::OpenOptionsExt as _;
        self.mode(0o600)
    }
}

fn run(program: &'static str, ran: io::Result<Output>) -> Result<(), TemplateError> {
    let output = ran.map_err(|source| TemplateError::Run { program, source })?;
    if output.status.success() {
        return Ok(());
    }
    let told = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    Err(TemplateError::Failed {
        program,
        told: format!("{}: {}", output.status, told.join(" ")),
    })
}

fn make(data: &Path, accounts: &str) -> Result<(), TemplateError> {
    let datadir = format!("--datadir={}", data.display());
    let own = || {
        let mut own = vec!["--no-defaults", datadir.as_str()];
        own.extend(SIZES);
        // It refuses to be run by root without being told so.
        if rustix::process::geteuid().is_root() {
            own.push("--user=root");
        }
        own
    };
    let mut install = Command::new("mariadb-install-db");
    install
        .args(own())
        .args(["--skip-test-db", "--auth-root-authentication-method=socket"]);
    run("mariadb-install-db", install.output())?;
    let mut bootstrap = Command::new(super::server::program());
    bootstrap
        .args(own())
        .arg("--bootstrap")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let fed = bootstrap.spawn().and_then(|mut child| {
        if let Some(mut input) = child.stdin.take() {
            input.write_all(accounts.as_bytes())?;
        }
        child.wait_with_output()
    });
    run("mariadbd", fed)
}

/// The statements by which an operator makes the agent's account on a server, as the page for operators has them; with
/// the first nothing of it gets into the binary log.
#[must_use]
pub fn agents_account() -> Vec<String> {
    let begins = PAGE.find(PAGE_BEGINS).map_or(0, |at| at + "```sql\n".len());
    let text = PAGE.get(begins..).unwrap_or_default();
    let text = text.split(PAGE_ENDS).next().unwrap_or_default();
    let password = format!("'{}'", AGENT.password.replace('\'', "''"));
    let one_line = |statement: &str| {
        let words: Vec<&str> = statement.split_whitespace().collect();
        words.join(" ").replace(PAGE_PASSWORD, &password)
    };
    let all = text.split(';').map(one_line);
    all.filter(|statement| !statement.is_empty()).collect()
}

/// A statement a line: that is how it is read.
fn accounts() -> String {
    let create = |login: Login| {
        format!(
            "CREATE USER '{}'@'%' IDENTIFIED BY '{}'",
            login.name,
            login.password.replace('\'', "''")
        )
    };
    let grant = |rights: &str, login: Login| format!("GRANT {rights} TO '{}'@'%'", login.name);
    let mut all = vec!["FLUSH PRIVILEGES".to_owned()];
    all.extend(agents_account());
    all.extend([
        create(OPERATOR),
        grant("ALL PRIVILEGES ON *.*", OPERATOR) + " WITH GRANT OPTION",
        create(WRITER),
        grant("ALL PRIVILEGES ON app.*", WRITER),
        create(KEEPER),
        grant("SELECT, RELOAD, LOCK TABLES, PROCESS ON *.*", KEEPER),
        "FLUSH PRIVILEGES".to_owned(),
    ]);
    all.iter()
        .map(|statement| format!("{statement};\n"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_gets_what_the_page_says_and_no_more() {
        let all = agents_account();
        let create = format!(
            "CREATE USER 'tenure'@'%' IDENTIFIED BY '{}'",
            AGENT.password.replace('\'', "''")
        );
        assert_eq!(
            all.get(..2),
            Some(&["SET SESSION sql_log_bin = 0".to_owned(), create][..])
        );
        let mut grants = all[2..].iter();
        assert!(grants.len() >= 2, "{all:?}");
        assert!(
            grants.all(|it| it.starts_with("GRANT ") && it.contains(" TO 'tenure'@'%'")),
            "{all:?}"
        );
        let everything = "ALL PRIVILEGES ON *.*";
        assert!(
            !all.iter()
                .any(|it| it.contains(everything) || it.contains("SUPER")),
            "{all:?}"
        );
    }
}
