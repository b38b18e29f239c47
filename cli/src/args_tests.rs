//! Whole command lines.

use super::*;
use clap::{Command as Clap, CommandFactory, error::ErrorKind};

/// Every command that has none below it, with the words that lead to it.
fn leaves(command: &Clap, path: &str, found: &mut Vec<(String, Clap)>) {
    let visible: Vec<&Clap> = command
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help")
        .collect();
    if visible.is_empty() {
        found.push((path.to_owned(), command.clone()));
    }
    for below in visible {
        leaves(below, &format!("{path} {}", below.get_name()), found);
    }
}

/// The words of a line, as a shell splits it: quotes hold together, a redirection is not an argument.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let line = line.split(" > ").next().unwrap_or_default();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_arguments_are_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_has_an_example_that_works() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "tenure", &mut found);
    assert!(found.len() > 40, "only {} commands", found.len());
    for (path, command) in found {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let (_, examples) = help
            .split_once("Example:\n")
            .unwrap_or_else(|| panic!("{path} has no example"));
        for example in examples.lines() {
            assert!(example.trim().starts_with(&path), "{path}: {example}");
            if let Err(why) = Cli::try_parse_from(words(example)) {
                panic!("{example}: {why}");
            }
        }
    }
}

#[test]
fn every_command_says_what_it_is_for() {
    let mut found = Vec::new();
    leaves(&Cli::command(), "tenure", &mut found);
    for (path, command) in found {
        assert!(
            command.get_about().is_some(),
            "{path} does not say what it does"
        );
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
            assert!(
                arg.get_help().is_some(),
                "{path}: {} does not say what it is",
                arg.get_id()
            );
        }
    }
}

fn all_refused(table: &[(&str, ErrorKind)]) {
    for (line, kind) in table {
        let refused = Cli::try_parse_from(words(line)).map(|_| ()).unwrap_err();
        assert_eq!(refused.kind(), *kind, "{line}: {refused}");
    }
}

#[test]
fn lines_that_make_no_sense_are_refused() {
    let table = [
        (
            "tenure",
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ),
        ("tenure stauts", ErrorKind::InvalidSubcommand),
        ("tenure status --server nowhere", ErrorKind::ValueValidation),
        ("tenure status --deadline 5", ErrorKind::ValueValidation),
        ("tenure primary", ErrorKind::MissingRequiredArgument),
        ("tenure primary Redis", ErrorKind::ValueValidation),
        (
            "tenure set-primary redis-server --to db-2",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "tenure set-primary redis-server --to db-2 --expected-epoch -1",
            ErrorKind::UnknownArgument,
        ),
        ("tenure node add db-4 --label x", ErrorKind::ValueValidation),
        (
            "tenure node update db-4 --zone a --no-zone",
            ErrorKind::ArgumentConflict,
        ),
        (
            "tenure service add s --kind primry",
            ErrorKind::InvalidValue,
        ),
        (
            "tenure instance add s db-4 10.0.0.1",
            ErrorKind::ValueValidation,
        ),
        (
            "tenure instance report s db-4 --health healthy --epoch 2",
            ErrorKind::MissingRequiredArgument,
        ),
        (
            "tenure instance report s db-4 --health healthy --position 7",
            ErrorKind::ValueValidation,
        ),
        (
            "tenure pin set db-2 down",
            ErrorKind::MissingRequiredArgument,
        ),
        ("tenure settings set", ErrorKind::MissingRequiredArgument),
        ("tenure history --limit 0", ErrorKind::ValueValidation),
        ("tenure raft remove 0", ErrorKind::ValueValidation),
        ("tenure dev --servers 0", ErrorKind::ValueValidation),
        ("tenure plan", ErrorKind::MissingRequiredArgument),
    ];
    all_refused(&table);
}

#[test]
fn what_operators_mistype_is_refused() {
    let table = [
        (
            "tenure pin set db-2 down --reason x --for 1h --until 2030-01-01T00:00Z",
            ErrorKind::ArgumentConflict,
        ),
        (
            "tenure pin set db-2 down --reason x --until tomorrow",
            ErrorKind::ValueValidation,
        ),
        ("tenure agent", ErrorKind::MissingRequiredArgument),
        ("tenure switchover", ErrorKind::MissingRequiredArgument),
        (
            "tenure failover redis-server --to Db",
            ErrorKind::ValueValidation,
        ),
        (
            "tenure switchover redis-server --accept-loss",
            ErrorKind::UnknownArgument,
        ),
        (
            "tenure pause --reason x",
            ErrorKind::MissingRequiredArgument,
        ),
        ("tenure pause --cluster", ErrorKind::MissingRequiredArgument),
        (
            "tenure pause redis-server --cluster --reason x",
            ErrorKind::ArgumentConflict,
        ),
        ("tenure resume", ErrorKind::MissingRequiredArgument),
        (
            "tenure resume --node db-1 --cluster",
            ErrorKind::ArgumentConflict,
        ),
        (
            "tenure what-if",
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ),
        (
            "tenure what-if node lost",
            ErrorKind::MissingRequiredArgument,
        ),
        ("tenure receipts --limit 0", ErrorKind::ValueValidation),
        ("tenure automation set", ErrorKind::MissingRequiredArgument),
        (
            "tenure automation set fast_lease",
            ErrorKind::ValueValidation,
        ),
        ("tenure drain", ErrorKind::MissingRequiredArgument),
    ];
    all_refused(&table);
}

#[test]
fn shared_arguments_stand_anywhere() {
    for line in [
        "tenure --json --server h:1,h:2 status",
        "tenure status --server h:1 --server h:2 --json",
    ] {
        let cli = Cli::try_parse_from(words(line)).unwrap();
        let servers: Vec<&str> = cli.global.server.iter().map(Endpoint::as_str).collect();
        assert_eq!(
            (servers.as_slice(), cli.global.json),
            (["h:1", "h:2"].as_slice(), true),
            "{line}"
        );
    }
}
