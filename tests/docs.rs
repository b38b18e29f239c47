//! What the documents say about the repository is true of it: the files and folders that
//! they name are there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use xtask::source;

const DOCUMENTS: &[&str] = &["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Endings that make a word with a slash a path, wherever it starts.
const FILES: &[&str] = &[".rs", ".md", ".proto", ".toml", ".txt", ".html", ".sh"];
/// Endings that make a word a file of ours even without a folder. Not `.toml`: such names
/// are mostly those of our users' files.
const FILES_BY_NAME: &[&str] = &[".rs", ".md", ".proto"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .to_path_buf()
}

/// What of the repository can be named.
struct Repository {
    root: PathBuf,
    top: BTreeSet<String>,
    names: BTreeSet<String>,
}

impl Repository {
    fn read(root: PathBuf) -> Self {
        let top = std::fs::read_dir(&root)
            .expect("the root can be read")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        let names = source::files(&root)
            .expect("the sources can be read")
            .iter()
            .filter_map(|file| file.path.rsplit('/').next().map(str::to_owned))
            .collect();
        Self { root, top, names }
    }

    /// True when `word` looks like a path of this repository.
    fn is_claimed(&self, word: &str) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./*".contains(c);
        let built = word.starts_with("target/");
        if built || word.starts_with(['/', '-']) || !word.chars().all(plain) {
            return false;
        }
        let ends = |endings: &[&str]| endings.iter().any(|ending| word.ends_with(ending));
        match word.split_once('/') {
            Some((first, _)) => self.top.contains(first) || ends(FILES),
            None => self.top.contains(word) || ends(FILES_BY_NAME),
        }
    }

    fn has(&self, word: &str) -> bool {
        let path = word.trim_end_matches('*').trim_end_matches('/');
        self.root.join(path).exists() || self.names.contains(path)
    }
}

/// The words in backticks outside of fenced blocks, and the targets of links.
fn named(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    found
}

/// The targets of links inside the repository, without what follows `#`.
fn linked(text: &str) -> Vec<String> {
    text.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target.split('#').next().unwrap_or_default().to_owned())
        .filter(|target| !target.is_empty() && !target.contains("://"))
        .collect()
}

fn missing(repository: &Repository, document: &str, text: &str) -> Vec<String> {
    let claimed = named(text)
        .into_iter()
        .filter(|word| repository.is_claimed(word));
    claimed
        .chain(linked(text))
        .filter(|word| !repository.has(word))
        .map(|word| format!("{document} names `{word}`, which is not there"))
        .collect()
}

#[test]
fn what_the_documents_name_is_there() {
    let repository = Repository::read(root());
    let mut complaints = Vec::new();
    for document in DOCUMENTS {
        match std::fs::read_to_string(repository.root.join(document)) {
            Ok(text) => complaints.extend(missing(&repository, document, &text)),
            Err(error) => complaints.push(format!("{document}: {error}")),
        }
    }
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

#[test]
fn a_name_that_points_nowhere_is_found() {
    let repository = Repository::read(root());
    for lie in [
        "`core/src/no_such_file.rs`",
        "`nowhere/at/all.md`",
        "`no_such_file.rs`",
        "[x](docs/none.md#a)",
        "`tests/no_such_folder/`",
    ] {
        assert_eq!(missing(&repository, "x", lie).len(), 1, "{lie}");
    }
    for fine in [
        "`core/src/lib.rs`",
        "`core/`",
        "`core/src/*`",
        "`layering.rs`",
        "`/metrics`",
        "`tenure primary redis-server`",
        "`text/plain`",
        "`target/release/tenure`",
        "`topology.toml`",
        "[x](CONTRIBUTING.md#a)",
        "```sh\ncat `no/such.rs`\n```",
    ] {
        assert_eq!(
            missing(&repository, "x", fine),
            Vec::<String>::new(),
            "{fine}"
        );
    }
}
