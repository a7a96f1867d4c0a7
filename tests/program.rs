//! The program, started as a user starts it.

use std::path::Path;
use std::process::{Command, Output};

/// The program, about to be started in `folder`.
pub fn scorefield(folder: &Path, arguments: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scorefield"));
    command.current_dir(folder).args(arguments.split_whitespace()).env_remove("SCOREFIELD_DATA");
    command
}

pub fn run(folder: &Path, arguments: &str) -> Output {
    scorefield(folder, arguments).output().expect("the program starts")
}

/// Runs what must succeed; returns its standard output.
pub fn good(folder: &Path, arguments: &str) -> String {
    let output = run(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments}: {stderr}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs what must fail with `code`, in one sentence that holds all `words`, without a panic.
pub fn bad(folder: &Path, arguments: &str, code: i32, words: &[&str]) {
    let output = run(folder, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments}: {stderr}");
    assert!(!stderr.contains("panicked"), "{arguments}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "{arguments} does not say `{word}`: {stderr}");
    }
}

/// Names of the files in a folder.
pub fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut names: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
