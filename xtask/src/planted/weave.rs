//! All planted bugs in one copy of the core, each behind a number: one build serves them all.

use std::fs;
use std::path::Path;

use super::bug::Bug;
use crate::source;

/// The variable that says which bug is active; none while it is not set.
pub const VARIABLE: &str = "TENURE_PLANTED";

/// The crate roots of the core that the switch is written into.
const ROOTS: &[&str] = &["src/lib.rs", "tests/main.rs"];

/// Puts every bug into the text of one file.
///
/// # Errors
/// A sentence that names the bug whose text is not there exactly once, or overlaps that of another.
pub fn weave(file: &str, text: &str, bugs: &[Bug]) -> Result<String, String> {
    let mut places = Vec::new();
    for (number, bug) in (1..).zip(bugs) {
        for hunk in bug.hunks.iter().filter(|hunk| hunk.file == file) {
            let mut found = text.match_indices(&hunk.old);
            let (Some((at, _)), None) = (found.next(), found.next()) else {
                let times = text.matches(&hunk.old).count();
                return Err(format!(
                    "{}: what it replaces stands {times} times in core/{file}, not once:\n{}",
                    bug.name, hunk.old
                ));
            };
            places.push((at, number, hunk, &bug.name));
        }
    }
    places.sort_by_key(|(at, ..)| *at);
    let mut woven = String::with_capacity(text.len());
    let mut done = 0;
    for (at, number, hunk, name) in places {
        let Some(between) = text.get(done..at) else {
            return Err(format!(
                "{name}: what it replaces in core/{file} overlaps another bug's"
            ));
        };
        woven.push_str(between);
        woven.push_str(&switch(number, &hunk.old, &hunk.new));
        done = at + hunk.old.len();
    }
    woven.push_str(text.get(done..).unwrap_or_default());
    Ok(woven)
}

fn switch(number: usize, old: &str, new: &str) -> String {
    let choice = format!("if crate::planted::is({number}) {{\n{new}\n}} else {{\n{old}\n}}");
    if old.ends_with([';', '}']) {
        choice
    } else {
        format!("({choice})")
    }
}

/// Copies the core of the repository at `root` into `folder`, as a workspace of its own with every bug in it.
///
/// # Errors
/// Those of [`weave`], and those of reading and writing, with the path.
pub fn copy(root: &Path, folder: &Path, bugs: &[Bug]) -> Result<(), String> {
    let core = root.join("core");
    let files = source::files(&core).map_err(|error| format!("{}: {error}", core.display()))?;
    for bug in bugs {
        let known = |file: &str| files.iter().any(|known| known.path == file);
        if let Some(hunk) = bug.hunks.iter().find(|hunk| !known(&hunk.file)) {
            return Err(format!("{}: there is no file core/{}", bug.name, hunk.file));
        }
    }
    for file in &files {
        let mut text = weave(&file.path, &file.text, bugs)?;
        if ROOTS.contains(&file.path.as_str()) {
            text.push_str(&module());
        }
        write(&folder.join("core").join(&file.path), &text)?;
    }
    let manifest = read(&root.join("Cargo.toml"))?;
    write(&folder.join("Cargo.toml"), &alone(&manifest))?;
    let lock = read(&root.join("Cargo.lock"))?;
    write(&folder.join("Cargo.lock"), &lock)
}

fn module() -> String {
    format!(
        "
#[allow(missing_docs, clippy::all)]
mod planted {{
    pub fn is(number: u32) -> bool {{
        static ACTIVE: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
        let read = || std::env::var(\"{VARIABLE}\").ok()?.parse().ok();
        *ACTIVE.get_or_init(|| read().unwrap_or(0)) == number
    }}
}}
"
    )
}

/// The manifest of the workspace, of the core alone, built to run fast.
fn alone(manifest: &str) -> String {
    let kept = manifest
        .lines()
        .filter(|line| !line.starts_with("default-members"));
    let mut lines: Vec<&str> = Vec::new();
    for line in kept {
        lines.push(if line.starts_with("members") {
            "members = [\"core\"]"
        } else {
            line
        });
    }
    format!("{}\n\n[profile.test]\nopt-level = 2\n", lines.join("\n"))
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{} cannot be read: {error}", path.display()))
}

/// What is there already is left alone, so that it is not built again.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|known| known == text) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}

#[cfg(test)]
mod unit {
    use super::*;
    use crate::planted::bug::{Hunk, read_all};

    fn bug(name: &str, old: &str, new: &str) -> Bug {
        Bug {
            name: name.to_owned(),
            breaks: "x".to_owned(),
            hunks: vec![Hunk {
                file: "a.rs".to_owned(),
                old: old.to_owned(),
                new: new.to_owned(),
            }],
        }
    }

    #[test]
    fn expressions_and_statements_are_chosen_by_number() {
        let bugs = [bug("a", "b < c", "true"), bug("b", "f();", "")];
        let woven = weave("a.rs", "if b < c { f(); }", &bugs).unwrap();
        let flat = woven.replace('\n', " ");
        assert_eq!(
            flat,
            "if (if crate::planted::is(1) { true } else { b < c }) \
             { if crate::planted::is(2) {  } else { f(); } }"
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let gone = [bug("gone", "z", "")];
        assert!(weave("a.rs", "x", &gone).unwrap_err().contains("0 times"));
        let twice = [bug("twice", "x", "")];
        assert!(
            weave("a.rs", "x x", &twice)
                .unwrap_err()
                .contains("2 times")
        );
        let both = [bug("one", "ab", ""), bug("other", "bc", "")];
        let why = weave("a.rs", "abc", &both).unwrap_err();
        assert!(why.contains("overlaps"), "{why}");
    }

    #[test]
    fn every_planted_bug_still_applies() {
        let core = crate::stage::root().join("core");
        let bugs = read_all(&core.join("tests/planted")).unwrap();
        assert!(bugs.len() >= 20, "{}", bugs.len());
        for hunk in bugs.iter().flat_map(|bug| &bug.hunks) {
            let text = read(&core.join(&hunk.file)).unwrap();
            weave(&hunk.file, &text, &bugs).unwrap();
        }
    }

    #[test]
    fn the_core_stands_alone() {
        let manifest = "[workspace]\nmembers = [\"core\", \"x\"]\ndefault-members = [\"x\"]\n";
        let alone = alone(manifest);
        assert!(alone.starts_with("[workspace]\nmembers = [\"core\"]\n\n[profile.test]"));
    }
}
