//! Many seeds, each in a process of its own, several at a time.

use std::io;
use std::process::{Child, ExitCode, Stdio};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::Arguments;
use crate::place;
use crate::tally::Tally;

/// A run of a seed that takes so long hangs.
const REAL_TIME_MOST: Duration = Duration::from_secs(900);
/// Between two looks at a run.
const LOOK: Duration = Duration::from_millis(20);
/// From so many seeds on, what never happened is a failure.
const MANY: u64 = 20;

/// Runs all seeds, and says what happened in them.
pub fn all(arguments: &Arguments) -> ExitCode {
    let began = Instant::now();
    let (next, failed) = (AtomicU64::new(0), AtomicBool::new(false));
    let sum = Mutex::new((Tally::default(), 0_u64));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let jobs = if arguments.jobs == 0 {
        cores
    } else {
        arguments.jobs
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= arguments.seeds || failed.load(Ordering::Relaxed) {
                        return;
                    }
                    let seed = arguments.seed + at;
                    match checked(arguments, seed) {
                        Ok(tally) => {
                            println!("seed {seed}: {tally}");
                            let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
                            sum.0.add(&tally);
                            sum.1 += 1;
                        }
                        Err(why) => {
                            failed.store(true, Ordering::Relaxed);
                            told(arguments, seed, &why);
                        }
                    }
                }
            });
        }
    });
    let real = began.elapsed().as_secs_f64();
    let (sum, seeds) = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{seeds} seeds in {real:.1} s: {sum}");
    let never = sum.never();
    if seeds >= MANY && !never.is_empty() {
        println!("FAILED: {}", never.join(", "));
        return ExitCode::FAILURE;
    }
    if failed.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn told(arguments: &Arguments, seed: u64, why: &str) {
    println!("seed {seed} FAILED: {why}");
    let lying = if arguments.lying_disk {
        " --lying-disk"
    } else {
        ""
    };
    println!(
        "to repeat: cargo xtask simulate-system --seed {seed} --seconds {}{lying} --trace",
        arguments.seconds
    );
}

/// Runs a seed, twice if that was asked for.
fn checked(arguments: &Arguments, seed: u64) -> Result<Tally, String> {
    let first = one(arguments, seed)?;
    if arguments.twice {
        let second = one(arguments, seed)?;
        if first.line() != second.line() {
            return Err(format!("run again it is another: {first}; {second}"));
        }
    }
    Ok(first)
}

fn one(arguments: &Arguments, seed: u64) -> Result<Tally, String> {
    let mut own = vec![
        "--seed".to_owned(),
        seed.to_string(),
        "--seconds".to_owned(),
        arguments.seconds.to_string(),
    ];
    let flags = [
        (arguments.trace, "--trace"),
        (arguments.log, "--log"),
        (arguments.lying_disk, "--lying-disk"),
    ];
    let set = flags.into_iter().filter(|(set, _)| *set);
    own.extend(set.map(|(_, flag)| flag.to_owned()));
    let started = || -> io::Result<_> {
        let (mut command, place) = place::recorded(&own)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok((child, place))
    };
    let (child, _place) = started().map_err(|why| format!("it cannot be run: {why}"))?;
    let shows = arguments.trace || arguments.log;
    let (status, said) = watched(child, shows).map_err(|why| format!("it was lost: {why}"))?;
    let last = said.lines().last().unwrap_or_default();
    match Tally::parse(last) {
        Some(tally) if status => Ok(tally),
        Some(_) | None if last.is_empty() => Err("it ended without a word".to_owned()),
        Some(_) | None => Err(said),
    }
}

/// Waits for a run, and kills one that hangs. Gives whether it succeeded and what it said, and shows that meanwhile when
/// it is to be shown.
fn watched(mut child: Child, shows: bool) -> io::Result<(bool, String)> {
    let output = child.stdout.take();
    let reading = std::thread::spawn(move || -> io::Result<String> {
        let mut said = String::new();
        let Some(output) = output else {
            return Ok(said);
        };
        for line in io::BufRead::lines(io::BufReader::new(output)) {
            let line = line?;
            if shows && Tally::parse(&line).is_none() {
                println!("{line}");
                said.clear();
            }
            said.push_str(&line);
            said.push('\n');
        }
        Ok(said)
    });
    let began = Instant::now();
    let ended = loop {
        match child.try_wait()? {
            Some(status) => break Some(status),
            None if began.elapsed() > REAL_TIME_MOST => {
                child.kill()?;
                child.wait()?;
                break None;
            }
            None => std::thread::sleep(LOOK),
        }
    };
    let said = reading
        .join()
        .map_err(|_| io::Error::other("its reader panicked"))??;
    match ended {
        Some(status) => Ok((status.success(), said.trim_end().to_owned())),
        None => Err(io::Error::other(format!("it hung for {REAL_TIME_MOST:?}"))),
    }
}
