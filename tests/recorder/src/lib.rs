//! A library to preload into a program (`LD_PRELOAD`): it writes down, in one order, everything that the program does to
//! the files below one folder and that decides what is there after the power was cut. The folder is named by
//! `TENURE_RECORDER_FOLDER` (absolute and free of symbolic links), the trace by `TENURE_RECORDER_TRACE`. What the program
//! writes to the file `TENURE_RECORDER_MARKS` becomes marks in the same order: "entry 7 was acknowledged" stands after the
//! sync that it rests on, or the trace shows that it does not.
//!
//! `TENURE_RECORDER_SYNC_MICROS` makes every sync take at least so long, as on a real disk. An acknowledgement that does
//! not wait for its sync then comes before it in the trace, and not after it by luck.
//!
//! `TENURE_RECORDER_KILL_AFTER` kills the process with its so many-th record: what it had written and not synced is then
//! in the memory of the operating system, where its successor finds it and a power cut does not.
//!
//! Only calls through the C library are seen. The test that uses a trace must therefore compare the folder that was left
//! behind with the one that the trace leads to: a call that went past us shows up there.

// Taking over functions of the C library and calling the kernel has no safe form; nothing but tests loads this.
#![allow(unsafe_code)]

mod contents;
mod names;
// The image builder includes this file too, and is the one that decodes.
#[allow(dead_code)]
mod record;
mod system;
mod trace;
mod watch;
