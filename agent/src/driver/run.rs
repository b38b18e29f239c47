//! Runs a program of the operator's for a bounded time, with bounded output; its whole process group
//! is killed when it takes longer, and when whoever waits for it turns away.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout, timeout_at};

use super::DriverError;

/// For how long output is still read after the program has ended: a child that it left behind may
/// hold its output open for ever.
const DRAIN: Duration = Duration::from_millis(50);
/// How much of what it says on standard error is repeated in an error.
const COMPLAINT_BYTES_MAX: usize = 300;

/// What a program is to do.
#[derive(Debug, Clone)]
pub(super) struct Errand<'a> {
    /// The program and its arguments; not empty.
    pub(super) argv: &'a [String],
    /// One more argument after those.
    pub(super) verb: Option<&'a str>,
    /// What is added to the environment.
    pub(super) environment: &'a [(&'a str, String)],
    /// How long it may take.
    pub(super) within: Duration,
    /// How much it may say on standard output, in bytes.
    pub(super) output_max: usize,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) output: String,
    /// The beginning of what it said on standard error, on one line.
    pub(super) complaint: String,
}

/// Kills the group of a program that was not seen to end.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is what is wanted.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Runs a program to its end.
///
/// # Errors
/// [`DriverError`] when it cannot be started, takes longer than it may, or says too much.
pub(super) async fn run(errand: Errand<'_>) -> Result<Ran, DriverError> {
    let name = name(&errand);
    let ends = Instant::now() + errand.within;
    let mut child = start(&errand).map_err(|error| DriverError::Local {
        what: format!("cannot start {name}"),
        why: error.to_string(),
    })?;
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let mut group = Group(id.and_then(Pid::from_raw));
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let mut output = Vec::new();
    let mut complaint = Vec::new();
    let status = {
        let read = async {
            tokio::join!(
                keep(out, &mut output, errand.output_max.saturating_add(1)),
                keep(err, &mut complaint, COMPLAINT_BYTES_MAX),
            );
        };
        tokio::pin!(read);
        let ended = async {
            tokio::select! {
                () = &mut read => child.wait().await,
                status = child.wait() => {
                    let _ = timeout(DRAIN, &mut read).await;
                    status
                }
            }
        };
        timeout_at(ends, ended).await
    };
    let status = status.map_err(|_| DriverError::timed_out(name.clone(), errand.within))?;
    let status = status.map_err(|error| DriverError::Local {
        what: format!("cannot wait for {name}"),
        why: error.to_string(),
    })?;
    group.0 = None;
    if output.len() > errand.output_max {
        return Err(DriverError::Unreadable {
            what: name,
            why: format!("it says more than {} bytes", errand.output_max),
        });
    }
    Ok(Ran {
        status,
        output: String::from_utf8_lossy(&output).into_owned(),
        complaint: one_line(&complaint),
    })
}

/// The program with its verb, for people.
fn name(errand: &Errand<'_>) -> String {
    let program = errand.argv.first().map_or("", String::as_str);
    match errand.verb {
        Some(verb) => format!("{program} {verb}"),
        None => program.to_owned(),
    }
}

fn start(errand: &Errand<'_>) -> std::io::Result<Child> {
    let (program, arguments) = errand.argv.split_first().ok_or_else(|| {
        std::io::Error::new(std::io::ErrorKind::InvalidInput, "no program is named")
    })?;
    let environment = errand.environment.iter();
    Command::new(program)
        .args(arguments)
        .args(errand.verb)
        .envs(environment.map(|(key, value)| (*key, value.as_str())))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// Keeps the first bytes of a stream, and reads the rest so that the program is not held up.
async fn keep<R: AsyncRead + Unpin>(from: Option<R>, kept: &mut Vec<u8>, most: usize) {
    let Some(mut from) = from else {
        return;
    };
    let mut chunk = [0; 4096];
    while let Ok(count) = from.read(&mut chunk).await {
        if count == 0 {
            return;
        }
        let room = most.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

fn one_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}
