//! What everything stands on: the options, the sites, the process group, a folder, and MariaDB's first data.

use std::path::{Path, PathBuf};

use tempfile::TempDir;
use tenure_benches::process::Process;
use tenure_tests::failover::network::{Network, Site};
use tenure_tests::mariadb::template::Template;

use crate::error::BenchError;
use crate::options::Options;

/// One for all rounds of a run.
#[derive(Debug)]
pub struct Ground {
    pub options: Options,
    pub network: Network,
    /// The process group that ends with the bench.
    pub group: i32,
    /// Holds the folders of all rounds.
    pub dir: PathBuf,
    pub template: Template,
}

impl Ground {
    /// A new folder that is removed when it is dropped.
    pub fn folder(&self, prefix: &str) -> Result<TempDir, BenchError> {
        TempDir::with_prefix_in(prefix, &self.dir).map_err(|source| BenchError::Io {
            what: "create a folder below",
            path: self.dir.clone(),
            source,
        })
    }

    /// Describes a process at `site` whose output goes to `NAME.log` in `dir`, without starting it.
    pub fn process(
        &self,
        site: &Site,
        name: &str,
        program: &Path,
        args: Vec<String>,
        dir: &Path,
    ) -> Process {
        let log = dir.join(format!("{name}.log"));
        site.process(name.to_owned(), program, args, &log)
            .in_group(self.group)
    }
}

/// Writes a configuration.
pub fn write(path: &Path, text: &str) -> Result<(), BenchError> {
    std::fs::write(path, text).map_err(|source| BenchError::Io {
        what: "write",
        path: path.to_path_buf(),
        source,
    })
}

/// The first line that a program prints with `--version`.
pub fn version_of(program: &Path) -> Result<String, BenchError> {
    let output = std::process::Command::new(program)
        .arg("--version")
        .output()
        .map_err(|source| BenchError::Io {
            what: "run",
            path: program.to_path_buf(),
            source,
        })?;
    let printed = String::from_utf8_lossy(&output.stdout);
    Ok(printed.lines().next().unwrap_or("unknown").to_owned())
}
