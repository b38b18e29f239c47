//! How the binary ends when it cannot do what was asked, without a cluster.

use crate::launch::{run, tenure};
use std::{path::Path, process::Output};

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn nobody_answers() {
    let output = run(&["--server", "127.0.0.1:1", "--deadline", "1s", "status"]);
    assert_eq!(output.status.code(), Some(3), "{}", told(&output));
    assert!(told(&output).starts_with("error: no server could be reached, tried 127.0.0.1:1"));
    assert!(output.stdout.is_empty());
}

#[test]
fn errors_are_json_for_programs() {
    let output = run(&[
        "--server",
        "127.0.0.1:1",
        "--json",
        "primary",
        "redis-server",
    ]);
    let error: serde_json::Value = serde_json::from_str(&told(&output)).unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(
        (&error["error"], &error["exit"]),
        (&"unreachable".into(), &3.into()),
        "{error}"
    );
}

#[test]
fn a_line_that_makes_no_sense_is_no_alarm() {
    assert_eq!(run(&["stauts"]).status.code(), Some(3));
    assert_eq!(run(&["--help"]).status.code(), Some(0));
    assert_eq!(run(&["--version"]).status.code(), Some(0));
}

#[test]
fn every_shell_gets_its_completion() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&["completion", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("set-primary"),
            "{shell}"
        );
    }
}

#[test]
fn a_topology_file_that_is_wrong_is_told_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.toml");
    std::fs::write(&file, "[services.s]\nkind = \"primry\"\n").unwrap();
    let path = file.to_str().unwrap();
    let output = run(&["--server", "127.0.0.1:1", "diff", "-f", path]);
    assert_eq!(output.status.code(), Some(3));
    let sentence = format!(
        "error: {path}: services.s.kind = \"primry\": must be \"primary\", \"peers\" or \"copies\"\n"
    );
    assert_eq!(told(&output), sentence);
}

fn server(config: &Path) -> Output {
    let mut command = tenure();
    command
        .args(["server", "--log", "off", "--config"])
        .arg(config);
    command
        .output()
        .expect("the binary that was built can be started")
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("server.toml");
    let missing = server(&config);
    assert_eq!(missing.status.code(), Some(3));
    assert!(told(&missing).contains("server.toml"), "{}", told(&missing));

    std::fs::write(&config, "cluster = 7\n").unwrap();
    let wrong = server(&config);
    assert_eq!(wrong.status.code(), Some(3), "{}", told(&wrong));

    let foreign = folder.path().join("data");
    std::fs::create_dir(&foreign).unwrap();
    std::fs::write(foreign.join("letter.txt"), "dear").unwrap();
    let text = format!(
        "cluster = \"x\"\nserver = 1\ndata_dir = {:?}\n[raft]\nlisten = \"127.0.0.1:0\"\n[api]\nlisten = \"127.0.0.1:0\"\n",
        foreign.to_str().unwrap()
    );
    std::fs::write(&config, text).unwrap();
    let refused = server(&config);
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains("data"), "{}", told(&refused));
}

fn agent(config: &Path) -> Output {
    let mut command = tenure();
    command
        .args(["agent", "--log", "off", "--config"])
        .arg(config);
    command
        .output()
        .expect("the binary that was built can be started")
}

#[test]
fn an_agent_that_cannot_start_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("agent.toml");
    let missing = agent(&config);
    assert_eq!(missing.status.code(), Some(3));
    assert!(told(&missing).contains("agent.toml"), "{}", told(&missing));

    let letter = folder.path().join("letter.txt");
    std::fs::write(&letter, "dear").unwrap();
    let text = |node: &str| {
        format!(
            "cluster = \"x\"\nservers = [\"127.0.0.1:1\"]\nnode = {node:?}\nstate_dir = {:?}\n",
            letter.to_str().unwrap()
        )
    };
    std::fs::write(&config, text("Db 1")).unwrap();
    let wrong = agent(&config);
    assert_eq!(wrong.status.code(), Some(3), "{}", told(&wrong));
    assert!(told(&wrong).contains("node"), "{}", told(&wrong));

    std::fs::write(&config, text("db-1")).unwrap();
    let refused = agent(&config);
    assert_eq!(refused.status.code(), Some(2), "{}", told(&refused));
    assert!(told(&refused).contains("letter.txt"), "{}", told(&refused));
}

#[test]
fn an_end_that_has_passed_is_told_before_anything_is_asked() {
    let line = [
        "--server",
        "127.0.0.1:1",
        "pause",
        "--cluster",
        "--until",
        "2000-02-29T00:00Z",
        "--reason",
        "x",
    ];
    let output = run(&line);
    assert_eq!(output.status.code(), Some(3));
    let sentence = "error: --until 2000-02-29T00:00:00Z has passed: it is ";
    assert!(told(&output).starts_with(sentence), "{}", told(&output));
}
