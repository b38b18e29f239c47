//! The protocol as it runs: for each row of the evidence table and each way a primary is moved or kept, a transcript beside
//! this file. They are written anew by `TENURE_TRANSCRIPTS=write cargo test -p tenure-core transcripts`; a change of one
//! is a change of the protocol, and is read before it is committed.

mod cases;

use super::world::{Setup, World};
use std::path::PathBuf;
use tenure_core::Millis;

/// One transcript.
pub struct Case {
    /// Of its file.
    name: &'static str,
    /// What happens, in a sentence.
    title: &'static str,
    /// What the world begins with.
    setup: fn() -> Setup,
    /// What befalls it. A condition that does not come fails.
    happens: fn(&mut World),
}

const LEGEND: &str = "\
Three servers, s1 leads; three nodes, n1 is primary by epoch 1, n2 and n3 follow it; clients wait for one replica.
Milliseconds since the transcript began. !: what befalls them. sN: what a server says. log: what was committed.
nN: what an agent has its instance do, and when it may take writes. =: the receipt.
";

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/failover/transcripts")
}

fn transcript(case: &Case) -> String {
    let mut world = World::new(&(case.setup)());
    world.run_until(Millis(3_000), World::is_whole);
    world.writing = true;
    world.run(Millis(300));
    world.listen();
    (case.happens)(&mut world);
    // What was not acknowledged meanwhile counts once something is again.
    world.run(Millis(100));
    assert_eq!(world.checks.broken, Vec::<String>::new(), "{}", case.name);
    let lost = world.lost();
    assert_eq!(
        lost,
        Vec::<u64>::new(),
        "{} lost what was acknowledged",
        case.name
    );
    let gap = world.checks.longest_gap;
    let (title, told) = (case.title, world.told.text());
    format!("{title}\n\n{LEGEND}\n{told}\nLongest time without an acknowledged write: {gap}.\n")
}

#[test]
fn transcripts_are_as_they_were_written() {
    let anew = std::env::var("TENURE_TRANSCRIPTS").is_ok_and(|it| it == "write");
    let mut changed = Vec::new();
    for case in cases::ALL {
        let path = folder().join(format!("{}.txt", case.name));
        let text = transcript(case);
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if known == text {
            continue;
        }
        if anew {
            std::fs::write(&path, &text).expect("the folder can be written to");
        } else {
            let (at, (was, is)) = (1..)
                .zip(known.lines().chain(std::iter::repeat("")).zip(text.lines()))
                .find(|(_, (was, is))| was != is)
                .unwrap_or((0, ("", "")));
            changed.push(format!("{}.txt, line {at}:\n-{was}\n+{is}", case.name));
        }
    }
    assert!(
        changed.is_empty(),
        "the protocol runs another way than was written down; read what changed, then have it written anew \
         (TENURE_TRANSCRIPTS=write):\n{}",
        changed.join("\n")
    );
}

#[test]
fn every_transcript_has_its_case() {
    let known = |name: &str| cases::ALL.iter().any(|case| case.name == name);
    for entry in std::fs::read_dir(folder()).expect("it is there") {
        let path = entry.expect("it can be listed").path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let is_text = path.extension().is_some_and(|it| it == "txt");
        assert!(!is_text || known(&name), "{name}.txt has no case");
    }
}
