//! `lockd list`, `lockd watch` and `lockd status`: what people and programs see.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::lab::{Lab, finished};
use super::pty::{self, PATIENCE};

#[test]
fn keys_are_listed_for_people_and_for_programs() {
    let lab = Lab::new();
    let none = lab.run(["list"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{}", none.err);
    let none: Value = serde_json::from_str(&lab.run(["list", "--json"]).out).unwrap();
    assert_eq!((&none["schema"], &none["keys"], &none["complete"]), (&1.into(), &serde_json::json!([]), &true.into()));
    lab.feed(&["update", "b/state"], "{\"a\":1}");
    lab.acquire("a/held", &["--owner", "some\x1bbody"]);
    lab.run(["update", "c", "--namespace", "other"]);
    let table = lab.run(["list"]).out;
    let lines: Vec<&str> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("KEY") && lines[0].ends_with("SIZE"), "{table}");
    assert!(lines[1].starts_with("a/held ") && lines[1].contains("some\\u{1b}body"), "{table}");
    assert!(lines[2].starts_with("b/state") && lines[2].ends_with("7 B"), "{table}");
    assert_eq!(lab.run(["list", "--names"]).out, "a/held\nb/state\n");
    assert_eq!(lab.run(["list", "--names", "--held"]).out, "a/held\n");
    assert_eq!(lab.run(["list", "--names", "b"]).out, "b/state\n");
    assert_eq!(lab.run(["list", "--names", "none"]).out, "");
    assert!(lab.run(["list", "--waiters"]).out.lines().next().unwrap().ends_with("WAITING"));
    for format in ["json", "yaml"] {
        let text = lab.run(["list", "-o", format]).out;
        let body: Value =
            if format == "json" { serde_json::from_str(&text).unwrap() } else { serde_yaml::from_str(&text).unwrap() };
        assert_eq!((&body["schema"], body["keys"].as_array().unwrap().len()), (&1.into(), 2));
        assert_eq!(
            (&body["keys"][0]["key"], &body["keys"][0]["holder"]["owner"]),
            (&"a/held".into(), &"some\x1bbody".into())
        );
        assert_eq!((&body["keys"][1]["state_bytes"], &body["keys"][1]["waiters"]), (&7.into(), &Value::Null));
    }
    assert_eq!(lab.run(["list", "--namespace", "a b"]).code, 64);
}

#[test]
fn a_damaged_record_is_told_and_the_others_are_listed() {
    let lab = Lab::new();
    for key in ["a", "b", "c"] {
        lab.feed(&["update", key], "1");
    }
    let hash = lockd::model::Key::new(lockd::model::Namespace::default(), "b").unwrap().hash().hex();
    let dir = lab.path(&format!("state/lockd/records/{}/{hash}", &hash[..2]));
    for entry in std::fs::read_dir(&dir).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with("r.") {
            std::fs::write(entry.path(), "lockd-record 1 nonsense\n").unwrap();
        }
    }
    let ran = lab.run(["list", "--names"]);
    assert_eq!((ran.code, ran.out.as_str()), (78, "a\nc\n"), "{}", ran.err);
    let ran = lab.run(["list", "--json"]);
    assert_eq!((ran.code, &serde_json::from_str::<Value>(&ran.out).unwrap()["complete"]), (78, &false.into()));
}

#[test]
fn a_reader_of_a_list_that_has_seen_enough_is_no_error() {
    let lab = Lab::new();
    lab.feed(&["update", "k"], "1");
    for args in [&["list"][..], &["list", "--json"], &["watch", "k"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let ran = finished(&lab.plain().args(args).stdout(writer).output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    assert_eq!(finished(&lab.plain().args(["list"]).stdout(full).output().unwrap()).code, 74);
}

struct Watch {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Watch {
    fn start(lab: &Lab, args: &[&str]) -> Self {
        let mut child = lab.plain().args(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self { child, out }
    }

    fn line(&mut self) -> String {
        if self.out.buffer().is_empty() {
            let mut ready = [PollFd::new(self.out.get_ref(), PollFlags::IN)];
            assert_ne!(retry_on_intr(|| poll(&mut ready, Some(&PATIENCE))).unwrap(), 0, "no event comes");
        }
        let mut line = String::new();
        assert_ne!(self.out.read_line(&mut line).unwrap(), 0, "it goes on");
        line
    }

    fn json(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }
}

#[test]
fn events_come_as_they_happen() {
    let lab = Lab::new();
    let mut watch = Watch::start(&lab, &["watch", "--json", "k"]);
    let present = watch.json();
    assert_eq!(
        (&present["schema"], &present["event"], &present["held"]),
        (&1.into(), &"present".into(), &false.into())
    );
    let lease = lab.acquire("k", &["--owner", "me", "--reason", "a test"]);
    let event = watch.json();
    assert_eq!(
        (&event["event"], &event["owner"], &event["reason"]),
        (&"acquired".into(), &"me".into(), &"a test".into())
    );
    let token = &lease.iter().find(|(name, _)| name == "LOCKD_FENCING_TOKEN").unwrap().1;
    assert_eq!(event["token"].to_string(), *token);
    let with = |args: &[&str]| super::lab::ran(lab.lockd().args(args).envs(lease.iter().cloned()).write_stdin("1"));
    assert_eq!(with(&["update"]).code, 0);
    let event = watch.json();
    assert_eq!((&event["event"], &event["version"]), (&"updated".into(), &1.into()));
    assert_eq!(with(&["remove"]).code, 0);
    assert_eq!(watch.json()["event"], "removed");
    assert_eq!(lab.run(["break", "k", "--reason", "enough", "--yes"]).code, 0);
    let event = watch.json();
    assert_eq!((&event["event"], &event["reason"], &event["schema"]), (&"broken".into(), &"enough".into(), &1.into()));
    assert!(event["by"].as_str().unwrap().contains('@') && event["at"].as_str().unwrap().ends_with('Z'));
    kill_process(Pid::from_child(&watch.child), Signal::INT).unwrap();
    assert_eq!(finished(&watch.child.wait_with_output().unwrap()).code, 130);
    // For people, one line each.
    let mut watch = Watch::start(&lab, &["watch", "k"]);
    assert!(watch.line().contains(" present  token 2, version 2, free"));
    lab.acquire("k", &["--ttl", "2s", "--owner", "x\x1b"]);
    assert!(watch.line().contains(" acquired token 3, version 2, x\\u{1b}\n"));
    assert!(watch.line().contains(" expired  token 3, version 2"), "nobody renews it");
    // Nobody reads any more: it ends without waiting for another event.
    drop(watch.out);
    let ran = finished(&watch.child.wait_with_output().unwrap());
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

#[test]
fn pages_fit_a_terminal_and_are_plain_elsewhere() {
    let lab = Lab::new();
    let reason = "a long reason of many words ".repeat(8);
    lab.acquire(
        "a/key",
        &["--reason", &reason, "--owner", "somebody with a name that is rather long: longer than others'"],
    );
    lab.feed(&["update", "z"], "1");
    lab.feed(&["update", &"a/long/name/".repeat(6)[..71]], "1");
    lab.acquire("b/key", &[]);
    lab.run(["break", "b/key", "--reason", &reason, "--yes", "-q"]);
    for args in [&["status", "a/key"][..], &["status", "b/key"], &["list"]] {
        let plain = lab.run(args).out;
        assert!(!plain.contains('\x1b'), "{plain}");
        let colored = pty::shown(&lab, args, &[]).out;
        assert!(colored.contains("\x1b[1m"), "{colored:?}");
        for env in [("NO_COLOR", "1"), ("TERM", "dumb"), ("LOCKD_COLOR", "never")] {
            let page = pty::shown(&lab, args, &[env]).out;
            assert!(!page.contains('\x1b'), "{env:?}: {page:?}");
            let long: Vec<&str> =
                page.lines().map(str::trim_end).filter(|l| l.chars().count() > 80 && !l.contains("disk://")).collect();
            assert!(long.is_empty(), "{long:#?}");
        }
        let asked = lab.run(args.iter().chain(&["--color", "always"])).out;
        assert!(asked.contains("\x1b[1m"), "{asked:?}");
    }
    assert!(lab.run(["status", "a/key"]).out.contains(reason.trim_end()), "elsewhere nothing is cut or wrapped");
    let never = lab.run(["status", "never"]);
    assert!(never.code == 0 && never.out.contains("never used"), "{}", never.out);
}
