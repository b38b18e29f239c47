//! What the client library shows: no type of openraft, of the generated protocol or of its
//! transport, so that each can change without the programs of our users.
//!
//! This reads text, not types. It sees every item and field that says `pub` (whether its
//! module is public or not: inside, say `pub(crate)`), with the names that the file imports
//! from the crates in question. It does not see implementations of traits, nor an alias that
//! another file made.

use std::collections::BTreeSet;
use std::path::Path;

use xtask::source;

const HIDDEN_CRATES: &[&str] = &["tenure_proto", "tonic", "tonic_prost", "prost", "openraft"];

const ITEMS: &[&str] = &[
    "fn", "async", "const", "unsafe", "struct", "enum", "trait", "type", "use", "mod", "static",
    "extern", "union",
];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !is_word(c))
        .filter(|word| !word.is_empty())
}

/// The names that `code` imports from one of the hidden crates; `*` for a glob.
fn imported(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for statement in code.split(';') {
        let Some((_, tree)) = statement.rsplit_once("use ") else {
            continue;
        };
        let first = words(tree).next().unwrap_or_default();
        if HIDDEN_CRATES.contains(&first) {
            names.extend(leaves(tree));
        }
    }
    names
}

/// The names that a use tree brings: the last word of each branch, or what it is renamed to.
fn leaves(tree: &str) -> Vec<String> {
    let spaced = ["{", "}", ",", "::"]
        .iter()
        .fold(tree.to_owned(), |text, mark| {
            text.replace(mark, &format!(" {mark} "))
        });
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut names = Vec::new();
    let mut parents = Vec::new();
    let mut last = "";
    for (at, token) in tokens.iter().enumerate() {
        match *token {
            "{" => parents.push(last),
            "}" => last = parents.pop().unwrap_or_default(),
            "::" | "," | "as" => {}
            word => {
                let next = tokens.get(at + 1).copied().unwrap_or_default();
                if word == "self" {
                    last = parents.last().copied().unwrap_or_default();
                } else {
                    last = word;
                }
                if next != "::" && next != "as" {
                    names.push(last.to_owned());
                }
            }
        }
    }
    names
}

/// Every public signature of `code`, as far as it can be seen from outside: of functions
/// without their bodies, of structs their public fields, of enums and traits everything.
fn signatures(code: &str) -> Vec<&str> {
    code.match_indices("pub")
        .filter(|(at, _)| !code[..*at].ends_with(is_word))
        .map(|(at, _)| &code[at + 3..])
        .filter(|rest| rest.starts_with(char::is_whitespace))
        .map(|rest| &rest[..signature_len(rest)])
        .collect()
}

fn signature_len(rest: &str) -> usize {
    let keyword = words(rest).next().unwrap_or_default();
    let is_field = !ITEMS.contains(&keyword);
    let has_public_body = ["enum", "trait", "use"].contains(&keyword);
    let mut depth = 0_i32;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        let arrow = c == '>' && (before == '-' || before == '=');
        before = c;
        match c {
            '(' if keyword == "struct" && depth == 0 => return at,
            '{' if !has_public_body && depth == 0 => return at,
            '(' | '[' | '<' | '{' => depth += 1,
            ')' | ']' | '}' | '>' if !arrow => depth -= 1,
            ';' if depth == 0 => return at,
            ',' if depth == 0 && is_field => return at,
            _ => {}
        }
        if depth < 0 || (depth == 0 && c == '}' && keyword != "use") {
            return at;
        }
    }
    rest.len()
}

fn complaints(path: &str, text: &str) -> Vec<String> {
    let code = source::without_tests(&source::parts(text).code);
    let names = imported(&code);
    let mut found = Vec::new();
    if names.contains("*") {
        found.push(format!(
            "{path}: a glob import hides what is shown; name what is used"
        ));
    }
    for signature in signatures(&code) {
        let hidden = |word: &&str| HIDDEN_CRATES.contains(word) || names.contains(*word);
        if let Some(word) = words(signature).find(hidden) {
            let line: Vec<&str> = signature.split_whitespace().collect();
            found.push(format!(
                "{path}: `{word}` is shown by `pub {}`",
                line.join(" ")
            ));
        }
    }
    found
}

#[test]
fn the_client_shows_neither_protocol_nor_transport_nor_consensus() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/src");
    let files = source::files(&root).expect("the sources of the client can be read");
    assert!(
        files.iter().any(|file| file.path == "lib.rs"),
        "the client has no root"
    );
    let found: Vec<String> = files
        .iter()
        .filter(|file| file.is_rust() && !file.is_test())
        .flat_map(|file| complaints(&format!("client/src/{}", file.path), &file.text))
        .collect();
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn a_signature_that_shows_too_much_is_found() {
    for shown in [
        "pub fn a(x: tonic::Status) {}",
        "pub async fn a() -> Result<(), tenure_proto::v1::Node> { b() }",
        "use tenure_proto::v1::Node; pub fn a() -> Node { b() }",
        "use tenure_proto::v1::{self as wire, Node}; pub struct A { pub x: wire::B }",
        "use tonic::{Code as C, transport::{self, Channel}}; pub struct A(u8, pub Channel);",
        "use tonic::{Code as C, transport::{self, Channel}}; pub type X = transport::Error;",
        "use tonic::Code as C; pub enum E { A(u8), B { code: C } }",
        "pub use tonic::Code;",
        "pub trait T { fn a(&self) -> openraft::Vote; }",
        "use tenure_proto::v1::*;",
    ] {
        assert_eq!(
            complaints("x", shown).len(),
            1,
            "{shown}: {:?}",
            complaints("x", shown)
        );
    }
}

#[test]
fn what_stays_inside_is_left_alone() {
    for hidden in [
        "pub fn a(x: u8) -> Vec<u8> { tonic::b() }",
        "pub(crate) fn a(x: tonic::Status) {}",
        "fn a(x: tonic::Status) {}",
        "use tonic::transport::Channel; pub struct A { channel: Channel, pub x: u8 }",
        "use tonic::transport::Channel; pub struct A(Channel);",
        "pub fn a<F: Fn(u8) -> u8>(f: F) where F: Send, { let x: tonic::Code; }",
        "/// See tonic::Code.\npub fn a() {}",
        "use tenure_core::Node; pub fn a() -> Node { b() }",
        "#[cfg(test)] mod t { pub fn a(x: tonic::Status) {} }",
        "pub const A: [u8; 2] = [1, 2]; type X = tonic::Code;",
        "pub enum E { A { x: u8 } } impl E { fn b() -> tonic::Code { c() } }",
    ] {
        assert!(
            complaints("x", hidden).is_empty(),
            "{hidden}: {:?}",
            complaints("x", hidden)
        );
    }
}
