//! `lockd serve` as a process: addresses, settings, logs, signals, memory; several on one store, and killed.

mod replicas;
pub mod server;

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::{Value, json};

use super::lab::Lab;
use server::{Client, Held, Server};

const ANY: &str = "127.0.0.1:0";

fn acquire(key: &str) -> String {
    json!({ "key": key, "owner": "tester", "ttl_seconds": 30 }).to_string()
}

#[test]
fn it_serves_on_tcp_and_a_socket_and_drains_on_term() {
    let lab = Lab::new();
    let socket = format!("unix://{}", lab.path("run/lockd.sock").display());
    let mut server = Server::start(&lab, &["--store", "mem://", "--listen", ANY, "--listen", &socket], 2);
    let mode = std::fs::metadata(lab.path("run/lockd.sock")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let held = Held::of(&server.call("POST", "/v1/acquire", &[], &acquire("k")));
    let mut over_socket = server.connect(1);
    assert_eq!(over_socket.call("GET", "/readyz", &[], "").unwrap().status, 200);
    over_socket.send("POST", "/v1/acquire", &[], &acquire("k")).unwrap();
    let known = |server: &Server| server.call("GET", "/v1/describe?key=k", &[], "").json();
    while known(&server)["waiters"] != json!(1) {
        std::thread::yield_now();
    }
    server.signal(Signal::TERM);
    server.says("draining");
    let sent_away = over_socket.reply().unwrap();
    assert_eq!((sent_away.status, sent_away.json()["error"].as_str()), (503, Some("shutdown_draining")));
    // The holder finishes.
    assert_eq!(server.call("POST", "/v1/update?key=k", &held.proof(), "1").status, 200);
    assert_eq!(server.call("POST", "/v1/release", &held.proof(), &held.body()).status, 200);
    let ended = server.ended();
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(!lab.path("run/lockd.sock").exists(), "its socket goes with it");
}

/// Every line of the example of an env-file, those that are commented out too, is a setting of this command, and none is missing.
#[test]
fn it_serves_as_the_example_of_an_env_file_says() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.serve.example")).unwrap();
    let live = text.replace("\n#LOCKD_", "\nLOCKD_");
    let names: Vec<String> = dotenvy::from_read_iter(live.as_bytes()).map(|entry| entry.unwrap().0).collect();
    let lab = Lab::new();
    let (flags, known) = (lab.run(["serve", "--help"]).out, lab.run(["help", "env"]).out);
    for name in &names {
        assert!(known.contains(&format!("  {name} ")), "{name} is no setting");
    }
    for setting in ["listen", "insecure", "max-ttl", "drain", "log"] {
        assert!(flags.contains(&format!("--{setting}")), "{setting} is no flag any more");
        let name = format!("LOCKD_{}", setting.replace('-', "_").to_uppercase());
        assert!(names.contains(&name), "{name} is missing");
    }
    assert_eq!(lab.run(["list", "--store", &lab.store()]).code, 0);
    let here = live
        .replace("disk:///var/lib/lockd", &lab.store())
        .replace("127.0.0.1:9341,unix:///run/lockd", &format!("{ANY},unix://{}", lab.path("run").display()));
    let file = lab.file("serve.env", here);
    let mut command = lab.plain();
    command.args(["--env-file", file.to_str().unwrap(), "serve"]);
    let server = Server::from(command, 2);
    assert_eq!(server.call("GET", "/readyz", &[], "").status, 200);
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code, 0);
}

#[test]
fn a_second_signal_ends_the_drain() {
    let lab = Lab::new();
    let mut server = Server::start(&lab, &["--store", "mem://", "--listen", ANY, "--drain", "10m"], 1);
    let _held = Held::of(&server.call("POST", "/v1/acquire", &[], &acquire("k")));
    server.signal(Signal::INT);
    server.says("draining held=1");
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code, 0);
}

#[test]
fn a_socket_of_another_is_left_alone_and_a_stale_one_replaced() {
    let lab = Lab::new();
    let socket = format!("unix://{}", lab.path("run/s").display());
    let args = ["--store", "mem://", "--listen", &socket];
    let first = Server::start(&lab, &args, 1);
    let second = lab.run(["serve"].iter().chain(&args));
    assert_eq!(second.code, 73, "{}", second.err);
    assert!(second.err.contains("something is there already"), "{}", second.err);
    assert_eq!(first.call("GET", "/healthz", &[], "").status, 200);
    first.kill();
    let again = Server::start(&lab, &args, 1);
    assert_eq!(again.call("GET", "/healthz", &[], "").status, 200);
    drop(again);
    lab.file("run/file", "");
    let file = format!("unix://{}", lab.path("run/file").display());
    assert_eq!(lab.run(["serve", "--store", "mem://", "--listen", &file]).code, 73, "no socket of ours");
    assert!(lab.path("run/file").is_file());
}

#[test]
fn bad_addresses_and_settings_are_refused_before_anything_starts() {
    let lab = Lab::new();
    for (args, code, says) in [
        (&["--listen", "0.0.0.0:0"][..], 64, "--insecure"),
        (&["--listen", "[::]:0"][..], 64, "no authentication"),
        (&["--listen", "nonsense"][..], 64, "127.0.0.1:9341"),
        (&["--listen", "unix://relative"][..], 64, "not absolute"),
        (&["--listen", ANY, "--max-ttl", "1ms"][..], 64, "max-ttl"),
        (&["--listen", ANY, "--drain", "100h"][..], 64, "drain"),
        (&["--listen", ANY, "--log", "xml"][..], 64, "neither text nor json"),
        (&["--listen", ANY, "--server", "http://127.0.0.1:1"][..], 64, "names another server"),
        (&["--listen", ANY, "--store", "disk:///nowhere/at/all"][..], 78, "nowhere"),
    ] {
        let store =
            if args.contains(&"--store") || args.contains(&"--server") { &[][..] } else { &["--store", "mem://"] };
        let ran = lab.run(["serve"].iter().chain(args).chain(store));
        assert_eq!(ran.code, code, "{args:?}: {}", ran.err);
        assert!(ran.err.contains(says), "{args:?}: {}", ran.err);
    }
    let ran = lab.run(["serve", "--listen", ANY]);
    assert_eq!(ran.code, 78, "serve never makes a store: {}", ran.err);
    let warned = Server::start(&lab, &["--store", "mem://", "--listen", "0.0.0.0:0", "--insecure"], 1);
    assert!(warned.said.iter().any(|line| line.contains("WARN") && line.contains("break every lock")));
}

#[test]
fn settings_come_from_everywhere() {
    let lab = Lab::new();
    let from = |set: &dyn Fn(&mut std::process::Command)| {
        let mut command = lab.plain();
        command.args(["serve", "--store", "mem://"]);
        set(&mut command);
        let server = Server::from(command, 1);
        let ttl = json!({ "key": "k", "owner": "x", "ttl_seconds": 600 }).to_string();
        server.call("POST", "/v1/acquire", &[], &ttl).json()["expires_in_ms"].as_u64().unwrap().next_multiple_of(1_000)
    };
    let env_file = lab.file("serve.env", format!("LOCKD_LISTEN={ANY}\nLOCKD_MAX_TTL=7s\n"));
    let yaml = lab.file("serve.yaml", format!("listen: {ANY}\nmax_ttl: 8s\n"));
    assert_eq!(
        from(&|c| {
            let _ = c.env("LOCKD_LISTEN", ANY).env("LOCKD_MAX_TTL", "6s");
        }),
        6_000
    );
    assert_eq!(
        from(&|c| {
            let _ = c.arg("--env-file").arg(&env_file);
        }),
        7_000
    );
    assert_eq!(
        from(&|c| {
            let _ = c.arg("--config").arg(&yaml);
        }),
        8_000
    );
    assert_eq!(
        from(&|c| {
            let _ = c.arg("--config").arg(&yaml).args(["--max-ttl", "9s"]);
        }),
        9_000
    );
}

#[test]
fn logs_say_what_was_asked_and_no_secrets() {
    for format in ["text", "json"] {
        let lab = Lab::new();
        let mut server = Server::start(&lab, &["--store", "mem://", "--listen", ANY, "--log", format, "-v"], 1);
        let reply = server.call("POST", "/v1/acquire", &[("X-Correlation-Id", "of-mine")], &acquire("k"));
        let held = Held::of(&reply);
        let line = server.says("of-mine");
        assert!(line.contains("acquire") && line.contains("200"), "{line}");
        let [id, token] = held.proof();
        server.call("POST", "/v1/update?key=k", &[id, token], "\"the state itself\"");
        let named = [id, token, ("X-Request-ID", "change-7"), ("X-Correlation-Id", "of-the-change")];
        server.call("POST", "/v1/update?key=k&namespace=jobs", &named, "\"the state itself\"");
        let line = server.says("of-the-change");
        assert!(line.contains("jobs") && line.contains("change-7") && line.contains("lease_required"), "{line}");
        for (method, target, code) in
            [("GET", "/v1/nowhere", "not_found"), ("GET", "/v1/acquire", "method_not_allowed")]
        {
            server.call(method, target, &[("X-Correlation-Id", code)], "");
            let line = server.says("correlation");
            assert!(line.matches(code).count() >= 2 && !line.contains("error=\"\""), "{line}");
        }
        server.call("POST", "/v1/update?key=k", &held.proof(), "the state itself");
        server.call("POST", "/v1/release", &held.proof(), &held.body());
        server.signal(Signal::TERM);
        let ended = server.ended();
        assert_eq!(ended.code, 0);
        for secret in ["the state itself", &held.id] {
            assert!(!ended.err.contains(secret), "{secret} in {}", ended.err);
        }
        if format == "json" {
            for line in ended.err.lines() {
                let line: Value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                assert!(line["level"].is_string() && line["message"].is_string() && line["timestamp"].is_string());
            }
        }
    }
}

/// What a state of 100 MiB may cost beyond what the server took before, both ways together.
const ROOM: u64 = 40 * 1024 * 1024;

#[test]
fn a_state_of_100_mib_goes_in_and_out_at_constant_memory() {
    let lab = Lab::new();
    lab.run(["list", "--store", &lab.store()]);
    let socket = format!("unix://{}", lab.path("run/s").display());
    let server = Server::start(&lab, &["--store", &lab.store(), "--listen", &socket], 1);
    let held = Held::of(&server.call("POST", "/v1/acquire", &[], &acquire("k")));
    let before = server.peak();
    let len: usize = 100 * 1024 * 1024;
    let mut client = server.connect(0);
    let [id, token] = held.proof();
    let head = format!(
        "POST /v1/update?key=k HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {len}\r\n{}: {}\r\n{}: {}\r\n\r\n",
        id.0, id.1, token.0, token.1
    );
    client.write(head.as_bytes()).unwrap();
    assert_eq!(client.head().unwrap().0, 100);
    client.write(b"\"").unwrap();
    let piece = vec![b'x'; 1024 * 1024];
    let mut left = len - 2;
    while left > 0 {
        let n = left.min(piece.len());
        client.write(&piece[..n]).unwrap();
        left -= n;
    }
    client.write(b"\"").unwrap();
    let reply = client.reply().unwrap();
    assert_eq!((reply.status, &reply.json()["bytes"]), (200, &json!(len)), "{reply:?}");
    client.send("GET", "/v1/get?key=k", &[], "").unwrap();
    let (status, head) = client.head().unwrap();
    assert!(status == 200 && head.contains(&format!("content-length: {len}\r\n")), "{head}");
    let mut xs = 0;
    client.drain(len as u64, |piece| xs += piece.iter().filter(|b| **b == b'x').count()).unwrap();
    assert_eq!(xs, len - 2);
    let cost = server.peak() - before;
    println!("a state of 100 MiB, both ways: {} MiB beyond {} MiB", cost >> 20, before >> 20);
    assert!(cost < ROOM, "{} MiB", cost >> 20);
}

#[test]
fn an_example_of_the_help_works() {
    let lab = Lab::new();
    let help = lab.run(["serve", "--help"]).out;
    assert!(help.contains("LOCKD_STORE=mem:// lockd serve --log json"), "{help}");
    let mut command = lab.plain();
    command.env("LOCKD_STORE", "mem://").args(["serve", "--log", "json", "--listen", ANY]);
    let server = Server::from(command, 1);
    assert_eq!(Client::connect(&server.at[0]).call("GET", "/healthz", &[], "").unwrap().status, 200);
}
