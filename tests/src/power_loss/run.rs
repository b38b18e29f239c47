//! Running a program with the recorder preloaded.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

use super::{
    Treatment,
    disk::Disk,
    image::Image,
    trace::{self, Record},
};

/// What a traced program did, and the folder that it left.
#[derive(Debug)]
pub struct Traced {
    /// Everything it did to the folder, in order, with its marks.
    pub trace: Vec<Record>,
    /// The folder at its end.
    pub folder: Image,
}

/// Runs `program` on a fresh folder that holds `before`; the folder and the file for marks are its last two arguments.
///
/// # Errors
/// When it cannot be run, ends with an error, or leaves another folder than its trace leads to: the recorder missed a
/// call then, and no image built from the trace would mean anything.
pub fn traced(program: &Path, arguments: &[&str], before: &Image) -> io::Result<Traced> {
    let scratch = scratch()?;
    let base = scratch.path().canonicalize()?;
    let (folder, marks, trace) = (base.join("folder"), base.join("marks"), base.join("trace"));
    fs::create_dir(&folder)?;
    before.write(&folder)?;
    let mut command = Command::new(program);
    command.args(arguments).arg(&folder).arg(&marks);
    command
        .env("LD_PRELOAD", recorder()?)
        .env("TENURE_RECORDER_FOLDER", &folder);
    command
        .env("TENURE_RECORDER_MARKS", &marks)
        .env("TENURE_RECORDER_TRACE", &trace);
    succeeded(
        &format!("{} {arguments:?}", program.display()),
        &command.output()?,
    )?;
    let traced = Traced {
        trace: trace::read(&trace)?,
        folder: Image::read(&folder)?,
    };
    let mut disk = Disk::from_image(before)?;
    for record in &traced.trace {
        disk.apply(record)?;
    }
    match disk.after_cut(Treatment::KEPT).difference(&traced.folder) {
        None => Ok(traced),
        Some(what) => {
            let text = format!(
                "the trace does not lead to the folder that was left, a call went past it: {what}"
            );
            Err(io::Error::other(text))
        }
    }
}

/// A folder for images, in memory where the machine has such a place: thousands of them are written and thrown away.
///
/// # Errors
/// When it cannot be made.
pub fn scratch() -> io::Result<TempDir> {
    let memory = Path::new("/dev/shm");
    tempfile::Builder::new()
        .prefix("tenure-power-loss-")
        .tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
}

/// The library to preload, built by the Cargo and into the target folder of the running test.
fn recorder() -> io::Result<PathBuf> {
    static RECORDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = RECORDER.get_or_init(|| build_recorder().map_err(|error| error.to_string()));
    built.clone().map_err(io::Error::other)
}

fn build_recorder() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    // target/<profile>/deps/<this test>
    let profile_folder = test.parent().and_then(Path::parent);
    let target = profile_folder.and_then(Path::parent);
    let (Some(profile_folder), Some(target)) = (profile_folder, target) else {
        return Err(io::Error::other(format!(
            "{} is not below a target folder",
            test.display()
        )));
    };
    let profile = match profile_folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    build.current_dir(env!("CARGO_MANIFEST_DIR")).args([
        "build",
        "--offline",
        "--package",
        "tenure-recorder",
    ]);
    build
        .args(["--profile", profile, "--target-dir"])
        .arg(target);
    succeeded("the build of the recorder", &build.output()?)?;
    Ok(profile_folder.join("libtenure_recorder.so"))
}

fn succeeded(what: &str, output: &Output) -> io::Result<()> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!(
        "{what} ended with {}:\n{said}",
        output.status
    )))
}
