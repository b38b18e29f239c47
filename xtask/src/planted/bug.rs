//! A planted bug: what it breaks, and which text of the core takes the place of which.

use std::fs;
use std::path::Path;

/// One safety bug, kept as text in `core/tests/planted`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bug {
    /// The name of its file.
    pub name: String,
    /// The promise that it breaks, and how.
    pub breaks: String,
    /// What is replaced.
    pub hunks: Vec<Hunk>,
}

/// A piece of a source and what it becomes. The old one is an expression, or statements that end with `;`
/// or `}`; it stands once in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk {
    /// Below the folder of the core.
    pub file: String,
    /// What is there.
    pub old: String,
    /// What is to be there.
    pub new: String,
}

impl Bug {
    /// Reads a bug: a line `breaks:`, then for each hunk a line `file:`, lines with `-` for what is there,
    /// and lines with `+` for what takes its place.
    ///
    /// # Errors
    /// A sentence that names the line that is not understood.
    pub fn parse(name: &str, text: &str) -> Result<Self, String> {
        let mut bug = Self {
            name: name.to_owned(),
            breaks: String::new(),
            hunks: Vec::new(),
        };
        for (number, line) in (1..).zip(text.lines()) {
            let last = bug.hunks.last_mut();
            if let Some(breaks) = line.strip_prefix("breaks: ") {
                breaks.clone_into(&mut bug.breaks);
            } else if let Some(file) = line.strip_prefix("file: ") {
                bug.hunks.push(Hunk {
                    file: file.to_owned(),
                    old: String::new(),
                    new: String::new(),
                });
            } else if let (Some(hunk), Some(old)) = (last, line.strip_prefix('-')) {
                join(&mut hunk.old, old);
            } else if let (Some(hunk), Some(new)) = (bug.hunks.last_mut(), line.strip_prefix('+')) {
                join(&mut hunk.new, new);
            } else {
                return Err(format!(
                    "{name}, line {number}: neither breaks:, file:, - nor +: {line}"
                ));
            }
        }
        let whole = !bug.breaks.is_empty() && bug.hunks.iter().all(|hunk| !hunk.old.is_empty());
        if whole && !bug.hunks.is_empty() {
            Ok(bug)
        } else {
            Err(format!(
                "{name}: it must say what it breaks, and what is replaced where"
            ))
        }
    }
}

fn join(text: &mut String, line: &str) {
    if !text.is_empty() {
        text.push('\n');
    }
    text.push_str(line);
}

/// Reads every bug of a folder, by name.
///
/// # Errors
/// A sentence that names the file that cannot be read or is not understood.
pub fn read_all(folder: &Path) -> Result<Vec<Bug>, String> {
    let unreadable = |error: std::io::Error| format!("{}: {error}", folder.display());
    let mut bugs = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let text = fs::read_to_string(&path)
            .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        bugs.push(Bug::parse(&name, &text)?);
    }
    bugs.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(bugs)
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn a_bug_is_read_with_all_its_pieces() {
        let text = "breaks: promise 1: so\nfile: a.rs\n-x\n-  y\n+z\nfile: b.rs\n-w;\n";
        let bug = Bug::parse("n", text).unwrap();
        let hunk = |file: &str, old: &str, new: &str| Hunk {
            file: file.to_owned(),
            old: old.to_owned(),
            new: new.to_owned(),
        };
        assert_eq!(bug.breaks, "promise 1: so");
        assert_eq!(
            bug.hunks,
            [hunk("a.rs", "x\n  y", "z"), hunk("b.rs", "w;", "")]
        );
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for text in ["", "breaks: x\n", "breaks: x\nfile: a\n+y\n", "what\n"] {
            let why = Bug::parse("n", text).unwrap_err();
            assert!(why.starts_with('n'), "{why}");
        }
    }
}
