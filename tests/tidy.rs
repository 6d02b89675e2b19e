//! The shape of the source, held by tests: who may use whom, no dead files, no long files, no sleeping tests, unsafe code in
//! one place. Each rule is itself tested on a small sample that breaks it.

mod rules;

use std::path::{Path, PathBuf};

use rules::Source;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every text file below these directories.
fn sources(dirs: &[&str]) -> Vec<Source> {
    let mut open: Vec<PathBuf> = dirs.iter().map(|dir| root().join(dir)).collect();
    let mut found = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            found.push(Source { path: name(&path), text });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned()
}

fn rust(dirs: &[&str]) -> Vec<Source> {
    sources(dirs).into_iter().filter(|source| source.path.ends_with(".rs")).collect()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn modules_use_only_what_is_below_them() {
    let files = rust(&["src", "commands"]);
    assert!(files.len() > 50, "the walk found {} files", files.len());
    none(&rules::arrows(&files));
}

#[test]
fn every_file_is_part_of_a_crate() {
    for (dir, crate_root) in [("src", "src/lib.rs"), ("commands", "commands/main.rs"), ("tests", "tests/main.rs")] {
        none(&rules::dead_files(&rust(&[dir]), crate_root));
    }
}

#[test]
fn no_file_is_long() {
    none(&rules::long_files(&rust(&["src", "commands"]), 500));
}

#[test]
fn tests_wait_for_events_and_not_for_time() {
    let allowed = [
        ("tests/support/clock.rs", "the clock of tests: under tokio's paused time a sleep passes at once"),
        ("tests/faults/mod.rs", "faults that strike at a random moment; nothing is concluded from the time"),
        ("tests/cli/exec/sandbox.rs", "polls /proc for the end of a process that is nobody's child, within a limit"),
    ];
    let files = rust(&["tests"]);
    none(&rules::sleeps(&files, &allowed));
}

#[test]
fn unsafe_code_is_in_one_file() {
    // The test shuts a file system down with an ioctl that no library has.
    let homes = ["commands/process/sys.rs", "tests/faults/ext4.rs"];
    none(&rules::unsafe_code(&rust(&["src", "commands", "tests"]), &homes));
}

#[test]
fn the_repository_knows_no_machine() {
    let dirs = ["src", "commands", "tests", "scripts", "completions", "man", ".ci"];
    let mut files = sources(&dirs);
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() && path.file_name().is_some_and(|name| name != ".git") {
            files.extend(std::fs::read_to_string(&path).ok().map(|text| Source { path: name(&path), text }));
        }
    }
    assert!(files.iter().any(|file| file.path == "README.md"));
    none(&rules::machine_paths(&files));
}

/// The switches that break rules are in no build that anybody uses.
#[test]
fn mutants_are_asked_for_by_tests_alone() {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let named: Vec<&str> = manifest.lines().filter(|line| line.contains("mutants")).collect();
    assert_eq!(named, ["mutants = []"]);
    for file in rust(&["commands"]) {
        assert!(!file.text.contains("mutants"), "{} knows of mutants", file.path);
    }
}

#[test]
fn everything_public_is_documented() {
    let lib = std::fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for rule in ["#![deny(missing_docs)]", "#![forbid(unsafe_code)]"] {
        assert!(lib.contains(rule), "src/lib.rs has no {rule}");
    }
}

#[test]
fn scripts_begin_safely_and_can_be_run() {
    use std::os::unix::fs::PermissionsExt;
    for script in sources(&["scripts", ".ci"]) {
        let mode = std::fs::metadata(root().join(&script.path)).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} cannot be run", script.path);
        assert!(script.text.starts_with("#!/"), "{} does not say what runs it", script.path);
        let safe = ["set -eu\n", "set -euo pipefail\n", "exec \""].iter().any(|rule| script.text.contains(rule));
        assert!(safe, "{} goes on after errors", script.path);
    }
}

#[test]
fn the_architecture_page_is_short_and_names_files_that_exist() {
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    assert!(page.lines().count() <= 200, "ARCHITECTURE.md has {} lines", page.lines().count());
    none(&rules::missing_files(&page, |path| root().join(path).exists()));
}
