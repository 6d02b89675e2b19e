//! Several servers on one directory, killed and started again while clients wait and hold.

use std::time::Duration;

use serde_json::json;

use super::server::{Client, Held, Reply, Server};
use crate::cli::lab::Lab;

fn start(lab: &Lab, name: &str) -> Server {
    let socket = format!("unix://{}", lab.path(&format!("run/{name}")).display());
    Server::start(lab, &["--store", &lab.store(), "--listen", &socket], 1)
}

fn ask(lease_id: &str) -> String {
    json!({ "key": "k", "owner": "x", "ttl_seconds": 60, "lease_id": lease_id, "txn_id": "t" }).to_string()
}

fn describe(server: &Server) -> serde_json::Value {
    server.call("GET", "/v1/describe?key=k", &[], "").json()
}

fn release(server: &Server, held: &Held) -> Reply {
    server.call("POST", "/v1/release", &held.proof(), &held.body())
}

/// The store, made by the first command that uses it: `serve` makes none.
fn lab() -> Lab {
    let lab = Lab::new();
    assert_eq!(lab.run(["list", "--store", &lab.store()]).code, 0);
    lab
}

/// Sends a request to a server that is killed soon after, and repeats it at another.
fn killed_meanwhile(
    victim: Server,
    other: &Server,
    patience: u32,
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (Option<Reply>, Reply) {
    let mut client = victim.connect(0);
    client.send("POST", target, headers, body).unwrap();
    for _ in 0..patience {
        std::thread::yield_now();
    }
    victim.kill();
    (client.reply().ok(), other.call("POST", target, headers, body))
}

#[test]
fn what_was_asked_at_a_killed_server_is_repeated_at_another() {
    let lab = lab();
    let mut victim = start(&lab, "a");
    let other = start(&lab, "b");
    let mut answered = 0;
    for round in 0..18u32 {
        let patience = (round / 3) * 60;
        let kill_at = round % 3;
        let go = |kill: bool, victim: Option<Server>, target: &str, headers: &[(&str, &str)], body: &str| match victim {
            Some(victim) if kill => {
                let (first, second) = killed_meanwhile(victim, &other, patience, target, headers, body);
                (first, second, None)
            }
            victim => (None, other.call("POST", target, headers, body), victim),
        };
        let asked = ask(&format!("lease-{round}"));
        let (first, second, left) = go(kill_at == 0, Some(victim), "/v1/acquire", &[], &asked);
        let held = Held::of(&second);
        assert_eq!(held.token, (round + 1).to_string(), "granted once");
        if let Some(first) = &first {
            answered += 1;
            assert_eq!(Held::of(first).token, held.token);
        }
        let [id, token] = held.proof();
        let request = format!("request-{round}");
        let headers = [id, token, ("X-Request-ID", request.as_str())];
        let (first, second, left) = go(kill_at == 1, left, "/v1/update?key=k", &headers, &round.to_string());
        for reply in first.iter().chain([&second]) {
            assert_eq!((reply.status, &reply.json()["new_version"]), (200, &json!(round + 1)), "{reply:?}");
        }
        answered += u32::from(first.is_some());
        let (first, second, left) = go(kill_at == 2, left, "/v1/release", &held.proof(), &held.body());
        for reply in first.iter().chain([&second]) {
            assert_eq!((reply.status, &reply.json()["outcome"]), (200, &json!("released")), "{reply:?}");
        }
        answered += u32::from(first.is_some());
        victim = left.unwrap_or_else(|| start(&lab, "a"));
        let state = victim.call("GET", "/v1/get?key=k", &[], "");
        assert_eq!(state.body, round.to_string().as_bytes(), "an acknowledged update is there");
    }
    println!("{answered} of 18 requests were answered before their server was killed");
}

#[test]
fn a_server_is_killed_and_started_again_while_clients_wait_and_hold() {
    let lab = lab();
    let server = start(&lab, "a");
    let held = Held::of(&server.call("POST", "/v1/acquire", &[], &ask("holder")));
    let waits = |server: &Server| {
        let mut waiting = server.connect(0);
        waiting.send("POST", "/v1/acquire", &[], &ask("waiter")).unwrap();
        while describe(server)["waiters"] != json!(1) {
            std::thread::yield_now();
        }
        waiting
    };
    let mut waiting = waits(&server);
    server.kill();
    assert!(waiting.reply().is_err(), "its connection is gone");
    let server = start(&lab, "a");
    let mut waiting = waits(&server);
    let keepalive = json!({ "key": "k", "lease_id": "holder", "ttl_seconds": 60 }).to_string();
    assert_eq!(server.call("POST", "/v1/keepalive", &held.proof(), &keepalive).status, 200);
    assert_eq!(server.call("POST", "/v1/update?key=k", &held.proof(), "1").status, 200);
    assert_eq!(release(&server, &held).json()["outcome"], json!("released"));
    let granted = Held::of(&waiting.reply().unwrap());
    assert_eq!((granted.id.as_str(), granted.token.as_str()), ("waiter", "2"));
}

#[test]
fn servers_and_commands_on_one_directory_honour_each_other() {
    let lab = lab();
    let (a, b) = (start(&lab, "a"), start(&lab, "b"));
    let held = Held::of(&a.call("POST", "/v1/acquire", &[], &ask("at-a")));
    let refused = lab.run(["acquire", "-n", "k"]);
    assert_eq!(refused.code, 75, "{}", refused.err);
    let mut waiting = Client::connect(&b.at[0]);
    waiting.send("POST", "/v1/acquire", &[], &ask("at-b")).unwrap();
    while describe(&b)["waiters"] != json!(1) {
        std::thread::yield_now();
    }
    assert_eq!(lab.status("k")["fencing_token"], json!(1));
    assert_eq!(release(&a, &held).status, 200);
    let at_b = Held::of(&waiting.reply().unwrap());
    assert_eq!(at_b.token, "2");
    // A server grants to its own waiter what another gives back, and what a command does.
    assert_eq!(release(&b, &at_b).status, 200);
    let lease = lab.acquire("k", &[]);
    let mut waiting = Client::connect(&a.at[0]);
    waiting.send("POST", "/v1/acquire", &[], &ask("at-a-again")).unwrap();
    while describe(&a)["waiters"] != json!(1) {
        std::thread::yield_now();
    }
    let released = crate::cli::lab::ran(lab.lockd().envs(lease).args(["release", "k"]));
    assert_eq!(released.code, 0, "{}", released.err);
    assert_eq!(Held::of(&waiting.reply().unwrap()).token, "4");
}

#[test]
fn servers_killed_in_a_crowd_lose_and_double_nothing() {
    let lab = lab();
    let (a, b) = (start(&lab, "a"), start(&lab, "b"));
    let at = [a.at[0].clone(), b.at[0].clone()];
    const CLIENTS: usize = 4;
    const ROUNDS: usize = 6;
    // Each adds one to the state, under a lease, by compare-and-swap on nothing but the lease.
    let count = |n: usize| {
        for round in 0..ROUNDS {
            add_one(&at, n, round);
        }
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..CLIENTS).map(|n| scope.spawn(move || count(n))).collect();
        let mut running = [Some(a), Some(b)];
        let mut turn = 0;
        while workers.iter().any(|worker| !worker.is_finished()) {
            running[turn].take().unwrap().kill();
            running[turn] = Some(start(&lab, ["a", "b"][turn]));
            // The other one, once this one has passed the key on.
            let one = running[turn].as_ref().unwrap();
            let before = describe(one)["version"].clone();
            while workers.iter().any(|worker| !worker.is_finished()) && describe(one)["version"] == before {
                std::thread::yield_now();
            }
            turn = 1 - turn;
        }
    });
    let end = start(&lab, "c");
    let state = end.call("GET", "/v1/get?key=k", &[], "");
    assert_eq!(state.json(), json!(CLIENTS * ROUNDS), "each addition was made once");
    assert_eq!(describe(&end)["version"], json!(CLIENTS * ROUNDS));
}

/// Asks one server after the other, with the same ids, until one answers for certain.
fn insist(at: &[String; 2], n: usize, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
    for turn in n.. {
        let reply =
            Client::try_connect(&at[turn % 2]).and_then(|mut client| client.call("POST", target, headers, body));
        match reply {
            Ok(reply) if !matches!(reply.status, 503 | 504) => return reply,
            _ => std::thread::yield_now(),
        }
    }
    unreachable!()
}

fn add_one(at: &[String; 2], n: usize, round: usize) {
    let id = format!("lease-{n}-{round}");
    let body = json!({ "key": "k", "owner": "x", "ttl_seconds": 120, "lease_id": id, "txn_id": "t" }).to_string();
    let held = loop {
        let reply = insist(at, n, "/v1/acquire", &[], &body);
        // A poll is over; the next one has the same place.
        if reply.status != 409 || reply.json()["error"] != "waiting" {
            break Held::of(&reply);
        }
    };
    let [lease, token] = held.proof();
    let seen = insist(at, n, "/v1/get?key=k", &held.proof(), "");
    let before = if seen.status == 204 { 0 } else { seen.json().as_u64().unwrap() };
    let request = format!("request-{n}-{round}");
    let headers = [lease, token, ("X-Request-ID", request.as_str())];
    let update = insist(at, n, "/v1/update?key=k", &headers, &(before + 1).to_string());
    assert_eq!(update.status, 200, "{update:?}");
    let released = insist(at, n, "/v1/release", &held.proof(), &held.body());
    assert_eq!(released.json()["outcome"], json!("released"), "{released:?}");
}

/// A hand-over between two servers, printed and not asserted.
#[test]
fn hand_over_between_servers() {
    let lab = lab();
    let (a, b) = (start(&lab, "a"), start(&lab, "b"));
    let held = Held::of(&a.call("POST", "/v1/acquire", &[], &ask("at-a")));
    let mut waiting = Client::connect(&b.at[0]);
    waiting.send("POST", "/v1/acquire", &[], &ask("at-b")).unwrap();
    while describe(&b)["waiters"] != json!(1) {
        std::thread::yield_now();
    }
    let clock = lockd::clock::SystemClock;
    let began = lockd::clock::Clock::boot(&clock);
    release(&a, &held);
    Held::of(&waiting.reply().unwrap());
    let took: Duration = lockd::clock::Clock::boot(&clock).since(began);
    println!("from a release at one server to the answer at another: {took:?}");
}
