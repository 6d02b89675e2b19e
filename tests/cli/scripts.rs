//! The scripts, used as a user would.

use std::path::Path;
use std::process::{Child, Stdio};

use assert_cmd::Command;

use super::lab::{Lab, Ran, fifo, finished, ran, script};

fn run(lab: &Lab, name: &str, args: &[&str]) -> Ran {
    ran(&mut Command::from_std(script(lab, name, args)))
}

fn start(lab: &Lab, name: &str, args: &[&str]) -> Child {
    script(lab, name, args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// The names in a directory, sorted, hidden ones too.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn backup_lab() -> Lab {
    let lab = Lab::new();
    for dir in ["data", "backups"] {
        std::fs::create_dir(lab.path("work").join(dir)).unwrap();
    }
    lab.file("work/data/a.txt", "hello");
    lab
}

#[test]
fn a_backup_is_whole_numbered_and_pruned() {
    let lab = backup_lab();
    for _ in 0..4 {
        let ran = run(&lab, "backup-for-cron", &["data", "backups", "2"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let made = names(&lab.path("work/backups"));
    assert_eq!(made.len(), 2, "{made:?}");
    assert!(made[0] < made[1] && made[1].starts_with("data.") && made[1].ends_with(".tar.gz"), "{made:?}");
    let unpacked = ran(lab.shell("sh", "tar -xzOf backups/\"$ONE\" data/a.txt").env("ONE", &made[1]));
    assert_eq!((unpacked.code, unpacked.out.as_str()), (0, "hello"), "{}", unpacked.err);
}

#[test]
fn a_backup_that_another_host_makes_already_is_skipped() {
    let lab = backup_lab();
    let lease = lab.acquire("backup/data", &["--owner", "the other host"]);
    let skipped = run(&lab, "backup-for-cron", &["data", "backups"]);
    assert_eq!(skipped.code, 0, "{}", skipped.err);
    assert_eq!(skipped.err, "", "cron would mail it");
    assert_eq!(names(&lab.path("work/backups")).len(), 0);
    assert_eq!(ran(lab.lockd().arg("release").envs(lease)).code, 0);
    assert_eq!(run(&lab, "backup-for-cron", &["data", "backups"]).code, 0);
    assert_eq!(names(&lab.path("work/backups")).len(), 1);
}

#[test]
fn a_backup_that_fails_leaves_nothing_half() {
    let lab = backup_lab();
    for (args, code) in [
        (&["nothing", "backups"][..], 66),
        (&["data", "nowhere"], 66),
        (&["data"], 64),
        (&["data", "backups", "x"], 64),
    ] {
        assert_eq!(run(&lab, "backup-for-cron", args).code, code, "{args:?}");
    }
    // A tar that writes half and fails.
    let bin = lab.path("work/bin");
    std::fs::create_dir(&bin).unwrap();
    let tar = lab.file("work/bin/tar", "#!/bin/sh\necho half > \"$2\"\nexit 2\n");
    std::fs::set_permissions(&tar, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut command = script(&lab, "backup-for-cron", &["data", "backups"]);
    let path = command.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
    command.env("PATH", format!("{}:{}", bin.display(), path.to_str().unwrap()));
    let failed = ran(&mut Command::from_std(command));
    assert_eq!(failed.code, 2, "the exit code is tar's own: {}", failed.err);
    assert_eq!(names(&lab.path("work/backups")), [""; 0], "nothing is left");
    assert_eq!(lab.run(["status", "--check", "backup/data"]).code, 1, "and the lock is free");
}

#[test]
fn an_import_goes_on_where_it_was_killed() {
    let lab = Lab::new();
    let lines: String = (1..=9).map(|n| format!("line {n}\n")).collect();
    lab.file("work/in.txt", &lines);
    // On line 5 the first time round it tells the test and hangs.
    let command = r#"IFS= read -r line
        if [ "$line" = "line 5" ] && [ ! -e went-on ]; then echo here > reached; while :; do read -r never < hang; done; fi
        printf '%s\n' "$line" >> out.txt"#;
    let (reached, hang) = (lab.path("work/reached"), lab.path("work/hang"));
    fifo(&reached);
    fifo(&hang);
    let args = ["import/orders", "in.txt", "sh", "-c", command];
    let mut child = start(&lab, "checkpointed-import", &args);
    assert_eq!(std::fs::read_to_string(&reached).unwrap(), "here\n");
    // The hardest way: the wrapper itself is killed. Its guard ends the rest and gives the lease back.
    child.kill().unwrap();
    assert_eq!(finished(&child.wait_with_output().unwrap()).code, 137);
    assert_eq!(lab.run(["get", "import/orders"]).out, "{\"done\":4}\n");
    lab.file("work/went-on", "");
    let ran = run(&lab, "checkpointed-import", &args);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(std::fs::read_to_string(lab.path("work/out.txt")).unwrap(), lines);
    assert_eq!(lab.run(["get", "import/orders"]).out, "{\"done\":9}\n");
    // Nothing is left to do.
    assert_eq!(run(&lab, "checkpointed-import", &args).code, 0);
    assert_eq!(std::fs::read_to_string(lab.path("work/out.txt")).unwrap(), lines);
}

#[test]
fn an_import_stops_at_the_line_that_fails_and_takes_no_foreign_state() {
    let lab = Lab::new();
    lab.file("work/in.txt", "a\nb\nlast line has no end");
    let command = "IFS= read -r l; [ \"$l\" != b ] || [ -e ok ] || exit 9; echo \"$l\" >> out.txt";
    let args = ["i", "in.txt", "sh", "-c", command];
    assert_eq!(run(&lab, "checkpointed-import", &args).code, 9);
    assert_eq!(lab.run(["get", "i"]).out, "{\"done\":1}\n");
    lab.file("work/ok", "");
    assert_eq!(run(&lab, "checkpointed-import", &args).code, 0);
    assert_eq!(std::fs::read_to_string(lab.path("work/out.txt")).unwrap(), "a\nb\nlast line has no end\n");
    lab.feed(&["update", "i"], "{\"mine\":1}");
    let ran = run(&lab, "checkpointed-import", &args);
    assert_eq!(ran.code, 65, "{}", ran.err);
    assert!(ran.err.contains("is no checkpoint"), "{}", ran.err);
    assert_eq!(run(&lab, "checkpointed-import", &["i", "nothing.txt", "cat"]).code, 66);
}
