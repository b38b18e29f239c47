//! The part of the dependency policy (`deny.toml`) that needs no tool but cargo:
//! `cargo xtask deps` checks the rest.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use toml::Table;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn policy() -> Table {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("deny.toml can be read");
    text.parse().expect("deny.toml is TOML")
}

/// Every package of the lock file, with what its manifest says.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1"])
        .current_dir(root())
        .output()
        .expect("cargo can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata --locked: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"]
        .as_array()
        .expect("it lists packages")
        .clone();
    assert!(
        packages.len() > 50,
        "only {} packages: not understood",
        packages.len()
    );
    packages
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn is_ours(package: &Value) -> bool {
    package["source"].is_null()
}

/// Whether an SPDX expression can be satisfied with the licences in `allowed`. Slashes are
/// read as `OR`, as older crates write them.
fn permitted(expression: &str, allowed: &[&str]) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let mut tokens = spaced.split_whitespace().peekable();
    let result = any_of(&mut tokens, allowed);
    result && tokens.next().is_none()
}

type Tokens<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(tokens: &mut Tokens<'_>, allowed: &[&str]) -> bool {
    let mut result = all_of(tokens, allowed);
    while tokens.next_if_eq(&"OR").is_some() {
        let next = all_of(tokens, allowed);
        result = result || next;
    }
    result
}

fn all_of(tokens: &mut Tokens<'_>, allowed: &[&str]) -> bool {
    let mut result = one(tokens, allowed);
    while tokens.next_if_eq(&"AND").is_some() {
        let next = one(tokens, allowed);
        result = result && next;
    }
    result
}

fn one(tokens: &mut Tokens<'_>, allowed: &[&str]) -> bool {
    match tokens.next() {
        Some("(") => any_of(tokens, allowed) && tokens.next() == Some(")"),
        Some(licence) if tokens.next_if_eq(&"WITH").is_some() => {
            let exception = tokens.next().unwrap_or_default();
            allowed.contains(&format!("{licence} WITH {exception}").as_str())
        }
        Some(licence) => allowed.contains(&licence),
        None => false,
    }
}

#[test]
fn every_licence_is_on_the_list() {
    let policy = policy();
    let allowed: Vec<&str> = policy["licenses"]["allow"]
        .as_array()
        .expect("deny.toml lists the licences")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let refused: Vec<String> = packages()
        .iter()
        .filter(|package| !permitted(text(package, "license"), &allowed))
        .map(|p| {
            format!(
                "{} {}: {}",
                text(p, "name"),
                text(p, "version"),
                p["license"]
            )
        })
        .collect();
    assert!(
        refused.is_empty(),
        "not in licenses.allow of deny.toml:\n  {}",
        refused.join("\n  ")
    );
}

#[test]
fn no_banned_crate_is_in_the_lock_file() {
    let policy = policy();
    let banned: Vec<&str> = policy["bans"]["deny"]
        .as_array()
        .expect("deny.toml lists the bans")
        .iter()
        .filter_map(|ban| ban.get("crate").and_then(toml::Value::as_str))
        .collect();
    for name in ["openssl", "native-tls", "protoc-bin-vendored"] {
        assert!(banned.contains(&name), "deny.toml no longer bans {name}");
    }
    for package in packages() {
        let name = text(&package, "name");
        assert!(
            !banned.contains(&name),
            "{name} is banned by deny.toml; cargo tree -i {name} says who wants it"
        );
    }
}

#[test]
fn everything_comes_from_one_registry() {
    let packages = packages();
    let mut registry = None;
    for package in packages.iter().filter(|package| !is_ours(package)) {
        let source = text(package, "source");
        assert!(
            source.starts_with("registry+"),
            "{}: from {source}",
            text(package, "name")
        );
        let first = *registry.get_or_insert(source);
        assert_eq!(
            source,
            first,
            "{}: a second registry",
            text(package, "name")
        );
    }
    assert!(registry.is_some(), "no package of others was seen");
}

#[test]
fn what_changes_under_our_feet_is_pinned_exactly() {
    for (name, version) in [("openraft", None), ("bincode", Some("=2.0.1"))] {
        let mut seen = 0;
        for package in packages().iter().filter(|package| is_ours(package)) {
            let dependencies = package["dependencies"].as_array().expect("a list");
            for dependency in dependencies.iter().filter(|d| text(d, "name") == name) {
                let wanted = text(dependency, "req");
                let who = text(package, "name");
                assert!(
                    wanted.starts_with('='),
                    "{who} wants {name} {wanted}: pin it exactly"
                );
                assert!(
                    version.is_none_or(|v| v == wanted),
                    "{who} wants {name} {wanted}"
                );
                seen += 1;
            }
        }
        assert!(
            seen > 0,
            "nobody depends on {name}: remove it from this test"
        );
    }
}

#[test]
fn our_own_packages_say_their_licence_and_are_not_published() {
    for package in packages().iter().filter(|package| is_ours(package)) {
        let name = text(package, "name");
        assert_eq!(text(package, "license"), "Apache-2.0", "{name}");
        assert_eq!(
            package["publish"],
            Value::Array(Vec::new()),
            "{name} could be published"
        );
    }
    let licence = std::fs::read_to_string(root().join("LICENSE")).expect("LICENSE can be read");
    assert!(licence.contains("Apache License") && licence.contains("END OF TERMS AND CONDITIONS"));
}

#[test]
fn licence_expressions_are_understood() {
    let allowed = ["MIT", "Zlib", "Apache-2.0 WITH LLVM-exception"];
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "GPL-3.0/MIT",
        "(MIT OR GPL-3.0) AND Zlib",
        "Apache-2.0 WITH LLVM-exception",
        "GPL-3.0 OR (MIT AND Zlib)",
    ] {
        assert!(permitted(good, &allowed), "{good}");
    }
    for bad in [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "GPL-3.0 AND MIT OR GPL-2.0",
        "Apache-2.0",
        "MIT WITH LLVM-exception",
        "(MIT",
        "MIT MIT",
    ] {
        assert!(!permitted(bad, &allowed), "{bad}");
    }
}
