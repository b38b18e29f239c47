//! Programs of the distribution that a check needs, installed when that is permitted.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::stage::Failure;

/// Which check a program is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// `cargo xtask test`.
    Tests,
    /// `cargo xtask bench`.
    Bench,
    /// `cargo xtask bench-failover`.
    BenchFailover,
    /// `cargo xtask coverage`.
    Coverage,
    /// `cargo xtask bench-mysql`.
    BenchMysql,
}

/// The version of LLVM that the compiler of `rust-toolchain.toml` has.
pub const LLVM: &str = "22";

/// A program and the package of Debian and Ubuntu that brings it.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The name looked for in `PATH`.
    pub binary: &'static str,
    /// The package that brings it.
    pub package: &'static str,
    /// The checks that cannot run without it.
    pub needed_for: &'static [Need],
    /// The checks that do less without it.
    pub wanted_for: &'static [Need],
}

/// Everything that is needed from the distribution.
pub const TOOLS: &[Tool] = &[
    Tool {
        binary: "redis-server",
        package: "redis-server",
        needed_for: &[Need::Tests, Need::BenchFailover],
        wanted_for: &[],
    },
    Tool {
        binary: "redis-sentinel",
        package: "redis-sentinel",
        needed_for: &[Need::Tests, Need::BenchFailover],
        wanted_for: &[],
    },
    Tool {
        binary: "mariadbd",
        package: "mariadb-server",
        needed_for: &[Need::Tests, Need::BenchMysql],
        wanted_for: &[],
    },
    Tool {
        binary: "mariadb-backup",
        package: "mariadb-backup",
        needed_for: &[Need::Tests, Need::BenchMysql],
        wanted_for: &[],
    },
    Tool {
        binary: "ip",
        package: "iproute2",
        needed_for: &[],
        wanted_for: &[Need::Tests, Need::BenchFailover, Need::BenchMysql],
    },
    Tool {
        binary: "etcd",
        package: "etcd-server",
        needed_for: &[Need::Bench],
        wanted_for: &[],
    },
    Tool {
        binary: "llvm-cov-22",
        package: "llvm-22",
        needed_for: &[Need::Coverage],
        wanted_for: &[],
    },
];

/// Installs what `need` lacks, when this is root and apt-get is there. What it could do without is only named.
///
/// # Errors
/// When something is missing and could not be installed: names each and its package.
pub fn ensure(need: Need) -> Result<(), Failure> {
    let wanted = missing(|tool| tool.wanted_for.contains(&need));
    if let Err(failure) = install(&wanted) {
        println!("==> less is checked: {}", failure.what);
    }
    install(&missing(|tool| tool.needed_for.contains(&need)))
}

fn missing(concerns: impl Fn(&Tool) -> bool) -> Vec<&'static Tool> {
    let lacks = |tool: &&Tool| concerns(tool) && !in_path(tool.binary);
    TOOLS.iter().filter(lacks).collect()
}

fn install(missing: &[&Tool]) -> Result<(), Failure> {
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().map(|tool| tool.package).collect();
    let install = format!("apt-get install {}", packages.join(" "));
    if !is_root() || !in_path("apt-get") {
        return Err(lacking(
            missing,
            "not installed by itself: that needs root and apt-get",
            install,
        ));
    }
    println!("==> {install}");
    let installed = apt_get_install(&packages)
        || (apt_get(&["update", "--quiet=2"]) && apt_get_install(&packages));
    if !installed {
        return Err(lacking(missing, "apt-get could not install it", install));
    }
    match missing.iter().find(|tool| !in_path(tool.binary)) {
        None => Ok(()),
        Some(tool) => Err(lacking(
            &[tool],
            "its package was installed and did not bring it",
            install,
        )),
    }
}

fn lacking(missing: &[&Tool], why: &str, install: String) -> Failure {
    let names: Vec<String> = missing
        .iter()
        .map(|tool| format!("{} (package {})", tool.binary, tool.package))
        .collect();
    Failure {
        what: format!("missing: {}; {why}", names.join(", ")),
        repeat: install,
    }
}

fn apt_get_install(packages: &[&str]) -> bool {
    let mut arguments = vec!["install", "--yes", "--quiet=2", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

fn apt_get(arguments: &[&str]) -> bool {
    Command::new("apt-get")
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        // Packages of servers start them when they are installed, except in run level 1.
        .env("RUNLEVEL", "1")
        .stdin(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn in_path(binary: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where the distribution puts servers, which is in root's path alone.
    let mut folders = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
    folders.any(|folder| is_file(&folder.join(binary)))
}

fn is_file(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file())
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_is_in_the_path_and_an_invented_program_is_not() {
        assert!(in_path("sh"));
        assert!(!in_path("tenure-no-such-program"));
    }

    #[test]
    fn every_program_is_there_for_some_check() {
        for tool in TOOLS {
            let checks = tool.needed_for.len() + tool.wanted_for.len();
            assert!(checks > 0, "{} is for nothing", tool.binary);
        }
    }

    #[test]
    fn the_tools_of_llvm_are_of_its_version() {
        let tool = TOOLS.iter().find(|tool| tool.binary.starts_with("llvm-"));
        let tool = tool.expect("the table has an entry for LLVM");
        assert_eq!(tool.binary, format!("llvm-cov-{LLVM}"));
        assert_eq!(tool.package, format!("llvm-{LLVM}"));
    }

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        let mut tools = TOOLS.iter();
        let tool = tools.find(|tool| tool.binary == "etcd");
        let tool = tool.expect("the table has an entry for etcd");
        let failure = lacking(&[tool], "because", "apt-get install etcd-server".to_owned());
        assert_eq!(failure.what, "missing: etcd (package etcd-server); because");
        assert_eq!(failure.repeat, "apt-get install etcd-server");
    }
}
