//! Several servers on one store, killed at each phase of a cycle: clients that know two go on at the other one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::Poll;

use futures_util::future::{Either, join, join_all, select, try_join_all};
use lockd::client::{Client, Lease};
use lockd::clock::SystemClock;
use lockd::connect::{self, Carrier};
use lockd::entropy::KernelEntropy;
use lockd::error::ErrorKind;
use lockd::model::Ttl;
use lockd::service::Released;
use rustix::process::Signal;

use super::lab::Lab;
use super::servers::Serving;

/// Two servers on the store of a lab, and a client that asks the first one first.
struct Pair {
    first: Serving,
    _second: Serving,
    client: Client,
    end: Signal,
}

impl Pair {
    fn start(lab: &Lab, carrier: Carrier, end: Signal) -> Self {
        let first = Serving::start(lab, "127.0.0.1:0");
        let second = Serving::start(lab, &format!("unix://{}", lab.path("run/second.sock").display()));
        let service = connect::servers([&first.url, &second.url], carrier, Arc::new(SystemClock)).unwrap();
        let client = Client::new(service, Arc::new(SystemClock), Arc::new(KernelEntropy));
        Self { first, _second: second, client, end }
    }

    /// The first server is killed, or asked to end: then it drains.
    fn end(&self) {
        self.first.signal(self.end);
    }

    /// Starts something while the first server cannot answer, and ends that once it has been asked.
    async fn ended_during<T>(&mut self, work: impl Future<Output = T>) -> T {
        self.first.signal(Signal::STOP);
        let mut work = std::pin::pin!(work);
        // The request leaves with the first polls; nothing is concluded from how far it came.
        for _ in 0..1_000 {
            let once = std::future::poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
            if let Poll::Ready(done) = once {
                return done;
            }
            tokio::task::yield_now().await;
        }
        self.end();
        self.first.signal(Signal::CONT);
        work.await
    }
}

/// Over each kind of calls, a server that is killed and one that drains.
const ENDS: [(Carrier, Signal); 4] = [
    (Carrier::Runtime, Signal::KILL),
    (Carrier::Runtime, Signal::TERM),
    (Carrier::Threads, Signal::KILL),
    (Carrier::Threads, Signal::TERM),
];

#[tokio::test]
async fn a_server_that_ends_before_or_during_any_call_is_not_missed() {
    for (carrier, end) in ENDS {
        for phase in 0..9 {
            one_cycle(carrier, end, phase).await;
        }
    }
}

async fn one_cycle(carrier: Carrier, end: Signal, phase: u32) {
    let told = format!("{carrier:?}, {end:?}, phase {phase}");
    let lab = Lab::new();
    let mut pair = Pair::start(&lab, carrier, end);
    let client = pair.client.clone();
    let ends_before = |pair: &Pair, n| {
        if phase == n {
            pair.end()
        }
    };
    ends_before(&pair, 0);
    let options = client.options("k").unwrap();
    let acquire = client.acquire(options, |_| ());
    let mut lease = if phase == 1 { pair.ended_during(acquire).await } else { acquire.await }.expect(&told);
    ends_before(&pair, 2);
    let update = lease.update_bytes("1");
    let changed = if phase == 3 { pair.ended_during(update).await } else { update.await }.expect(&told);
    ends_before(&pair, 4);
    assert_eq!(lease.get_bytes().await.expect(&told).unwrap(), "1", "{told}");
    let renewal = lease.renew();
    if phase == 5 { pair.ended_during(renewal).await } else { renewal.await }.expect(&told);
    ends_before(&pair, 6);
    let release = lease.release();
    let released = if phase == 7 { pair.ended_during(release).await } else { release.await }.expect(&told);
    assert_eq!(released, Released::Released { version: changed.version }, "{told}");
    ends_before(&pair, 8);
    assert_eq!(lab.run(["get", "k"]).out, "1\n");
    let next = client.acquire(client.options("k").unwrap(), |_| ()).await.expect(&told);
    next.release().await.expect(&told);
}

/// Giving back is tried for a short while only: a server that hangs must leave some of it for another one.
#[tokio::test]
async fn a_release_goes_past_a_server_that_hangs() {
    for carrier in [Carrier::Runtime, Carrier::Threads] {
        let lab = Lab::new();
        let pair = Pair::start(&lab, carrier, Signal::KILL);
        let lease = pair.client.acquire(pair.client.options("k").unwrap(), |_| ()).await.unwrap();
        pair.first.signal(Signal::STOP);
        assert!(matches!(lease.release().await.unwrap(), Released::Released { .. }), "{carrier:?}");
        pair.end();
    }
}

#[tokio::test]
async fn who_waits_at_a_server_that_ends_gets_the_key_from_the_other() {
    for (carrier, end) in ENDS {
        let lab = Lab::new();
        let pair = Pair::start(&lab, carrier, end);
        let client = pair.client.clone();
        let held = client.acquire(client.options("k").unwrap(), |_| ()).await.unwrap();
        let mut waiting = std::pin::pin!(client.acquire(client.options("k").unwrap(), |_| ()));
        let key = held.key.clone();
        let queued = async { while client.service().describe(&key).await.unwrap().waiters != Some(1) {} };
        let queued = std::pin::pin!(queued);
        assert!(matches!(select(&mut waiting, queued).await, Either::Right(_)));
        pair.end();
        let token = held.token;
        let (next, released) = join(waiting, held.release()).await;
        released.unwrap();
        assert!(next.unwrap().token > token, "{carrier:?} {end:?}");
    }
}

/// A grant that waited is its waiter's only while the connection stands that it came over: the client keeps that for the next
/// request, however many have just come.
#[tokio::test]
async fn many_wait_through_one_client_and_each_gets_its_key() {
    const KEYS: usize = 64;
    let lab = Lab::new();
    let server = Serving::start(&lab, "127.0.0.1:0");
    let client = Client::connect([&server.url]).unwrap();
    let options = |n: usize| client.options(&format!("k/{n}")).unwrap();
    let mut held = Vec::new();
    for n in 0..KEYS {
        held.push(client.acquire(options(n), |_| ()).await.unwrap());
    }
    let waiting = (0..KEYS).map(|n| {
        let (client, options) = (client.clone(), options(n));
        tokio::spawn(async move { client.acquire(options, |_| ()).await })
    });
    let waiting: Vec<_> = waiting.collect();
    for lease in &held {
        while client.service().describe(&lease.key).await.unwrap().waiters != Some(1) {}
    }
    try_join_all(held.into_iter().map(Lease::release)).await.unwrap();
    for waiter in waiting {
        waiter.await.unwrap().unwrap().release().await.unwrap();
    }
}

/// Counts under leases until it is over; returns how often nobody could say whether it had counted.
async fn count(at: &[String], over: &AtomicBool, acknowledged: &AtomicU64) -> u64 {
    let client = Client::connect(at).unwrap();
    let (mut doubts, mut last) = (0, 0);
    while !over.load(Ordering::Relaxed) {
        let mut options = client.options("counter").unwrap();
        options.ttl = Ttl::new(std::time::Duration::from_secs(2)).unwrap();
        let counted = client
            .change(options, |token, n: Option<u64>| {
                assert!(token.0 > last, "nothing is granted twice");
                last = token.0;
                async move { Ok(Some(n.unwrap_or(0) + 1)) }
            })
            .await;
        match counted {
            Ok(_) => drop(acknowledged.fetch_add(1, Ordering::Relaxed)),
            Err(e) if e.kind() == ErrorKind::OutcomeUnknown => doubts += 1,
            // Both servers were gone for a moment, or the lease was lost with one: nothing was counted.
            Err(_) => {}
        }
    }
    doubts
}

/// Clients that count together while the two servers are killed and started again in turn: nothing that was acknowledged is
/// missing, and nobody counts twice.
#[tokio::test]
async fn nothing_acknowledged_is_missing_when_servers_are_killed_in_turn() {
    const CLIENTS: usize = 4;
    const KILLS: u64 = 8;
    let lab = Lab::new();
    let at: Vec<String> = (0..2).map(|n| format!("unix://{}", lab.path(&format!("run/{n}.sock")).display())).collect();
    let mut servers: Vec<Serving> = at.iter().map(|at| Serving::start(&lab, at)).collect();
    let (over, acknowledged) = (AtomicBool::new(false), AtomicU64::new(0));
    let counting = (0..CLIENTS).map(|_| count(&at, &over, &acknowledged));
    let killing = async {
        for kill in 0..KILLS {
            // Some work is done between kills, however slow the machine is.
            let before = acknowledged.load(Ordering::Relaxed);
            while acknowledged.load(Ordering::Relaxed) < before + 5 {
                tokio::task::yield_now().await;
            }
            let victim = usize::try_from(kill % 2).unwrap();
            servers[victim].kill();
            servers[victim] = Serving::start(&lab, &at[victim]);
        }
        over.store(true, Ordering::Relaxed);
    };
    let (doubts, ()) = join(join_all(counting), killing).await;
    let doubts: u64 = doubts.into_iter().sum();
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    let counted: u64 = lab.run(["get", "counter"]).out.trim().parse().unwrap();
    println!("{KILLS} kills, {acknowledged} acknowledged, {counted} counted, {doubts} in doubt");
    assert!(
        (acknowledged..=acknowledged + doubts).contains(&counted),
        "{acknowledged} acknowledged, {counted} counted"
    );
}
