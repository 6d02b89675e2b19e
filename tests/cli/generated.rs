//! Completions and manual pages are committed, and are what the binary prints. `LOCKD_REGENERATE=1` writes them anew.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::lab::Lab;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn regenerating() -> bool {
    std::env::var_os("LOCKD_REGENERATE").is_some_and(|value| value == "1")
}

fn compare(dir: &Path, made: &BTreeMap<String, Vec<u8>>) {
    if regenerating() {
        std::fs::create_dir_all(dir).unwrap();
        for name in committed(dir).keys().filter(|name| !made.contains_key(*name)) {
            std::fs::remove_file(dir.join(name)).unwrap();
        }
        for (name, bytes) in made {
            std::fs::write(dir.join(name), bytes).unwrap();
        }
    }
    let committed = committed(dir);
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&committed), names(made), "{}: run LOCKD_REGENERATE=1 cargo test generated", dir.display());
    for (name, bytes) in made {
        assert!(
            committed[name] == *bytes,
            "{name} is not what lockd prints: run LOCKD_REGENERATE=1 cargo test generated"
        );
    }
}

fn committed(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().map(Result::unwrap);
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

#[test]
fn completions() {
    let lab = Lab::new();
    let made = [
        ("bash", "lockd.bash"),
        ("elvish", "lockd.elv"),
        ("fish", "lockd.fish"),
        ("powershell", "_lockd.ps1"),
        ("zsh", "_lockd"),
    ]
    .map(|(shell, file)| {
        let ran = lab.run(["completions", shell]);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        assert!(ran.out.contains("keepalive"), "{shell}");
        (file.to_owned(), ran.out.into_bytes())
    });
    compare(&root().join("completions"), &made.into());
}

#[test]
fn manual_pages() {
    let lab = Lab::new();
    let dir = lab.path("man");
    std::fs::create_dir(&dir).unwrap();
    assert_eq!(lab.run(["man", dir.to_str().unwrap()]).code, 0);
    let made = committed(&dir);
    assert_eq!(String::from_utf8_lossy(&made["lockd.1"]), lab.run(["man"]).out);
    let page = String::from_utf8_lossy(&made["lockd.1"]).replace('\\', "");
    for part in [".SH \"EXIT STATUS\"", ".SH ENVIRONMENT", "LOCKD_STORE", "outcome unknown"] {
        assert!(page.contains(part) || page.contains(&part.replace('"', "")), "{part} is missing");
    }
    for (name, page) in &made {
        let page = String::from_utf8_lossy(page);
        let silent = |block: &&str| block.trim_start().starts_with("\\fB\\-\\-") && block.trim().lines().count() < 2;
        assert_eq!(page.split(".TP").find(silent), None, "{name} does not explain it");
    }
    compare(&root().join("man"), &made);
    let ran = lab.run(["man", "/no/such/dir"]);
    assert_eq!(ran.code, 74, "{}", ran.err);
}

#[test]
fn every_command_of_the_help_has_a_page_and_works() {
    let lab = Lab::new();
    let help = lab.run(["--help"]).out;
    let commands = help.split("Commands:").nth(1).unwrap().split("\n\n").next().unwrap();
    let names: Vec<&str> = commands.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        assert!(root().join(format!("man/lockd-{name}.1")).exists(), "{name} has no manual page");
        let page = lab.run([name, "--help"]);
        assert_eq!(page.code, 0);
        let (about, _) = page.out.split_once("Usage:").unwrap();
        assert!(about.matches("lockd ").count() >= 2, "{name}: {about}");
    }
}
