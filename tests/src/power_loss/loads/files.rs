//! A log made of plain files, small enough to see what is right: it tests the bench. With a planted fault it makes a
//! promise too early, and the bench must say so.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use crate::power_loss::{
    marks::{Mark, Marks, Progress},
    sweep::Subject,
};

/// Bytes in a record: no page ends where one does.
const RECORD: usize = 3000;
const RECORDS_IN_FILE: u64 = 4;

/// Where the program breaks its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nowhere.
    None,
    /// It acknowledges a record before the sync.
    EarlyAcknowledgement,
    /// It never syncs the folder in which it makes files.
    UnsyncedFolder,
    /// It gives a file its name before what is in it was synced.
    EarlyRename,
    /// Nowhere, but it makes a name by a call that the recorder does not know.
    UnseenCall,
}

impl Fault {
    /// Every fault with the word for it on the command line.
    pub const ALL: [(&str, Self); 5] = [
        ("none", Self::None),
        ("early-acknowledgement", Self::EarlyAcknowledgement),
        ("unsynced-folder", Self::UnsyncedFolder),
        ("early-rename", Self::EarlyRename),
        ("unseen-call", Self::UnseenCall),
    ];
}

/// Writes `steps` records.
///
/// # Errors
/// When a file cannot be written.
pub fn run(folder: &Path, marks: &Path, fault: Fault, steps: u64) -> io::Result<()> {
    let mut marks = Marks::open(marks)?;
    let log = folder.join("log");
    fs::create_dir(&log)?;
    File::open(folder)?.sync_all()?;
    let mut file = next_file(&log, 0, fault)?;
    if fault == Fault::UnseenCall {
        fs::hard_link(log.join("0000"), log.join("copy"))?;
    }
    for step in 1..=steps {
        if step > 1 && step % RECORDS_IN_FILE == 1 {
            file = next_file(&log, step / RECORDS_IN_FILE, fault)?;
        }
        marks.say(Mark::Begun(step))?;
        file.write_all(&record(step))?;
        if fault == Fault::EarlyAcknowledgement {
            marks.say(Mark::Acknowledged(step))?;
        }
        file.sync_data()?;
        marks.say(Mark::Acknowledged(step))?;
    }
    Ok(())
}

/// Makes the file under another name, so that a file with a name is always whole.
fn next_file(log: &Path, number: u64, fault: Fault) -> io::Result<File> {
    let (temporary, path) = (log.join("next"), log.join(format!("{number:04}")));
    let mut file = File::create(&temporary)?;
    file.write_all(b"head")?;
    if fault != Fault::EarlyRename {
        file.sync_data()?;
    }
    fs::rename(&temporary, &path)?;
    if fault != Fault::UnsyncedFolder {
        File::open(log)?.sync_all()?;
    }
    Ok(file)
}

fn record(step: u64) -> Vec<u8> {
    let mut record = vec![u8::try_from(step % 250 + 1).expect("below 251"); RECORD];
    record[..8].copy_from_slice(&step.to_le_bytes());
    record
}

/// Reads such a log; its state is the number of whole records at its beginning.
#[derive(Debug)]
pub struct Files;

impl Subject for Files {
    type State = u64;

    fn open(&self, folder: &Path) -> Result<u64, String> {
        let mut step = 0;
        for number in 0.. {
            let path = folder.join(format!("log/{number:04}"));
            let Ok(bytes) = fs::read(&path) else { break };
            let Some(records) = bytes.strip_prefix(b"head") else {
                return Err(format!("{} has no head", path.display()));
            };
            for found in records.chunks(RECORD) {
                if found != record(step + 1) {
                    return Ok(step);
                }
                step += 1;
            }
        }
        Ok(step)
    }

    fn judge(&self, state: &u64, progress: Progress) -> Result<(), String> {
        match (progress.acknowledged..=progress.begun).contains(state) {
            true => Ok(()),
            false => Err(format!("{state} records are there")),
        }
    }

    fn go_on(&self, _: &Path, _: &u64) -> Result<(), String> {
        Ok(())
    }
}
