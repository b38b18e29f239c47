//! `tenure`: the one binary. It runs servers, and asks and changes clusters.

/// A quarter of a busy server's time went into the allocator of the C library.
// Tests of decoders count memory with an allocator of their own.
#[cfg(not(test))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod args;
mod clock;
mod cluster;
mod commands;
mod dev;
mod exit;
mod output;
mod signals;
mod topology;

use args::Cli;
use clap::Parser;
use exit::{Exit, Failure};
use output::Out;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(why) => return usage(&why),
    };
    let out = Out::new(cli.global.json);
    let ended =
        runtime().and_then(|runtime| runtime.block_on(commands::run(cli.command, cli.global)));
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if failure.exit != Exit::Ok {
                out.failure(&failure);
            }
            failure.exit.into()
        }
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    built.map_err(|why| Failure::local(format!("the runtime does not start: {why}")))
}

/// Help and version are answers; anything else is a question that made no sense.
fn usage(why: &clap::Error) -> ExitCode {
    // Where neither stdout nor stderr can be written to, the exit code must do.
    let _unwritable = why.print();
    if why.use_stderr() {
        Exit::Unknown.into()
    } else {
        Exit::Ok.into()
    }
}
