//! Running a program with the recorder preloaded.

use std::{
    env, fs, io,
    os::unix::process::ExitStatusExt,
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
    /// How many of these records were there when the last process began.
    pub restart: usize,
    /// The folder at its end.
    pub folder: Image,
}

/// Runs `program` on a fresh folder that holds `before`; the folder and the file for marks are its last two arguments.
///
/// # Errors
/// When it cannot be run, ends with an error, or leaves another folder than its trace leads to: the recorder missed a
/// call then, and no image built from the trace would mean anything.
pub fn traced(program: &Path, arguments: &[&str], before: &Image) -> io::Result<Traced> {
    let place = Place::new(before)?;
    let output = place.command(program, arguments)?.output()?;
    succeeded(&format!("{} {arguments:?}", program.display()), &output)?;
    place.read(before, 0)
}

/// Runs `program` on an empty folder with `arguments` until it has made `records` records, kills it, and runs it again
/// with `then`.
///
/// # Errors
/// As [`traced`], and when the program ended before it was killed.
pub fn traced_twice(
    program: &Path,
    arguments: &[&str],
    records: usize,
    then: &[&str],
) -> io::Result<Traced> {
    let place = Place::new(&Image::default())?;
    let mut first = place.command(program, arguments)?;
    let output = first
        .env("TENURE_RECORDER_KILL_AFTER", records.to_string())
        .output()?;
    if output.status.signal() != Some(9) {
        let text =
            format!("{arguments:?} should have been killed after {records} records: {output:?}");
        return Err(io::Error::other(text));
    }
    let restart = trace::read(&place.trace)?.len();
    let output = place.command(program, then)?.output()?;
    succeeded(&format!("{} {then:?}", program.display()), &output)?;
    place.read(&Image::default(), restart)
}

/// Where a program is traced.
struct Place {
    folder: PathBuf,
    marks: PathBuf,
    trace: PathBuf,
    _scratch: TempDir,
}

impl Place {
    fn new(before: &Image) -> io::Result<Self> {
        let scratch = scratch()?;
        let base = scratch.path().canonicalize()?;
        let (folder, marks, trace) = (base.join("folder"), base.join("marks"), base.join("trace"));
        fs::create_dir(&folder)?;
        before.write(&folder)?;
        Ok(Self {
            folder,
            marks,
            trace,
            _scratch: scratch,
        })
    }

    fn command(&self, program: &Path, arguments: &[&str]) -> io::Result<Command> {
        let mut command = Command::new(program);
        command.args(arguments).arg(&self.folder).arg(&self.marks);
        command
            .env("LD_PRELOAD", recorder()?)
            .env("TENURE_RECORDER_FOLDER", &self.folder);
        command
            .env("TENURE_RECORDER_MARKS", &self.marks)
            .env("TENURE_RECORDER_TRACE", &self.trace);
        command.env("TENURE_RECORDER_SYNC_MICROS", "500");
        Ok(command)
    }

    fn read(&self, before: &Image, restart: usize) -> io::Result<Traced> {
        let (trace, folder) = (trace::read(&self.trace)?, Image::read(&self.folder)?);
        let mut disk = Disk::from_image(before)?;
        for record in &trace {
            disk.apply(record)?;
        }
        match disk.after_cut(Treatment::KEPT).difference(&folder) {
            None => Ok(Traced {
                trace,
                restart,
                folder,
            }),
            Some(what) => {
                let text = format!(
                    "the trace does not lead to the folder that was left, a call went past it: {what}"
                );
                Err(io::Error::other(text))
            }
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

/// The library to preload, built by the Cargo and into the target folder of the running test or program.
///
/// # Errors
/// When it cannot be built, or the program does not lie in a target folder.
pub fn recorder() -> io::Result<PathBuf> {
    static RECORDER: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let built = RECORDER.get_or_init(|| build_recorder().map_err(|error| error.to_string()));
    built.clone().map_err(io::Error::other)
}

fn build_recorder() -> io::Result<PathBuf> {
    let test = env::current_exe()?;
    // target/<profile>/deps/<this test>, or target/<profile>/<this program>
    let folder = test.parent();
    let profile_folder = match folder.and_then(Path::file_name) {
        Some(name) if name == "deps" => folder.and_then(Path::parent),
        Some(_) | None => folder,
    };
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
    let library = profile_folder.join("libtenure_recorder.so");
    if is_newer(
        &library,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("recorder"),
    )? {
        return Ok(library);
    }
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
    Ok(library)
}

/// Whether `library` was built after the last change of the package in `folder`.
fn is_newer(library: &Path, folder: &Path) -> io::Result<bool> {
    let Ok(built) = fs::metadata(library).and_then(|library| library.modified()) else {
        return Ok(false);
    };
    let mut sources = vec![folder.join("Cargo.toml")];
    for source in fs::read_dir(folder.join("src"))? {
        sources.push(source?.path());
    }
    for source in sources {
        if fs::metadata(source)?.modified()? >= built {
            return Ok(false);
        }
    }
    Ok(true)
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
