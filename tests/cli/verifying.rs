//! `verify store` at a terminal: good places are accepted, bad ones refused with what to do, and nothing stays behind.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use super::lab::{Lab, Ran, finished, ran};
use super::pty::shown;
use super::serve::server::Server;

fn place(lab: &Lab, name: &str, mode: u32) -> String {
    let path = lab.path(name);
    std::fs::create_dir(&path).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn quick(lab: &Lab, path: &str) -> Ran {
    lab.run(["verify", "store", "--quick", path])
}

/// A line of the answer: the word, the check, and what it says.
fn says(ran: &Ran, word: &str, check: &str, text: &str) {
    let found = ran.out.lines().any(|line| {
        let mut words = line.split_whitespace();
        (words.next(), words.next()) == (Some(word), Some(check)) && line.contains(text)
    });
    assert!(found, "no {word} {check} with {text:?} in:\n{}{}", ran.out, ran.err);
}

#[test]
fn a_good_directory_is_accepted_and_left_as_it_was() {
    let lab = Lab::new();
    let good = place(&lab, "good", 0o700);
    let ran = quick(&lab, &good);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert!(ran.out.ends_with("s\n") && ran.out.contains("it can hold locks"), "{}", ran.out);
    assert_eq!(std::fs::read_dir(&good).unwrap().count(), 0, "nothing stays");
    assert!(!ran.out.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn it_works_on_a_store_in_use_and_with_no_configuration() {
    let lab = Lab::new();
    let none = lab.run(["verify", "store", "--quick"]);
    assert_eq!(none.code, 0, "{}{}", none.out, none.err);
    says(&none, "ok", "directory", "will be made");
    assert!(!lab.path("state/lockd").exists());

    assert_eq!(lab.feed(&["update", "k"], "1").code, 0);
    let before = lab.status("k");
    let listed = lab.run(["list"]).out.lines().count();
    let used = lab.run(["verify", "store", "--quick"]);
    assert_eq!(used.code, 0, "{}{}", used.out, used.err);
    says(&used, "ok", "contents", "epoch 0");
    assert_eq!(lab.status("k")["version"], before["version"]);
    assert_eq!(lab.run(["list"]).out.lines().count(), listed, "none of its keys stays");
}

#[test]
fn json_has_one_entry_for_each_check() {
    let lab = Lab::new();
    let ran = lab.run(["verify", "store", "--quick", "--json", &place(&lab, "good", 0o700)]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let body: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&body["schema"], &body["ok"]), (&1.into(), &true.into()));
    let checks = body["checks"].as_array().unwrap();
    assert_eq!(body["summary"]["ok"], checks.len());
    for check in checks {
        assert!(check["id"].is_string() && check["outcome"] == "ok" && check["saw"].is_string(), "{check}");
    }
    assert!(body["speed"]["write_us"].as_u64() > Some(0) && body["took_ms"].is_u64(), "{body}");
    let yaml = lab.run(["verify", "store", "--quick", "-o", "yaml", "mem://"]);
    assert!(yaml.code == 0 && yaml.out.starts_with("schema: 1"), "{}", yaml.out);
}

#[test]
fn what_is_no_place_for_a_store_is_refused_with_what_to_do() {
    let lab = Lab::new();
    let missing = quick(&lab, lab.path("none").to_str().unwrap());
    says(&missing, "FAIL", "directory", "mkdir -m 700");
    assert!(!lab.path("none").exists());

    let file = lab.file("file", "hello");
    let in_its_place = quick(&lab, file.to_str().unwrap());
    says(&in_its_place, "FAIL", "directory", "is a file; name a directory");
    assert_eq!(in_its_place.err, "");

    let open = quick(&lab, &place(&lab, "open", 0o777));
    says(&open, "FAIL", "mode", "chmod o-w");
    let closed = quick(&lab, &place(&lab, "closed", 0o500));
    says(&closed, "FAIL", "mode", "chmod u+rwx");
    for ran in [missing, in_its_place, open, closed] {
        assert_eq!(ran.code, 1, "{}", ran.out);
        assert!(ran.out.contains("do not keep locks in it"), "{}", ran.out);
    }
}

/// One process at a time has such a store: there is nobody to race, and a second one must be kept out.
#[test]
fn an_lsm_store_is_checked_by_one_process_that_keeps_others_out() {
    let lab = Lab::new();
    let url = format!("lsm://{}", place(&lab, "l", 0o700));
    let ran = lab.run(["verify", "store", "--quick", "--allow-volatile", &url]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    says(&ran, "ok", "processes", "a second process is kept out");
    assert_eq!(std::fs::read_dir(lab.path("l")).unwrap().count(), 0, "nothing stays");
    let peer = lab.run(["verify", "store", "--peer", "--allow-volatile", &url]);
    assert_eq!(peer.code, 1, "{}", peer.out);
    says(&peer, "FAIL", "peer", "name a store that hosts share");

    assert_eq!(lab.run(["list", "--store", &url]).code, 0);
    let mut server = Server::start(&lab, &["--store", &url, "--listen", "127.0.0.1:0", "-v"], 1);
    assert!(server.said.iter().any(|line| line.contains("check=\"processes\"")), "{:?}", server.said);
    let served = lab.run(["verify", "store", "--quick", "--allow-volatile", &url]);
    assert_eq!(served.code, 0, "while a server has it open: {}", served.out);
    let restored = lab.run(["verify", "store", "--quick", "--allow-volatile", "--restored", &url]);
    assert_eq!(restored.code, 1, "{}", restored.out);
    says(&restored, "FAIL", "restored", "has it open");
    server.signal(rustix::process::Signal::TERM);
    server.says("draining");
    assert_eq!(server.ended().code, 0);
    let restored = lab.run(["verify", "store", "--quick", "--allow-volatile", "--restored", &url]);
    says(&restored, "ok", "restored", "from 0 to 1");
    assert_eq!(lab.run(["list", "--store", &url]).code, 0, "it opens as before");
}

/// A server's store is verified where the store is.
#[test]
fn a_server_is_no_store() {
    let lab = Lab::new();
    let mut command = lab.lockd();
    let ran = ran(command.env("LOCKD_SERVER", "http://127.0.0.1:9341").args(["verify", "store"]));
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("name the store that is behind it"), "{}", ran.err);
}

#[test]
fn a_restored_backup_gets_a_higher_epoch_and_so_higher_tokens() {
    let lab = Lab::new();
    assert_eq!(lab.run(["exec", "k", "--", "true"]).code, 0);
    let ran = lab.run(["verify", "store", "--quick", "--restored"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    says(&ran, "ok", "restored", "from 0 to 1");
    let lease = lab.acquire("k", &[]);
    let token = lease.iter().find(|(name, _)| name == "LOCKD_FENCING_TOKEN").unwrap();
    assert!(token.1.parse::<u64>().unwrap() >= 1 << 32, "{token:?}");
}

#[test]
fn bad_questions_are_usage() {
    let lab = Lab::new();
    for (args, says) in [
        (&["--processes", "1"][..], "2..=64"),
        (&["--quick", "--full"], "cannot be used with"),
        (&["--peer", "--quick"], "cannot be used with"),
        (&["--soak", "soon"], "--soak"),
        (&["ftp://x"], "help stores"),
        (&["--store", "mem://", "mem://"], "named already"),
    ] {
        let ran = lab.run(["verify", "store"].iter().chain(args));
        assert_eq!(ran.code, 64, "{args:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    assert_eq!(lab.run(["verify", "stor"]).code, 64);
}

/// Ctrl-C, and the death of the one that gives the orders: the checks' place goes with them.
#[test]
fn nothing_stays_after_an_interrupt_or_a_kill() {
    use rustix::process::{Pid, Signal, kill_process};
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::KILL, 137)] {
        let lab = Lab::new();
        let good = place(&lab, "good", 0o700);
        let mut command = lab.plain();
        command.args(["verify", "store", "--quick", "--allow-volatile", "--soak", "1h", &good]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // The soak begins once all else is done: the count of processes is the last line before it.
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("process-count")));
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(finished(&child.wait_with_output().unwrap()).code, code);
        // A worker that was left alone removes the place when it notices, which is soon.
        ran(&mut lab.shell("sh", &format!("while [ -n \"$(ls -A {good})\" ]; do sleep 0.05; done")));
        assert_eq!(std::fs::read_dir(&good).unwrap().count(), 0, "{signal:?}");
    }
}

/// Killed at its first write, before there are processes that race.
#[test]
fn nothing_stays_after_a_kill_at_the_beginning() {
    use rustix::process::{Pid, Signal, kill_process};
    let lab = Lab::new();
    let good = place(&lab, "good", 0o700);
    let mut command = lab.plain();
    command.args(["verify", "store", "--allow-volatile", &good]).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let is_empty = || std::fs::read_dir(&good).unwrap().count() == 0;
    while is_empty() {
        assert!(child.try_wait().unwrap().is_none(), "it ended and had made nothing");
        std::thread::yield_now();
    }
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    let gone = format!("timeout 20 sh -c 'while [ -n \"$(ls -A {good})\" ]; do sleep 0.05; done'");
    assert_eq!(ran(&mut lab.shell("sh", &gone)).code, 0, "it is left behind");
}

/// What a value has that a schema does not allow; only the words that the committed schema uses.
fn complaints(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let is = |kind: &Value| match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64(),
        Some("null") => value.is_null(),
        other => panic!("{other:?}"),
    };
    let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    let mut found = Vec::new();
    if !kinds.iter().any(is) || schema["enum"].as_array().is_some_and(|known| !known.contains(value)) {
        found.push(format!("{at}: {value}"));
    }
    for name in schema["required"].as_array().into_iter().flatten() {
        if value.get(name.as_str().unwrap()).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (name, value) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => found.extend(complaints(value, schema, &format!("{at}/{name}"))),
            None => found.push(format!("{at}: {name} is not in the schema")),
        }
    }
    for (n, value) in value.as_array().into_iter().flatten().enumerate() {
        found.extend(complaints(value, &schema["items"], &format!("{at}/{n}")));
    }
    found
}

#[test]
fn json_is_as_its_schema_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/verify-store.schema.json");
    let schema: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let lab = Lab::new();
    for path in [place(&lab, "good", 0o700), place(&lab, "open", 0o777), lab.path("none").display().to_string()] {
        let ran = lab.run(["verify", "store", "--quick", "--json", &path]);
        let body: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(complaints(&body, &schema, ""), Vec::<String>::new(), "{body}");
        assert_eq!(body["ok"], ran.code == 0);
    }
    assert_eq!(complaints(&serde_json::json!({"schema": 2, "more": 1}), &schema, "").len(), 7);
}

#[test]
fn a_terminal_gets_colours_and_lines_of_80_columns() {
    let lab = Lab::new();
    let open = place(&lab, "open", 0o777);
    let args = ["verify", "store", "--quick", "--allow-volatile", &open];
    let colours = shown(&lab, &args, &[]);
    assert_eq!(colours.code, 1, "{}", colours.out);
    assert!(colours.out.contains("\x1b[31mFAIL") && colours.out.contains("\x1b[32mok"), "{}", colours.out);
    let plain = shown(&lab, &args, &[("NO_COLOR", "1")]);
    assert!(!plain.out.contains("\x1b[3"), "{}", plain.out);
    let long = |line: &&str| line.chars().count() > 80 && !line.contains(&open);
    assert_eq!(plain.out.lines().find(long), None);
    assert!(plain.out.contains("-> take that away: chmod o-w"), "{}", plain.out);
}
