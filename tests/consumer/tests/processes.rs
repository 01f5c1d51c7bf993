//! The two programs of this crate, run.
#![deny(warnings, missing_docs, clippy::pedantic)]

use std::process::Command;

#[test]
fn a_program_asks_another_and_itself() {
    let output = Command::new(env!("CARGO_BIN_EXE_consumer")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let expected = "Number(6)\nthe same length: true\nelsewhere: Number(0)\nExited(0)\nread manifest\nthe end\n\
                    closed: true\npanicked: as asked\nthe fork: Number(70)\nthe fork: Exited(0)\n";
    assert_eq!(said, expected, "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success());
}

#[test]
fn a_program_that_was_started_by_hand_says_so() {
    let output = Command::new(env!("CARGO_BIN_EXE_answerer")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success() && said.contains("NotSpawned"), "{said}");
}
