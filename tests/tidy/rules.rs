//! The rules: from sources to complaints.

use std::collections::{BTreeMap, BTreeSet};

/// A file of the repository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the root.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// The modules of the library, and which others each may use (ARCHITECTURE.md, "Where things live").
const LIBRARY: [(&str, &[&str]); 16] = [
    ("client", &["clock", "entropy", "error", "json", "limits", "model", "mutants", "service"]),
    ("clock", &["limits"]),
    // It makes clients, too.
    ("connect", &["client", "clock", "engine", "entropy", "error", "http", "limits", "service", "store"]),
    ("engine", &["clock", "entropy", "error", "json", "lease", "limits", "model", "mutants", "service", "store"]),
    ("entropy", &[]),
    // The details of an error say who holds a key.
    ("error", &["model", "service"]),
    // An edit on behalf of a client is the client's own.
    ("http", &["client", "clock", "entropy", "error", "json", "limits", "model", "mutants", "service"]),
    ("json", &["error", "limits"]),
    ("lease", &["clock", "error", "limits", "model", "mutants", "service"]),
    ("lib", &[]),
    ("limits", &[]),
    ("model", &["clock", "entropy", "error", "limits"]),
    ("mutants", &[]),
    ("platform", &["error", "limits"]),
    ("service", &["clock", "error", "model", "store"]),
    ("store", &["clock", "entropy", "error", "limits", "model", "mutants", "platform"]),
];

/// What commands may use of the library: what is above the engine, and plain data.
const COMMANDS: [&str; 11] =
    ["client", "clock", "connect", "entropy", "error", "http", "json", "limits", "model", "service", "store"];

/// Uses of one module by another that the table does not allow.
pub fn arrows(files: &[Source]) -> Vec<String> {
    let table: BTreeMap<_, _> = LIBRARY.into_iter().collect();
    let mut complaints = Vec::new();
    for file in files {
        let in_library = file.path.starts_with("src/");
        let module = file.path.split('/').nth(1).unwrap_or_default().trim_end_matches(".rs");
        let (prefix, allowed) = match (in_library, table.get(module)) {
            (true, Some(allowed)) => ("crate::", *allowed),
            (true, None) => {
                complaints.push(format!("{}: the module {module} is not in the table of tests/tidy", file.path));
                continue;
            }
            (false, _) => ("lockd::", &COMMANDS[..]),
        };
        for (number, used) in uses(&file.text, prefix) {
            if used != module && !allowed.contains(&used.as_str()) {
                complaints.push(format!("{}:{number}: {module} may not use {used}", file.path));
            }
        }
        for (number, _) in uses(&file.text, "lockd::").into_iter().filter(|_| in_library) {
            complaints.push(format!("{}:{number}: the library names itself", file.path));
        }
    }
    complaints
}

/// The modules named after a prefix, line by line, in code and not in comments; also those of `prefix{a, b}`.
fn uses(text: &str, prefix: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in code(text) {
        for (at, _) in line.match_indices(prefix) {
            let before = line[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let rest = &line[at + prefix.len()..];
            let names = match rest.strip_prefix('{') {
                Some(list) => list.split('}').next().unwrap_or_default().split(',').map(first_name).collect(),
                None => vec![first_name(rest)],
            };
            // Macros and items at the root of the crate begin otherwise or have no module.
            found.extend(names.into_iter().filter(|name| !name.is_empty()).map(|name| (number, name)));
        }
    }
    found
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect()
}

/// The lines that are code, numbered from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(i, line)| (i + 1, line)).filter(|(_, line)| !line.trim_start().starts_with("//"))
}

/// Files that no `mod` line leads to.
pub fn dead_files(files: &[Source], crate_root: &str) -> Vec<String> {
    let by_path: BTreeMap<&str, &Source> = files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut reached = BTreeSet::new();
    let mut open = vec![crate_root.to_owned()];
    while let Some(path) = open.pop() {
        let Some(file) = by_path.get(path.as_str()) else { continue };
        if reached.insert(path.clone()) {
            open.extend(declared(&file.text).flat_map(|module| places(&path, crate_root, &module)));
        }
    }
    let dead = files.iter().filter(|file| !reached.contains(&file.path));
    dead.map(|file| format!("{}: no mod line leads to it from {crate_root}", file.path)).collect()
}

/// The modules that a file declares and that have files of their own.
fn declared(text: &str) -> impl Iterator<Item = String> {
    code(text).filter_map(|(_, line)| {
        let (before, name) = line.trim().strip_suffix(';')?.split_once("mod ")?;
        let visible = before.is_empty() || before == "pub " || before.starts_with("pub(");
        (visible && name.chars().all(|c| c.is_alphanumeric() || c == '_')).then(|| name.to_owned())
    })
}

/// The two files that a module may be in.
fn places(declaring: &str, crate_root: &str, module: &str) -> [String; 2] {
    let (dir, file) = declaring.rsplit_once('/').unwrap_or(("", declaring));
    let dir = match file {
        _ if declaring == crate_root => dir.to_owned(),
        "mod.rs" => dir.to_owned(),
        file => format!("{dir}/{}", file.trim_end_matches(".rs")),
    };
    [format!("{dir}/{module}.rs"), format!("{dir}/{module}/mod.rs")]
}

/// Files with more lines than this.
pub fn long_files(files: &[Source], limit: usize) -> Vec<String> {
    let long = files.iter().map(|file| (file, file.text.lines().count())).filter(|(_, lines)| *lines > limit);
    long.map(|(file, lines)| format!("{}: {lines} lines, {limit} are the limit", file.path)).collect()
}

/// Tests that sleep. A clock's own `sleep` is time that the test moves.
pub fn sleeps(files: &[Source], allowed: &[(&str, &str)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let call = concat!("sle", "ep(");
    for file in files {
        let lines: Vec<usize> = code(&file.text)
            .filter(|(_, line)| line.replace(&format!("clock.{call}"), "").contains(call))
            .map(|(number, _)| number)
            .collect();
        let may = allowed.iter().any(|(path, _)| *path == file.path);
        match (lines.first(), may) {
            (Some(number), false) => complaints.push(format!("{}:{number}: it sleeps", file.path)),
            (None, true) => {
                complaints.push(format!("{}: it may sleep and does not; strike it off the list", file.path))
            }
            _ => {}
        }
    }
    for (path, _) in allowed.iter().filter(|(path, _)| files.iter().all(|file| file.path != *path)) {
        complaints.push(format!("{path}: it may sleep and is not there; strike it off the list"));
    }
    complaints
}

/// Unsafe code outside the files for it, or in them without a reason.
pub fn unsafe_code(files: &[Source], homes: &[&str]) -> Vec<String> {
    let word = concat!("uns", "afe");
    let mut complaints = Vec::new();
    for file in files {
        let lines: Vec<&str> = file.text.lines().collect();
        for (number, line) in code(&file.text) {
            let is_code =
                [" {", " fn ", " extern", " impl", "("].iter().any(|next| line.contains(&format!("{word}{next}")));
            if is_code && !homes.contains(&file.path.as_str()) {
                complaints.push(format!("{}:{number}: {word} code belongs into {homes:?}", file.path));
            } else if is_code && !has_reason(&lines, number - 1) {
                complaints.push(format!("{}:{number}: {word} code without a SAFETY reason", file.path));
            }
        }
    }
    complaints
}

/// A reason stands in the comment right above, or above the statement that the line is part of.
fn has_reason(lines: &[&str], at: usize) -> bool {
    lines[at.saturating_sub(6)..=at].iter().any(|line| line.contains("SAFETY: "))
}

/// Paths that are true on one machine only.
pub fn machine_paths(files: &[Source]) -> Vec<String> {
    let markers =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/home/", "runner"), concat!("index.crates", ".io-")];
    let mut complaints = Vec::new();
    for file in files {
        for (i, line) in file.text.lines().enumerate() {
            for marker in markers.iter().filter(|marker| line.contains(**marker)) {
                complaints.push(format!("{}:{}: {marker} is a place on somebody's machine", file.path, i + 1));
            }
        }
    }
    complaints
}

/// Files named in backticks that are not there.
pub fn missing_files(page: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let roots = ["src/", "commands/", "tests/", "scripts/", "man/", "completions/"];
    let named = page.split('`').skip(1).step_by(2).filter(|name| roots.iter().any(|root| name.starts_with(root)));
    named.filter(|name| !exists(name)).map(|name| format!("ARCHITECTURE.md names {name}, which is not there")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(sample: &[(&str, &str)]) -> Vec<Source> {
        sample.iter().map(|(path, text)| Source { path: (*path).to_owned(), text: (*text).to_owned() }).collect()
    }

    fn complaints(found: Vec<String>, expected: &[&str]) {
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.contains(expected), "{found:?} has no {expected:?}");
        }
    }

    #[test]
    fn forbidden_arrows_are_seen() {
        let sample = files(&[
            (
                "src/lease/machine.rs",
                "use crate::model::Key;\nuse crate::store::Store;\n// crate::engine is only a comment\n",
            ),
            ("src/store/disk/mod.rs", "use crate::{error::Error, lease};\nfn f() { crate::engine::run() }\n"),
            ("src/queue.rs", ""),
            ("src/client.rs", "use lockd::model::Key;\n"),
            ("commands/get.rs", "use lockd::engine::Engine;\nuse lockd::client::Client;\nmod x;\nuse crate::output;\n"),
        ]);
        complaints(
            arrows(&sample),
            &[
                "src/lease/machine.rs:2: lease may not use store",
                "src/store/disk/mod.rs:1: store may not use lease",
                "src/store/disk/mod.rs:2: store may not use engine",
                "the module queue is not in the table",
                "src/client.rs:1: the library names itself",
                "commands/get.rs:1: get may not use engine",
            ],
        );
    }

    #[test]
    fn dead_files_are_seen() {
        let sample = files(&[
            ("src/lib.rs", "pub mod a;\nmod b;\n// mod d;\n"),
            ("src/a.rs", "pub(super) mod c;\n#[cfg(test)]\nmod tests {\n}\n"),
            ("src/a/c.rs", ""),
            ("src/b/mod.rs", "mod e;"),
            ("src/b/e.rs", ""),
            ("src/d.rs", ""),
            ("src/b/tests.rs", ""),
        ]);
        complaints(dead_files(&sample, "src/lib.rs"), &["src/d.rs", "src/b/tests.rs"]);
    }

    #[test]
    fn long_files_are_seen() {
        let sample = files(&[("src/a.rs", &"\n".repeat(501)), ("src/b.rs", &"\n".repeat(500))]);
        complaints(long_files(&sample, 500), &["src/a.rs: 501 lines"]);
    }

    #[test]
    fn sleeping_tests_are_seen() {
        let call = concat!("sle", "ep(");
        let bad = format!("fn f() {{\n    std::thread::{call}D);\n}}\n");
        let good = format!("clock.{call}D).await;\n// never {call}\n");
        let sample = files(&[("tests/a.rs", &bad), ("tests/b.rs", &good), ("tests/c.rs", &bad)]);
        let allowed = [("tests/c.rs", "why"), ("tests/b.rs", "why"), ("tests/gone.rs", "why")];
        complaints(
            sleeps(&sample, &allowed),
            &["tests/a.rs:2: it sleeps", "tests/b.rs: it may sleep", "tests/gone.rs"],
        );
    }

    #[test]
    fn unsafe_code_is_seen() {
        let word = concat!("uns", "afe");
        let block = format!("fn f() {{ {word} {{ g() }} }}\n");
        let reasoned = format!("// SAFETY: it is.\n{block}");
        let sample = files(&[
            ("src/a.rs", &reasoned),
            ("sys.rs", &reasoned),
            ("sys.rs", &block),
            ("b.rs", &format!("// {block}")),
        ]);
        complaints(unsafe_code(&sample, &["sys.rs"]), &["src/a.rs:2", "sys.rs:1: "]);
    }

    #[test]
    fn paths_of_a_machine_are_seen() {
        let bad = format!("a\nsee {}x/y\n", concat!("/wo", "rk/"));
        complaints(machine_paths(&files(&[("README.md", &bad), ("b", "lab.path(\"work/x\")")])), &["README.md:2"]);
    }

    #[test]
    fn missing_files_are_seen() {
        let page = "see `src/a.rs`, `src/b.rs` and `cargo test`";
        complaints(missing_files(page, |path| path == "src/a.rs"), &["src/b.rs"]);
    }
}
