//! Reading the project's own files: finding them, and telling code, comments and tests apart.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A source file of the project.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Relative to the root of the repository, with `/` between its parts.
    pub path: String,
    /// The whole text.
    pub text: String,
}

impl SourceFile {
    /// True for Rust.
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// True for a file that holds nothing but tests.
    pub fn is_test(&self) -> bool {
        let folder = self.path.starts_with("tests/") || self.path.contains("/tests/");
        folder || self.path.ends_with("/tests.rs") || self.path.ends_with("_tests.rs")
    }
}

const TEXT_ENDINGS: &[&str] = &[
    "rs", "toml", "md", "proto", "sh", "html", "css", "js", "json", "txt", "yml", "yaml",
];

/// Every text file below `root`, in the order of their paths; build output and version
/// control are left out.
///
/// # Errors
/// When a folder or file cannot be read, or a file is not UTF-8.
pub fn files(root: &Path) -> io::Result<Vec<SourceFile>> {
    let mut paths = Vec::new();
    walk(root, &mut paths)?;
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            let relative = path.strip_prefix(root).unwrap_or(&path);
            let path = relative.to_string_lossy().replace('\\', "/");
            Ok(SourceFile { path, text })
        })
        .collect()
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let kind = entry.file_type()?;
        if kind.is_dir() && name != "target" && name != ".git" {
            walk(&entry.path(), found)?;
        } else if kind.is_file() && is_text(&name, folder) {
            found.push(entry.path());
        }
    }
    Ok(())
}

fn is_text(name: &str, folder: &Path) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    TEXT_ENDINGS.contains(&ending) || folder.file_name().is_some_and(|folder| folder == ".ci")
}

/// A Rust source taken apart. Both parts have the shape of the original: what does not
/// belong to a part is blank, and every line keeps its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parts {
    /// The code, with the contents of strings blank.
    pub code: String,
    /// The comments.
    pub comments: String,
}

/// Tells the code of a Rust source from its comments and strings.
pub fn parts(text: &str) -> Parts {
    let mut cutter = Cutter {
        rest: text,
        parts: Parts {
            code: String::with_capacity(text.len()),
            comments: String::new(),
        },
    };
    while !cutter.rest.is_empty() {
        cutter.step();
    }
    cutter.parts
}

struct Cutter<'a> {
    rest: &'a str,
    parts: Parts,
}

impl Cutter<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.comment(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.comment(block_comment_len(rest));
        } else if let Some(len) = raw_string_len(rest).filter(|_| !self.inside_a_word()) {
            self.string(len);
        } else if rest.starts_with('"') {
            self.string(quoted_len(rest, '"'));
        } else if let Some(len) = char_literal_len(rest) {
            self.string(len);
        } else {
            self.code(rest.chars().next().map_or(rest.len(), char::len_utf8));
        }
    }

    fn inside_a_word(&self) -> bool {
        self.parts
            .code
            .ends_with(|c: char| c.is_alphanumeric() || c == '_')
    }

    fn take(&mut self, len: usize) -> &str {
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        taken
    }

    fn comment(&mut self, len: usize) {
        let taken = self.take(len).to_owned();
        self.parts.code.push_str(&blank(&taken));
        self.parts.comments.push_str(&taken);
    }

    fn string(&mut self, len: usize) {
        let taken = blank(self.take(len));
        self.parts.comments.push_str(&taken);
        // A stand-in, so that what reads the code sees that a value was here.
        self.parts.code.push_str(&taken.replacen("  ", "\"\"", 1));
    }

    fn code(&mut self, len: usize) {
        let taken = self.take(len).to_owned();
        self.parts.comments.push_str(&blank(&taken));
        self.parts.code.push_str(&taken);
    }
}

fn blank(text: &str) -> String {
    text.chars()
        .map(|c| if c == '\n' { '\n' } else { ' ' })
        .collect()
}

fn block_comment_len(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth = depth.saturating_sub(1);
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

fn raw_string_len(text: &str) -> Option<usize> {
    let body = ["r", "br", "cr"].iter().find_map(|p| {
        text.strip_prefix(p)
            .filter(|rest| rest.starts_with(['"', '#']))
    })?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body.get(hashes..)?.strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let prefix = text.len() - inside.len();
    Some(
        inside
            .find(&close)
            .map_or(text.len(), |at| prefix + at + close.len()),
    )
}

fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            return at + c.len_utf8();
        }
    }
    text.len()
}

/// The length of a character literal; `None` for a lifetime or anything else.
fn char_literal_len(text: &str) -> Option<usize> {
    let mut chars = text.strip_prefix('\'')?.chars();
    match (chars.next()?, chars.next()) {
        ('\\', _) => Some(quoted_len(text, '\'')),
        (c, Some('\'')) => Some(c.len_utf8() + 2),
        _ => None,
    }
}

/// Blanks every item behind `#[cfg(test)]` in code that [`parts`] returned.
pub fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::with_capacity(code.len());
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, item) = rest.split_at(at);
        kept.push_str(before);
        let (test, after) = item.split_at(item_len(item));
        kept.push_str(&blank(test));
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// How far the item at the start of `code` reaches: to its closing brace, or to a semicolon
/// outside braces.
fn item_len(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod unit {
    use super::*;

    #[test]
    fn strings_and_comments_are_told_from_code() {
        let parts = parts("let a = \"x // y\"; // note \"q\"\nlet b = 'z'; /* one /* two */ */ c");
        assert!(!parts.code.contains("x // y"));
        assert!(parts.code.contains("let b ="));
        assert!(parts.code.ends_with(" c"));
        assert!(parts.comments.contains("// note \"q\""));
        assert!(parts.comments.contains("/* two */"));
        assert!(!parts.comments.contains("let"));
    }

    #[test]
    fn raw_strings_escapes_and_lifetimes_do_not_confuse() {
        let text = r###"fn f<'a>(x: &'a str) { g(r#"a " // b"#, "\"", '\'', '"'); h() } // end"###;
        let parts = parts(text);
        assert!(parts.code.contains("fn f<'a>(x: &'a str)"));
        assert!(parts.code.contains("h() }"));
        assert!(!parts.code.contains("// b"));
        assert_eq!(parts.comments.trim(), "// end");
    }

    #[test]
    fn lines_keep_their_places() {
        let text = "a\n/* b\nc */\n\"d\ne\"\nf // g\nh";
        let parts = parts(text);
        assert_eq!(parts.code.lines().count(), text.lines().count());
        assert_eq!(parts.code.lines().nth(5).map(str::trim), Some("f"));
        assert_eq!(parts.comments.lines().nth(5).map(str::trim), Some("// g"));
    }

    #[test]
    fn an_item_that_is_a_test_is_blanked_to_its_end() {
        let code = "fn a() {}\n#[cfg(test)]\nmod t {\n fn b() { x }\n}\nfn c() {}\n#[cfg(test)]\nmod u;\nfn d() {}";
        let kept = without_tests(code);
        assert!(kept.contains("fn a()") && kept.contains("fn c()") && kept.contains("fn d()"));
        assert!(!kept.contains("fn b()") && !kept.contains("mod u"));
        assert_eq!(kept.lines().count(), code.lines().count());
    }

    #[test]
    fn a_file_of_tests_is_known_by_its_path() {
        let file = |path: &str| SourceFile {
            path: path.to_owned(),
            text: String::new(),
        };
        assert!(file("tests/chaos.rs").is_test());
        assert!(file("storage/tests/suite.rs").is_test());
        assert!(file("core/src/state/tests.rs").is_test());
        assert!(!file("core/src/state.rs").is_test());
    }
}
