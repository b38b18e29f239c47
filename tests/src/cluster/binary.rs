//! The program under test, built from the sources as they are now.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::ClusterError;

/// Names a program to be tested in place of the one built here, such as the binary of a release.
pub const PROGRAM: &str = "TENURE_PROGRAM";

/// The program `tenure` of the profile that this test was built with, or the one that [`PROGRAM`] names. Cargo is
/// asked once per process, so that no test runs an older build than its own.
///
/// # Errors
/// When it cannot be built; the message holds what the compiler said.
pub fn tenure() -> Result<PathBuf, ClusterError> {
    if let Some(named) = std::env::var_os(PROGRAM) {
        return Ok(named.into());
    }
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build("tenure"))
        .clone()
        .map_err(ClusterError::Program)
}

/// The program `blobstore` of the profile that this test was built with, as for [`tenure`].
///
/// # Errors
/// When it cannot be built; the message holds what the compiler said.
pub fn blobstore() -> Result<PathBuf, ClusterError> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    BUILT
        .get_or_init(|| build("blobstore"))
        .clone()
        .map_err(ClusterError::Program)
}

fn build(name: &str) -> Result<PathBuf, String> {
    let folder = profile_folder()?;
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    // The features of the dependencies are those of the whole workspace, as in the gate: nothing is built twice.
    command.args(["build", "--locked", "--quiet", "--workspace", "--bin", name]);
    command.args(["--profile", profile]);
    command.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
    // What cargo said about the package of this test is not true of those that are built now.
    for (name, _value) in std::env::vars_os() {
        if name.to_str().is_some_and(is_about_a_package) {
            command.env_remove(&name);
        }
    }
    let output = command
        .output()
        .map_err(|error| format!("cannot run cargo to build the program {name}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "the program {name} does not build ({}):\n{said}",
            output.status
        ));
    }
    let program = folder.join(name);
    if program.is_file() {
        Ok(program)
    } else {
        Err(format!(
            "cargo built {name}, but not at {}; set CARGO_TARGET_DIR as it was when this test was built",
            program.display()
        ))
    }
}

fn is_about_a_package(name: &str) -> bool {
    [
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BIN_",
        "CARGO_CRATE_",
    ]
    .iter()
    .any(|prefix| name.starts_with(prefix))
}

/// The folder of the build that this program belongs to: its own or, for a test, the one above.
fn profile_folder() -> Result<PathBuf, String> {
    let own =
        std::env::current_exe().map_err(|error| format!("this program's own path: {error}"))?;
    let folder = own.parent().unwrap_or(Path::new("."));
    let folder = match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder),
        Some(_) | None => folder,
    };
    Ok(folder.to_path_buf())
}
