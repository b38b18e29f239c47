//! Who may depend on whom. A crate edge is the only boundary that a compiler keeps, so the
//! manifests are checked against the table of the design; what no edge can keep (the purity
//! of the core, what the client shows) is checked in the sources, as far as text can tell.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use xtask::source::{self, SourceFile};

/// Folder, and the folders it may depend on in any way (to build, to run, to be tested).
/// What needs more than its row allows is a test that belongs in `tests`.
const MAY_DEPEND_ON: &[(&str, &[&str])] = &[
    ("core", &[]),
    ("proto", &["core", GARBLE]),
    ("storage", &["core", GARBLE]),
    ("server", &["core", "proto", "storage", GARBLE]),
    ("client", &["core", "proto"]),
    ("agent", &["core", "client", GARBLE]),
    ("cli", &["core", "server", "agent", "client", GARBLE]),
    ("tests", EVERYTHING),
    ("tests/recorder", &[]),
    ("tests/system", EVERYTHING),
    (GARBLE, &[]),
    ("benches", EVERYTHING),
    ("xtask", &[]),
    // What users copy: the client library has to be enough.
    ("examples/blobstore", &["client"]),
];

/// Garbled bytes for the tests of decoders.
const GARBLE: &str = "tests/garble";

const EVERYTHING: &[&str] = &[
    "core",
    "proto",
    "storage",
    "server",
    "client",
    "agent",
    "cli",
    "tests",
    "tests/recorder",
    "tests/system",
    GARBLE,
    "benches",
    "xtask",
    "examples/blobstore",
];

/// A crate of others, and the only folders whose manifests may name it.
const OWNED: &[(&str, &[&str])] = &[
    ("openraft", &["storage", "server", "tests"]),
    ("sled", &["storage"]),
    ("bincode", &["storage"]),
    ("tonic", &["proto", "server", "client", "tests", "benches"]),
];

/// All that the core may name; its tests may also name [`CORE_IN_TESTS`].
const CORE: &[&str] = &["serde"];
const CORE_IN_TESTS: &[&str] = &["proptest", "serde_json"];

/// What `core/src/lib.rs` must deny; `core/clippy.toml` says what is disallowed.
const CORE_DENIES: &[&str] = &[
    "clippy::disallowed_methods",
    "clippy::disallowed_types",
    "clippy::disallowed_macros",
    "clippy::float_arithmetic",
    "clippy::arithmetic_side_effects",
    "clippy::wildcard_enum_match_arm",
    "clippy::match_wildcard_for_single_variants",
    "clippy::too_many_lines",
];

struct Dependency {
    package: String,
    table: String,
}

struct Manifest {
    folder: String,
    package: String,
    dependencies: Vec<Dependency>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
        .to_path_buf()
}

fn read_toml(path: &Path) -> Table {
    let text =
        std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.parse()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn manifests() -> Vec<Manifest> {
    let workspace = read_toml(&root().join("Cargo.toml"));
    let members = workspace["workspace"]["members"]
        .as_array()
        .expect("the workspace lists its members");
    members
        .iter()
        .map(|member| manifest(member.as_str().expect("a member is a folder")))
        .collect()
}

fn manifest(folder: &str) -> Manifest {
    let table = read_toml(&root().join(folder).join("Cargo.toml"));
    let package = table["package"]["name"]
        .as_str()
        .expect("a package has a name");
    let mut dependencies = Vec::new();
    collect(&table, &mut dependencies);
    if let Some(targets) = table.get("target").and_then(Value::as_table) {
        for target in targets.values().filter_map(Value::as_table) {
            collect(target, &mut dependencies);
        }
    }
    Manifest {
        folder: folder.to_owned(),
        package: package.to_owned(),
        dependencies,
    }
}

fn collect(table: &Table, found: &mut Vec<Dependency>) {
    for kind in ["dependencies", "dev-dependencies", "build-dependencies"] {
        let Some(entries) = table.get(kind).and_then(Value::as_table) else {
            continue;
        };
        for (name, value) in entries {
            let renamed = value.get("package").and_then(Value::as_str);
            found.push(Dependency {
                package: renamed.unwrap_or(name).to_owned(),
                table: kind.to_owned(),
            });
        }
    }
}

fn nothing(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

fn sources(folder: &str) -> Vec<SourceFile> {
    let mut files = source::files(&root().join(folder)).expect("the sources can be read");
    files.retain(SourceFile::is_rust);
    assert!(!files.is_empty(), "{folder} has no Rust sources");
    for file in &mut files {
        file.path = format!("{folder}/{}", file.path);
    }
    files
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

#[test]
fn every_crate_depends_on_what_its_row_allows_and_on_nothing_else_of_ours() {
    let manifests = manifests();
    let mut complaints = Vec::new();
    for manifest in &manifests {
        let Some((_, allowed)) = MAY_DEPEND_ON.iter().find(|(f, _)| *f == manifest.folder) else {
            complaints.push(format!("{} has no row in MAY_DEPEND_ON", manifest.folder));
            continue;
        };
        for dependency in &manifest.dependencies {
            let ours = manifests.iter().find(|m| m.package == dependency.package);
            if let Some(ours) = ours.filter(|ours| !allowed.contains(&ours.folder.as_str())) {
                let (from, to) = (&manifest.folder, &ours.folder);
                complaints.push(format!(
                    "{from} may not depend on {to} ({})",
                    dependency.table
                ));
            }
        }
    }
    nothing(&complaints);
}

#[test]
fn the_folders_of_the_design_are_all_there() {
    let folders: BTreeSet<String> = manifests().into_iter().map(|m| m.folder).collect();
    for folder in [
        "core", "proto", "storage", "server", "client", "agent", "cli", "tests", "benches",
    ] {
        assert!(
            folders.contains(folder),
            "{folder} is not a member of the workspace"
        );
    }
}

#[test]
fn the_core_names_serde_alone() {
    let core = manifest("core");
    let mut complaints = Vec::new();
    for Dependency { package, table } in &core.dependencies {
        let known = CORE.contains(&package.as_str());
        let known_in_tests =
            table == "dev-dependencies" && CORE_IN_TESTS.contains(&package.as_str());
        if !known && !known_in_tests {
            complaints.push(format!("core may not name {package} in {table}"));
        }
    }
    nothing(&complaints);
    assert!(
        !core.dependencies.is_empty(),
        "the manifest of the core was not understood"
    );
}

#[test]
fn crates_of_others_stay_with_their_owners() {
    let mut complaints = Vec::new();
    for manifest in manifests() {
        for Dependency { package, table } in &manifest.dependencies {
            let owners = OWNED
                .iter()
                .find(|(name, _)| name == package)
                .map(|(_, owners)| *owners);
            if owners.is_some_and(|owners| !owners.contains(&manifest.folder.as_str())) {
                complaints.push(format!(
                    "{} may not name {package} in {table}",
                    manifest.folder
                ));
            }
        }
    }
    nothing(&complaints);
}

/// Where the server may speak of openraft: the network, the face of consensus, which shows none of it, and
/// what sets both up.
const OPENRAFT_HOMES: &[&str] = &[
    "server/src/raft/",
    "server/src/consensus/",
    "server/src/consensus.rs",
    "server/src/formation.rs",
    "server/src/process/assemble.rs",
];

#[test]
fn openraft_is_spoken_in_the_servers_raft_and_consensus_alone() {
    let mut complaints = Vec::new();
    for file in sources("server/src") {
        let home = OPENRAFT_HOMES
            .iter()
            .any(|home| file.path.starts_with(home));
        let code = source::parts(&file.text).code;
        if !home && words(&code).any(|word| word == "openraft") {
            complaints.push(format!(
                "{}: openraft belongs in {OPENRAFT_HOMES:?}",
                file.path
            ));
        }
    }
    nothing(&complaints);
}

/// Folders in which a command is matched without being given a meaning: it is translated, or is a
/// command of the command line.
const COMMANDS_IN_PASSING: &[&str] = &[
    "storage/src/format/",
    "proto/src/convert/",
    "cli/src/commands/",
];

#[test]
fn commands_are_interpreted_in_the_core_alone() {
    let mut complaints = Vec::new();
    for (folder, _) in MAY_DEPEND_ON.iter().filter(|(folder, _)| *folder != "core") {
        let passes = |path: &str| {
            COMMANDS_IN_PASSING
                .iter()
                .any(|folder| path.starts_with(folder))
        };
        for file in sources(folder)
            .into_iter()
            .filter(|file| !passes(&file.path))
        {
            let code = source::parts(&file.text).code;
            let bare = code.replace(['&', '*'], "");
            let all: Vec<&str> = words(&bare).collect();
            if all.windows(2).any(|pair| pair == ["match", "command"]) {
                complaints.push(format!(
                    "{}: what a command means is the core's to say",
                    file.path
                ));
            }
        }
    }
    nothing(&complaints);
}

#[test]
fn the_core_denies_what_would_make_it_impure() {
    let lib = std::fs::read_to_string(root().join("core/src/lib.rs")).expect("the core has a root");
    let code: String = source::parts(&lib).code.split_whitespace().collect();
    let denied: BTreeSet<&str> = code
        .split("#![deny(")
        .skip(1)
        .filter_map(|rest| rest.split_once(")]"))
        .flat_map(|(lints, _)| lints.split(','))
        .collect();
    for lint in CORE_DENIES {
        assert!(
            denied.contains(lint),
            "core/src/lib.rs does not deny {lint}"
        );
    }
    let clippy = read_toml(&root().join("core/clippy.toml"));
    for list in [
        "disallowed-methods",
        "disallowed-types",
        "disallowed-macros",
    ] {
        let filled = clippy
            .get(list)
            .and_then(Value::as_array)
            .is_some_and(|l| !l.is_empty());
        assert!(filled, "core/clippy.toml has no {list}");
    }
}

#[test]
fn the_core_neither_waits_nor_excuses_itself() {
    let mut complaints = Vec::new();
    for file in sources("core/src") {
        let code = source::parts(&file.text).code;
        let all: BTreeSet<&str> = words(&code).collect();
        for word in ["async", "await", "unsafe"] {
            if all.contains(word) {
                complaints.push(format!("{}: no `{word}` in the core", file.path));
            }
        }
        let dense: String = code.split_whitespace().collect();
        for excuse in ["allow(", "expect("] {
            for lint in ["clippy::disallowed_", "clippy::float_arithmetic"] {
                if dense.contains(&format!("{excuse}{lint}")) {
                    complaints.push(format!("{}: {lint}… cannot be excused here", file.path));
                }
            }
        }
    }
    nothing(&complaints);
}
