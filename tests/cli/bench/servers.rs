//! The same over servers: what they do is measured, and their store is theirs.

use rustix::process::Signal;
use serde_json::Value;

use super::super::lab::{Lab, Ran};
use super::super::pty::Pty;
use super::super::serve::server::Server;

const ANY: &str = "127.0.0.1:0";
const NAMESPACE: &str = "lockd-bench";

/// A server over the lab's own store, on a socket.
fn on_socket(lab: &Lab) -> (Server, String) {
    assert_eq!(lab.run(["status", "k"]).code, 0, "it makes the store");
    let socket = format!("unix://{}", lab.path("run/lockd.sock").display());
    let server = Server::start(lab, &["--store", &lab.store(), "--listen", &socket, "--listen", ANY], 2);
    (server, socket)
}

fn bench(lab: &Lab, servers: &str, args: &[&str]) -> Ran {
    let short = ["bench", "--server", servers, "--clients", "2", "--runs", "2", "--duration", "50ms"];
    lab.run(short.iter().chain(args))
}

/// Keys of measurements that are held or have a state.
fn left(lab: &Lab, server: &str) -> Vec<Value> {
    let ran = lab.run(["list", "--server", server, "--namespace", NAMESPACE, "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let all: Value = serde_json::from_str(&ran.out).unwrap();
    let keys = all["keys"].as_array().unwrap().iter();
    keys.filter(|key| key["held"] == true || key["state_bytes"] != 0).cloned().collect()
}

fn names(results: &Value) -> Vec<&str> {
    results.as_array().unwrap().iter().map(|result| result["work"].as_str().unwrap()).collect()
}

#[test]
fn every_suite_over_a_socket_and_over_tcp() {
    let lab = Lab::new();
    let (server, socket) = on_socket(&lab);
    let tcp = format!("http://{}", server.at[1].trim_start_matches("http://"));
    for url in [&socket, &tcp] {
        let ran = bench(&lab, url, &["--json", "--keys", "20"]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        let all: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((all["store"].as_str(), all["about"].as_str()), (Some(&**url), Some("a server")));
        assert_eq!(
            names(&all["results"]),
            ["lease", "update 1 KiB", "update 5 MiB", "stream 16 MiB", "handoff", "scale 20", "crash"]
        );
        all["results"].as_array().unwrap().iter().for_each(check);
        assert!(ran.err.contains("raw is left out"), "{}", ran.err);
        assert_eq!(left(&lab, url), Vec::<Value>::new());
    }
    assert_eq!(lab.run(["list", "--server", &socket]).out, "", "nothing among the keys of users");
    server.signal(Signal::TERM);
    assert_eq!(server.ended().code, 0);
}

/// What one result says fits the work.
fn check(result: &Value) {
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {result}"));
    assert_eq!((&result["missed"], &result["errors"]), (&0.into(), &serde_json::json!({})));
    assert!(result["operations"].as_u64().unwrap() >= 2, "{result}");
    let puts = number(&result["store_requests_per_operation"]["put"]);
    // One write for each change; the lease that keeps other measurements out may be renewed meanwhile.
    let expected = match result["suite"].as_str().unwrap() {
        "lease" | "scale" => 2.0..=2.5,
        "update" | "stream" => 3.0..=3.5,
        // Of all its processes, the killed ones too.
        "crash" => 1.5..=30.0,
        _ => 1.0..=8.0,
    };
    assert!(expected.contains(&puts), "{puts} puts: {result}");
    let share = number(&result["generator_cpu_share"]);
    assert!((0.0..=1.0).contains(&share) && number(&result["cpu_us_per_operation"]) > 0.0, "{result}");
}

#[test]
fn a_table_says_whose_figures_they_are() {
    let lab = Lab::new();
    let (_server, socket) = on_socket(&lab);
    let ran = bench(&lab, &socket, &["lease"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with(&format!("{socket} (a server)\n")), "{}", ran.out);
    assert!(ran.out.contains("those of this process, which makes the load"), "{}", ran.out);
    let row = ran.out.lines().find(|line| line.starts_with("lease")).unwrap();
    let columns: Vec<&str> = row.split_whitespace().collect();
    assert!(columns[8].parse::<f64>().unwrap() >= 2.0, "requests to the store are the server's own count: {row}");
}

#[test]
fn the_load_is_spread_over_the_servers() {
    let lab = Lab::new();
    let (first, socket) = on_socket(&lab);
    let second = Server::start(&lab, &["--store", &lab.store(), "--listen", ANY], 1);
    let both = format!("{socket},http://{}", second.at[0].trim_start_matches("http://"));
    let ran = bench(&lab, &both, &["lease", "handoff", "--json"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let all: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(all["about"], "2 servers");
    for server in [&first, &second] {
        let metrics = server.call("GET", "/metrics", &[], "").body;
        let metrics = String::from_utf8(metrics).unwrap();
        let grants = metrics.lines().find_map(|line| line.strip_prefix("lockd_grants_total ")).unwrap();
        assert!(grants.parse::<u64>().unwrap() >= 4, "{metrics}");
    }
}

#[test]
fn what_needs_a_store_or_a_server_says_so() {
    let lab = Lab::new();
    let (server, socket) = on_socket(&lab);
    let ran = bench(&lab, &socket, &["lease", "raw"]);
    assert_eq!((ran.code, ran.out.as_str()), (64, ""), "{}", ran.err);
    assert!(
        ran.err.contains("raw cannot be run here: it measures a store itself") && ran.err.contains("--store"),
        "{}",
        ran.err
    );
    let ran = bench(&lab, &socket, &["--replicas", "2"]);
    assert_eq!(ran.code, 64, "{}", ran.err);
    assert!(ran.err.contains("as many as --server names"), "{}", ran.err);
    server.kill();
    let ran = bench(&lab, &socket, &["lease"]);
    assert_eq!((ran.code, ran.out.as_str()), (69, ""), "{}", ran.err);
    assert!(ran.err.contains("cannot connect"), "{}", ran.err);
}

#[test]
fn one_at_a_time_and_after_one_that_was_killed() {
    let lab = Lab::new();
    let (_server, socket) = on_socket(&lab);
    let other = ["--server", &socket, "--namespace", NAMESPACE];
    let ran = lab.run(["acquire", "running", "--reason", "lockd bench"].iter().chain(&other));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = bench(&lab, &socket, &["lease"]);
    assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{}", ran.err);
    assert!(ran.err.contains("lockd bench"), "{}", ran.err);
    let broken = ["break", "running", "--yes", "--reason", "it is gone"];
    assert_eq!(lab.run(broken.iter().chain(&other)).code, 0);
    // It left a lease and a state.
    assert_eq!(lab.feed(&["update", "update-1024/0", "--server", &socket, "--namespace", NAMESPACE], "1").code, 0);
    assert_eq!(lab.run(["acquire", "lease/0"].iter().chain(&other)).code, 0);
    assert_eq!(left(&lab, &socket).len(), 2);
    let ran = bench(&lab, &socket, &["lease"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(left(&lab, &socket), Vec::<Value>::new());
}

#[test]
fn an_interrupt_leaves_neither_leases_nor_states() {
    let lab = Lab::new();
    let (_server, socket) = on_socket(&lab);
    let mut terminal = Pty::start(&lab, &["bench", "update", "--duration", "1h", "--server", &socket], &[]);
    for _ in 0..5 {
        terminal.expect("update 1 KiB, run 1 of 5");
        terminal.forget();
    }
    terminal.type_in("\x03");
    let ran = terminal.end();
    assert_eq!(ran.code, 130, "{}", ran.out);
    assert!(ran.out.contains("update 1 KiB"), "{}", ran.out);
    assert_eq!(left(&lab, &socket), Vec::<Value>::new());
}
