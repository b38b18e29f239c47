//! What no lint of the compiler sees: markers that were left over, files that are too long,
//! and `unwrap()` outside tests.

use std::fs;
use std::path::Path;

use crate::ratchet::{self, Counts, Measure};
use crate::source::{self, SourceFile};
use crate::stage::Failure;

/// The longest a Rust file may be, in lines.
pub const LONGEST_FILE: usize = 400;

const BUDGETS: &str = "xtask/ratchet.txt";

// In pieces, so that this file does not find itself.
const MARKERS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
];
const LEFT_OVER_CODE: &[&str] = &[
    concat!("dbg", "!"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("#[", "ignore"),
];

/// Checks every text file below `root`.
///
/// # Errors
/// Everything found, one per line, with path and line.
pub fn check(root: &Path) -> Result<(), Failure> {
    let failure = |what: String| Failure {
        what,
        repeat: "cargo xtask hygiene".to_owned(),
    };
    let files = source::files(root)
        .map_err(|error| failure(format!("hygiene: a file cannot be read: {error}")))?;
    let budgets = fs::read_to_string(root.join(BUDGETS))
        .map_err(|error| error.to_string())
        .and_then(|text| ratchet::parse(&text))
        .map_err(|error| failure(format!("hygiene: {BUDGETS}: {error}")))?;

    let mut complaints: Vec<String> = files.iter().flat_map(left_overs).collect();
    complaints.extend(ratchet::compare(&count(&files), &budgets));
    if complaints.is_empty() {
        println!("==> hygiene: {} files", files.len());
        return Ok(());
    }
    Err(failure(format!("hygiene:\n  {}", complaints.join("\n  "))))
}

/// Markers and code that were meant to go, with their places.
pub fn left_overs(file: &SourceFile) -> Vec<String> {
    if !file.is_rust() {
        return find(file, &file.text, MARKERS);
    }
    let parts = source::parts(&file.text);
    let mut found = find(file, &parts.comments, MARKERS);
    found.extend(find(file, &parts.code, LEFT_OVER_CODE));
    found
}

fn find(file: &SourceFile, text: &str, needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for needle in needles.iter().filter(|needle| has_word(line, needle)) {
            found.push(format!("{}:{}: left over: {needle}", file.path, index + 1));
        }
    }
    found
}

/// True when `needle` is in `line` with no letter or digit next to its own.
fn has_word(line: &str, needle: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(needle).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line
            .get(at + needle.len()..)
            .and_then(|text| text.chars().next());
        let joined_before = needle.starts_with(is_word) && before.is_some_and(is_word);
        let joined_after = needle.ends_with(is_word) && after.is_some_and(is_word);
        !joined_before && !joined_after
    })
}

/// What the ratchet budgets: lines of files that are too long, and unwraps outside tests.
pub fn count(files: &[SourceFile]) -> Counts {
    let mut counts = Counts::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        if lines > LONGEST_FILE {
            counts.insert((Measure::Lines, file.path.clone()), lines);
        }
        let unwraps = unwraps(file);
        if unwraps > 0 {
            counts.insert((Measure::Unwrap, file.path.clone()), unwraps);
        }
    }
    counts
}

fn unwraps(file: &SourceFile) -> usize {
    if file.is_test() {
        return 0;
    }
    let code = source::without_tests(&source::parts(&file.text).code);
    code.matches(".unwrap()").count()
}

#[cfg(test)]
mod unit {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn markers_are_found_in_comments_and_in_text() {
        for marker in MARKERS {
            let comment = file("a.rs", &format!("fn a() {{}}\n// {marker}: later\n"));
            assert_eq!(
                left_overs(&comment),
                [format!("a.rs:2: left over: {marker}")]
            );
            let text = file("a.md", &format!("({marker})"));
            assert_eq!(left_overs(&text).len(), 1, "{marker}");
            let word = file("a.rs", &format!("// m{marker}{marker}n\n"));
            assert!(left_overs(&word).is_empty(), "{marker}");
        }
    }

    #[test]
    fn left_over_code_is_found_and_its_name_in_a_string_is_not() {
        for needle in LEFT_OVER_CODE {
            let code = file("a.rs", &format!("{needle}(x)"));
            assert_eq!(left_overs(&code).len(), 1, "{needle}");
            let string = file("a.rs", &format!("\"{needle}\""));
            assert!(left_overs(&string).is_empty(), "{needle}");
        }
    }

    #[test]
    fn only_unwraps_outside_tests_are_counted() {
        let unwrap = concat!("x.unw", "rap()");
        let text = format!("{unwrap}; // {unwrap}\n#[cfg(test)]\nmod t {{ {unwrap}; }}\n");
        let counts = count(&[file("a/src/b.rs", &text), file("a/tests/b.rs", &text)]);
        let expected = (Measure::Unwrap, "a/src/b.rs".to_owned());
        assert_eq!(counts.into_iter().collect::<Vec<_>>(), [(expected, 1)]);
    }

    #[test]
    fn a_file_is_too_long_from_the_first_line_over_the_limit() {
        let fits = file("a.rs", &"x\n".repeat(LONGEST_FILE));
        let long = file("b.rs", &"x\n".repeat(LONGEST_FILE + 1));
        let counts = count(&[fits, long]);
        let expected = (Measure::Lines, "b.rs".to_owned());
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [(expected, LONGEST_FILE + 1)]
        );
    }

    #[test]
    fn a_folder_is_checked_as_a_whole() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("created");
            fs::write(path, text).expect("written");
        };
        write(BUDGETS, "");
        write("a/src/lib.rs", "fn a() {}\n");
        assert!(check(folder.path()).is_ok());
        write("target/x.rs", &format!("{}(1)", LEFT_OVER_CODE.concat()));
        assert!(check(folder.path()).is_ok());
        write(
            "a/src/b.rs",
            &format!("// {}\n", MARKERS.concat().get(..4).unwrap_or("")),
        );
        let failure = check(folder.path()).expect_err("a marker is there");
        assert!(failure.what.contains("a/src/b.rs:1"), "{}", failure.what);
    }
}
