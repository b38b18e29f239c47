//! A few seeds of the whole system in simulated time: the same ones each time, and new ones. `cargo xtask
//! simulate-system` tries more of them, for longer.

use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

#[expect(clippy::print_stdout, reason = "what the runs say of themselves")]
fn simulate(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_tenure-system");
    let output = Command::new(program).args(arguments).output();
    let output = output.expect("the program that was built for this test");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    output
}

#[test]
fn no_promise_is_broken_and_a_seed_does_the_same_again() {
    for seeds in [
        vec!["--seed", "1", "--seeds", "6"],
        vec!["--seed", "7", "--seeds", "2", "--twice"],
    ] {
        let output = simulate(&[seeds, vec!["--seconds", "6"]].concat());
        assert!(output.status.success(), "a promise was broken, see above");
    }
}

#[test]
fn no_promise_is_broken_with_seeds_that_were_never_tried() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let seed = now.expect("after 1970").as_millis().to_string();
    let output = simulate(&["--seed", &seed, "--seeds", "2", "--seconds", "6"]);
    assert!(output.status.success(), "a promise was broken, see above");
}

#[test]
fn disks_that_forget_what_was_durable_are_found_out() {
    let arguments = [
        "--seed",
        "1",
        "--seeds",
        "6",
        "--seconds",
        "8",
        "--lying-disk",
    ];
    let output = simulate(&arguments);
    assert!(!output.status.success(), "lost data went unnoticed");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("to repeat: cargo xtask simulate-system --seed"),
        "{said}"
    );
}
