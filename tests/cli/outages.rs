//! Commands that wait over a server that goes away: they wait for it, too, until their time is over or a signal comes.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, join, select};
use lockd::client::{Client, Delay};
use lockd::clock::SystemClock;
use lockd::connect::{self, Carrier};
use lockd::entropy::KernelEntropy;
use lockd::service::OnDisconnect;
use rustix::process::{Pid, Signal, kill_process};

use super::lab::{Lab, finished, ran};
use super::servers::{unix, waiting};

/// A wait goes on at its only server when that is started again, however it ended; the queue is a new one.
#[test]
fn a_wait_outlives_its_only_server() {
    for end in [Signal::KILL, Signal::TERM] {
        let lab = Lab::new();
        let mut server = unix(&lab);
        let url = server.url.clone();
        let held = lab.acquire("k", &["--ttl", "1h"]);
        let waits = [
            waiting(&lab, &url, &["exec", "k", "--", "echo", "ran"]),
            waiting(&lab, &url, &["acquire", "-w", "1h", "k", "--ttl", "2s"]),
        ];
        server.signal(end);
        server.wait();
        // Who comes now, and who does not wait, hear that nobody is there.
        for args in [&["acquire", "k"][..], &["acquire", "-n", "k"], &["exec", "-w", "1h", "k", "--", "true"]] {
            let ran = ran(lab.lockd().env("LOCKD_SERVER", &url).args(args));
            assert_eq!(ran.code, 69, "{end:?} {args:?}: {}", ran.err);
        }
        let server = unix(&lab);
        let released = ran(lab.lockd().envs(held).args(["release", "k"]));
        assert_eq!(released.code, 0, "{}", released.err);
        for child in waits {
            let ran = finished(&child.wait_with_output().unwrap());
            assert_eq!(ran.code, 0, "{end:?}: {}", ran.err);
            assert!(ran.err.contains("asking again until there is an answer"), "{}", ran.err);
        }
        drop(server);
    }
}

/// A wait whose server stays away ends at once by a signal, and in its time.
#[test]
fn a_wait_without_a_server_ends_by_a_signal_and_in_its_time() {
    let lab = Lab::new();
    let mut server = unix(&lab);
    lab.acquire("k", &["--ttl", "1h"]);
    let told = waiting(&lab, &server.url, &["exec", "k", "--", "true"]);
    let timed = waiting(&lab, &server.url, &["acquire", "-w", "5s", "k"]);
    server.kill();
    let ran = finished(&timed.wait_with_output().unwrap());
    assert!([69, 83].contains(&ran.code), "{}: {}", ran.code, ran.err);
    kill_process(Pid::from_child(&told), Signal::INT).unwrap();
    let ran = finished(&told.wait_with_output().unwrap());
    assert_eq!(ran.code, 130, "{}", ran.err);
}

/// The same for programs, over both wires, with leases of both kinds.
#[tokio::test]
async fn a_wait_of_a_program_outlives_its_only_server() {
    for carrier in [Carrier::Threads, Carrier::Runtime] {
        for end in [Signal::KILL, Signal::TERM] {
            let lab = Lab::new();
            let mut server = unix(&lab);
            let service = connect::servers([&server.url], carrier, Arc::new(SystemClock)).unwrap();
            let client = Client::new(service, Arc::new(SystemClock), Arc::new(KernelEntropy));
            let held = lab.acquire("k", &["--ttl", "1h"]);
            let away = Cell::new(0);
            let seen = |delay: Delay<'_>| away.set(away.get() + u32::from(matches!(delay, Delay::Away(_))));
            let plain = async {
                let lease = client.acquire(client.options("k").unwrap(), seen).await.unwrap();
                let token = lease.token;
                lease.release().await.unwrap();
                token
            };
            let for_update = async {
                let options = client.options("k").unwrap();
                let lease = client.acquire_for_update(options, OnDisconnect::Expire, seen).await.unwrap();
                let token = lease.token;
                lease.release().await.unwrap();
                token
            };
            let key = client.options("k").unwrap().key;
            let mut waiting = pin!(join(plain, for_update));
            let queued = async { while client.service().describe(&key).await.unwrap().waiters != Some(2) {} };
            assert!(matches!(select(&mut waiting, pin!(queued)).await, Either::Right(_)));
            server.signal(end);
            server.wait();
            // Both have noticed.
            let noticed = std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if away.get() > 3 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
            });
            assert!(matches!(select(&mut waiting, pin!(noticed)).await, Either::Right(_)));
            let _back = unix(&lab);
            let released = ran(lab.lockd().envs(held).args(["release", "k"]));
            assert_eq!(released.code, 0, "{}", released.err);
            let (one, other) = waiting.await;
            assert_ne!(one, other, "{carrier:?} {end:?}");
        }
    }
}

/// A keeper over a server: it renews while the shell lives, and gives the lease back when that has ended.
#[test]
fn a_keeper_holds_over_a_server() {
    let lab = Lab::new();
    let server = unix(&lab);
    let script = "l=$(lockd acquire --keep --ttl 1h k) && eval \"$l\" || exit 9
        lockd status --check k && echo 7 | lockd update && lockd get k";
    let ran = ran(lab.shell("sh", script).env("LOCKD_SERVER", &server.url));
    assert_eq!((ran.code, ran.out.as_str()), (0, "7\n"), "{}", ran.err);
    // Long before it would run out; the command waits for that.
    let next = lab.run(["exec", "-w", "60s", "k", "--", "true"]);
    assert_eq!(next.code, 0, "{}", next.err);
}
