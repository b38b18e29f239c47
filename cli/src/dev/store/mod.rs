//! The service whose primary is moved: what stands behind it, and on which nodes.

pub mod builtin;
mod exec;
mod files;
mod line;
mod mysql;
mod processes;
mod revive;
mod rows;
mod session;
pub mod traffic;

pub use exec::{ExecArgs, run as exec};
pub use files::{Site, topology};
pub use mysql::{FirstData, Mysql};
pub use processes::Processes;
pub use revive::revive;
pub use rows::{lines, primary};

use crate::exit::Failure;
use serde::{Deserialize, Serialize};
use std::{
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tenure_core::{NodeName, ServiceName};

/// The nodes that have an instance of it, and an agent.
pub const NODES: [&str; 3] = ["db-1", "db-2", "db-3"];

/// The program that a distribution's package installs.
const PROGRAM: &str = "redis-server";

/// Whether a node has an agent here.
pub fn has_agent(node: &NodeName) -> bool {
    NODES.contains(&node.as_str())
}

/// What a folder was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The real program.
    Redis,
    /// The real program.
    Mysql,
    /// The service in memory that this program has built in.
    BuiltIn,
}

impl Kind {
    /// The name that the service has in the example.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis | Self::BuiltIn => "redis-server",
            Self::Mysql => "mysql-server",
        }
    }

    /// The service's name, as the core has it.
    pub fn service(self) -> ServiceName {
        ServiceName::new(self.name()).expect("a name of our own is valid")
    }
}

/// What stands behind the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// This program.
    Redis(PathBuf),
    /// These programs.
    Mysql(Mysql),
    /// The service in memory that this program has built in.
    BuiltIn,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The real program where it is installed.
    Whatever,
    /// This program.
    Redis(PathBuf),
    /// MariaDB: this program, or the one that is installed.
    Mysql(Option<PathBuf>),
    /// The built-in one.
    BuiltIn,
}

impl Store {
    /// What stands behind the service in a folder that was made for `before`, if it was made already.
    ///
    /// # Errors
    /// When that is not what is asked for, or the program cannot be run.
    pub fn choose(wanted: &Wanted, before: Option<Kind>) -> Result<Self, Failure> {
        let other = |made: &str, instead: &str| {
            Err(Failure::invalid(format!(
                "the folder was made for {made}: {instead}, or name another folder"
            )))
        };
        match (wanted, before) {
            (Wanted::Redis(_), Some(Kind::BuiltIn)) => {
                other("the built-in service", "leave --redis out")
            }
            (Wanted::BuiltIn, Some(Kind::Redis)) => other(PROGRAM, "leave --no-redis out"),
            (Wanted::Redis(_) | Wanted::BuiltIn, Some(Kind::Mysql)) => {
                other("MariaDB", "start it with --mysql")
            }
            (Wanted::Mysql(_), Some(Kind::Redis | Kind::BuiltIn)) => {
                other("redis-server", "leave --mysql out")
            }
            (Wanted::Mysql(named), None | Some(Kind::Mysql)) => {
                Mysql::find(named.as_deref()).map(Self::Mysql)
            }
            (Wanted::Whatever, Some(Kind::Mysql)) => Mysql::find(None).map(Self::Mysql),
            (Wanted::Redis(path), None | Some(Kind::Redis)) => program(path).map(Self::Redis),
            (Wanted::BuiltIn, None | Some(Kind::BuiltIn))
            | (Wanted::Whatever, Some(Kind::BuiltIn)) => Ok(Self::BuiltIn),
            (Wanted::Whatever, Some(Kind::Redis)) => match installed() {
                Some(path) => Ok(Self::Redis(path)),
                None => other(
                    "redis-server, which is not on PATH any more",
                    "name it with --redis PATH",
                ),
            },
            (Wanted::Whatever, None) => Ok(installed().map_or(Self::BuiltIn, Self::Redis)),
        }
    }

    /// What a folder is made for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Redis(_) => Kind::Redis,
            Self::Mysql(_) => Kind::Mysql,
            Self::BuiltIn => Kind::BuiltIn,
        }
    }
}

fn is_program(path: &Path) -> bool {
    let found = std::fs::metadata(path);
    found.is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

fn program(path: &Path) -> Result<PathBuf, Failure> {
    let found = path.canonicalize().ok().filter(|path| is_program(path));
    found.ok_or_else(|| {
        Failure::invalid(format!(
            "--redis {}: there is no such program; name the file of redis-server, or leave --redis out",
            path.display()
        ))
    })
}

fn installed() -> Option<PathBuf> {
    on_path(PROGRAM)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    let mut programs = folders.map(|folder| folder.join(name));
    programs.find(|program| is_program(program))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_on_with_what_it_was_made_for() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("redis");
        std::fs::write(&path, "").unwrap();
        let named = Wanted::Redis(path.clone());
        let refused = Store::choose(&named, None).unwrap_err();
        assert!(
            refused.sentence.contains("there is no such program"),
            "{refused}"
        );
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        let redis = Store::choose(&named, None).unwrap();
        assert_eq!(redis.kind(), Kind::Redis);
        assert_eq!(Store::choose(&named, Some(Kind::Redis)).unwrap(), redis);

        let built_in = Some(Kind::BuiltIn);
        assert_eq!(
            Store::choose(&Wanted::Whatever, built_in).unwrap(),
            Store::BuiltIn
        );
        let refused = Store::choose(&named, built_in).unwrap_err();
        assert!(
            refused.sentence.contains("for the built-in service"),
            "{refused}"
        );
        let refused = Store::choose(&Wanted::BuiltIn, Some(Kind::Redis)).unwrap_err();
        assert!(
            refused.sentence.contains("leave --no-redis out"),
            "{refused}"
        );
    }
}
