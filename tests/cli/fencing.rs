//! `lockd fence`: marks under many processes, and effects under the lock of their resource.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::sync::Arc;

use lockd::clock::{BootTime, Clock, SystemClock};

use super::lab::{Lab, finished};

#[test]
fn admits_and_checks_have_their_exit_codes() {
    let lab = Lab::new();
    let fence = |args: &[&str]| lab.run(["fence"].iter().chain(args));
    assert_eq!(fence(&["check", "disk", "--token", "1"]).code, 0, "nothing was admitted yet");
    let admitted = fence(&["admit", "disk", "--token", "7"]);
    assert_eq!((admitted.code, admitted.out.as_str()), (0, ""), "{}", admitted.err);
    let again: serde_json::Value =
        serde_json::from_str(&fence(&["admit", "disk", "--token", "7", "--json"]).out).unwrap();
    assert_eq!((&again["schema"], &again["mark"], &again["stale"]), (&1.into(), &7.into(), &false.into()));
    let stale = fence(&["admit", "disk", "--token", "6"]);
    assert_eq!(stale.code, 81);
    assert!(stale.err.contains("disk") && stale.err.contains("7 was admitted"), "{}", stale.err);
    let checked = fence(&["check", "disk", "--token", "6", "--json"]);
    let body: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
    assert_eq!((checked.code, &body["stale"], &body["mark"]), (1, &true.into(), &7.into()));
    for args in [
        &["admit", "disk"][..],
        &["admit", "disk", "--token", "x"],
        &["admit", "disk", "--token", "0"],
        &["admit", "../x", "--token", "1"],
        &[],
    ] {
        assert_eq!(fence(args).code, 64, "{args:?}");
    }
    lab.acquire("k", &[]);
    assert_eq!(fence(&["admit", "tape", "--token", "1", "--key", "k"]).code, 0);
    assert_eq!(fence(&["admit", "tape", "--token", "2", "--key", "k"]).code, 64, "k never gave it out");
    assert_eq!(lab.run(["break", "k", "--reason", "test", "--yes"]).code, 0);
    assert_eq!(fence(&["admit", "tape", "--token", "1", "--key", "k"]).code, 81);
    assert_eq!(fence(&["check", "tape", "--token", "1", "--key", "k"]).code, 1);
    assert_eq!(fence(&["check", "tape", "--token", "1"]).code, 0);
    assert_eq!(lab.run(["list", "--names"]).out, "k\n", "resources are no keys");
}

/// One admit by one process: when it began and ended, and whether it was let in.
struct Admit {
    token: u64,
    began: BootTime,
    ended: BootTime,
    admitted: bool,
}

#[test]
fn marks_are_linearizable_among_many_processes() {
    let lab = Arc::new(Lab::new());
    lab.run(["status", "k"]);
    let workers: Vec<_> = (0..6u64)
        .map(|worker| {
            let lab = Arc::clone(&lab);
            std::thread::spawn(move || -> Vec<Admit> {
                (0..8u64)
                    .map(|round| {
                        // Each worker's tokens jump up and down, and none is another's.
                        let token = 1 + worker + 6 * ((round * 5 + worker) % 8);
                        let began = SystemClock.boot();
                        let ran = lab.run(["fence", "admit", "disk", "--token", &token.to_string()]);
                        assert!(matches!(ran.code, 0 | 81), "{}", ran.err);
                        Admit { token, began, ended: SystemClock.boot(), admitted: ran.code == 0 }
                    })
                    .collect()
            })
        })
        .collect();
    let all: Vec<Admit> = workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect();
    assert!(all.iter().any(|a| a.admitted) && all.iter().any(|a| !a.admitted));
    for a in &all {
        let higher_before = all.iter().any(|b| b.admitted && b.token > a.token && b.ended < a.began);
        assert!(!(a.admitted && higher_before), "{} came after a higher one and was admitted", a.token);
        let higher = all.iter().any(|b| b.admitted && b.token > a.token && b.began < a.ended);
        assert!(a.admitted || higher, "{} was refused, and no higher one was there", a.token);
    }
    let highest = all.iter().filter(|a| a.admitted).map(|a| a.token).max().unwrap();
    let mark: serde_json::Value =
        serde_json::from_str(&lab.run(["fence", "check", "disk", "--token", "1", "--json"]).out).unwrap();
    assert_eq!(mark["mark"], highest);
}

#[test]
fn an_effect_runs_as_itself() {
    let lab = Lab::new();
    let admit = |token: &str, command: &[&str]| {
        lab.run(["fence", "admit", "disk", "--token", token, "--"].iter().chain(command))
    };
    assert_eq!(admit("1", &["sh", "-c", "exit 7"]).code, 7);
    assert_eq!(admit("2", &["sh", "-c", "kill -9 $$"]).code, 137);
    assert_eq!(admit("3", &["sh", "-c", "echo out; echo err >&2"]).out, "out\n");
    assert_eq!(admit("4", &["no-such-program"]).code, 127);
    assert_eq!(admit("4", &["/"]).code, 126);
    let check = |token: &str| lab.run(["fence", "check", "disk", "--token", token]).code;
    assert_eq!(check("3"), 0, "what cannot be run is not admitted");
    let stale = admit("2", &["touch", "hurt"]);
    assert_eq!(stale.code, 81, "{}", stale.err);
    assert!(!lab.path("work/hurt").exists());
}

#[test]
fn effects_on_one_resource_run_one_after_the_other() {
    let lab = Lab::new();
    let mut first = lab.plain();
    first.args(["fence", "admit", "disk", "--token", "5", "--", "sh", "-c", "echo up; read line; echo down"]);
    let mut first = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(first.stdout.take().unwrap());
    let mut line = String::new();
    out.read_line(&mut line).unwrap();
    assert_eq!(line, "up\n");
    let admit =
        |more: &[&str]| lab.run(["fence", "admit", "disk", "--token", "6"].iter().chain(more).chain(&["--", "true"]));
    let busy = admit(&["-n"]);
    assert_eq!(busy.code, 75, "{}", busy.err);
    assert_eq!(admit(&["-w", "100ms", "-E", "9"]).code, 9);
    assert_eq!(lab.run(["fence", "check", "disk", "--token", "5"]).code, 0, "who waits has raised no mark");
    assert_eq!(lab.run(["fence", "admit", "other", "--token", "1", "-n", "--", "true"]).code, 0);
    // One that waits for ever, until the first is over.
    let mut second = lab.plain();
    second.args(["fence", "admit", "disk", "--token", "6", "--", "echo", "second"]);
    let mut second = second.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(second.stderr.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.contains("waiting for another effect on disk"), "{said}");
    first.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert_eq!(finished(&first.wait_with_output().unwrap()).code, 0);
    let second = finished(&second.wait_with_output().unwrap());
    assert_eq!((second.code, second.out.as_str()), (0, "second\n"));
    assert_eq!(lab.run(["fence", "admit", "disk", "--token", "5", "--", "true"]).code, 81);
}
