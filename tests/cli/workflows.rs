//! Longer workflows of `scripts/`, used as their users would: hosts are processes that share a store.

use std::path::Path;
use std::process::{Child, Stdio};

use assert_cmd::Command;

use super::lab::{Lab, Ran, fifo, finished, has, ran, script};
use crate::support::left_out;

fn run(lab: &Lab, name: &str, args: &[&str]) -> Ran {
    ran(&mut Command::from_std(script(lab, name, args)))
}

fn start(lab: &Lab, name: &str, args: &[&str]) -> Child {
    let mut command = script(lab, name, args);
    command.env("LEADER_PAUSE", "0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn a_job_runs_once_an_hour_and_again_when_it_failed() {
    let lab = Lab::new();
    let job =
        |code: &str| run(&lab, "once-an-hour", &["report", "sh", "-c", &format!("echo >>$HOME/runs; exit {code}")]);
    assert_eq!(job("3").code, 3, "a failure is the job's own");
    assert_eq!(job("0").code, 0);
    for _ in 0..3 {
        let skipped = job("0");
        assert_eq!((skipped.code, skipped.err.as_str()), (0, ""), "cron would mail it");
    }
    assert_eq!(lines(&lab.path("home/runs")), 2, "the failed run and the one that succeeded");
    // While another host runs it, nobody waits.
    let lab = Lab::new();
    lab.acquire("hourly/report", &["--owner", "the other host"]);
    let skipped = run(&lab, "once-an-hour", &["report", "false"]);
    assert_eq!((skipped.code, skipped.err.as_str()), (0, ""));
    assert_eq!(run(&lab, "once-an-hour", &["report"]).code, 64);
}

#[test]
fn a_deployment_says_who_is_at_it_and_can_be_broken() {
    let lab = Lab::new();
    assert_eq!(run(&lab, "deploy-lock", &["web", "run", "sh", "-c", "exit 75"]).code, 75, "the command's own code");
    let lease = lab.acquire("deploy/web", &["--ttl", "2s", "--owner", "mia@laptop", "--reason", "release 7"]);
    let busy = run(&lab, "deploy-lock", &["web", "run", "touch", "ran"]);
    assert_eq!(busy.code, 75, "{}", busy.err);
    assert!(busy.err.contains("mia@laptop") && busy.err.contains("release 7"), "{}", busy.err);
    assert!(busy.err.contains("deploy-lock web break REASON"), "{}", busy.err);
    assert!(!lab.path("work/ran").exists());
    assert!(run(&lab, "deploy-lock", &["web", "status"]).out.contains("mia@laptop"));

    let broken = run(&lab, "deploy-lock", &["web", "break", "mia's laptop was stolen"]);
    assert_eq!(broken.code, 0, "{}", broken.err);
    let told = ran(lab.lockd().arg("keepalive").envs(lease));
    assert_eq!(told.code, 84, "{}", told.err);
    assert!(told.err.contains("mia's laptop was stolen"), "{}", told.err);
    assert_eq!(run(&lab, "deploy-lock", &["web", "run", "touch", "ran"]).code, 0);
    assert!(lab.path("work/ran").exists());
    for args in [&["web"][..], &["web", "run"], &["web", "break"], &["web", "deploy"]] {
        assert_eq!(run(&lab, "deploy-lock", args).code, 64, "{args:?}");
    }
}

#[test]
fn a_leader_is_followed_when_it_dies_and_when_it_ends() {
    let lab = Lab::new();
    fifo(&lab.path("work/reports"));
    fifo(&lab.path("work/hang"));
    // Each leader reports its token, then works until it is told to end.
    let command = "echo $LOCKD_FENCING_TOKEN >reports; read -r never <hang";
    let mut hosts: Vec<_> = (0..3).map(|_| start(&lab, "leader", &["queue", "sh", "-c", command])).collect();
    let report = || std::fs::read_to_string(lab.path("work/reports")).unwrap().trim().parse::<u64>().unwrap();
    let first = report();
    // Its term ends: any of them begins the next.
    std::fs::write(lab.path("work/hang"), "\n").unwrap();
    let second = report();
    assert!(second > first);
    // The process that leads is killed: its guard ends the work, and another host goes on at once.
    let holder = lab.status("leader/queue");
    let pid =
        rustix::process::Pid::from_raw(i32::try_from(holder["holder"]["pid"].as_i64().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    assert!(report() > second);
    // TERM ends a host and the work that it leads.
    for host in &hosts {
        rustix::process::kill_process(rustix::process::Pid::from_child(host), rustix::process::Signal::TERM).unwrap();
    }
    for host in hosts.drain(..) {
        assert_eq!(finished(&host.wait_with_output().unwrap()).code, 143);
    }
    assert_eq!(lab.run(["status", "--check", "leader/queue"]).code, 1, "nobody leads any more");
}

#[test]
fn a_leader_that_cannot_be_says_so_and_ends() {
    let lab = Lab::new();
    let ran = run(&lab, "leader", &["queue", "no-such-program"]);
    assert_eq!(ran.code, 127, "{}", ran.err);
    assert!(ran.err.contains("cannot be led from here"), "{}", ran.err);
    assert_eq!(run(&lab, "leader", &["a//b", "true"]).code, 64);
    assert_eq!(run(&lab, "leader", &["queue"]).code, 64);
}

#[test]
fn a_migration_is_fenced_in_its_own_transaction() {
    if !has("sqlite3") {
        return left_out("a fenced migration", "sqlite3 is not installed");
    }
    let lab = Lab::new();
    let sql = |query: &str| {
        let ran = ran(lab.shell("sh", "sqlite3 work.db \"$Q\"").env("Q", query));
        assert_eq!(ran.code, 0, "{}", ran.err);
        ran.out
    };
    std::fs::create_dir(lab.path("work/sql")).unwrap();
    lab.file("work/sql/001-users.sql", "CREATE TABLE users (name TEXT);");
    lab.file("work/sql/002-it's.sql", "INSERT INTO users VALUES ('mia')");
    let migrate = || run(&lab, "fenced-migration", &["work.db", "sql"]);
    for _ in 0..2 {
        let ran = migrate();
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert_eq!(sql("SELECT name FROM users"), "mia\n", "each is applied once");
    }
    assert_eq!(sql("SELECT name FROM migrations ORDER BY name"), "001-users.sql\n002-it's.sql\n");

    // One that fails leaves nothing of itself.
    lab.file("work/sql/003-bad.sql", "INSERT INTO users VALUES ('half'); INSERT INTO nowhere VALUES (1);");
    assert_eq!(migrate().code, 1);
    assert_eq!(sql("SELECT name FROM users"), "mia\n");
    std::fs::remove_file(lab.path("work/sql/003-bad.sql")).unwrap();

    // A run that was held up: somebody with a higher token was here in the meantime.
    sql("UPDATE fence SET token = 1000000");
    lab.file("work/sql/004-late.sql", "INSERT INTO users VALUES ('late');");
    let late = migrate();
    assert_eq!(late.code, 81, "{}", late.err);
    assert!(late.err.contains("is stale: 1000000 was here"), "{}", late.err);
    assert_eq!(sql("SELECT name FROM users"), "mia\n");
    assert_eq!(run(&lab, "fenced-migration", &["work.db", "nowhere"]).code, 66);
    assert_eq!(run(&lab, "fenced-migration", &["work.db"]).code, 64);
}
