//! A server that is killed while clients wait, hold and read; another one serves the same store.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use lockd::client::Client;
use lockd::clock::SystemClock;
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::service::OnDisconnect;

use super::{Place, servers, started, until};
use crate::support::world::{committed, options};

#[tokio::test]
async fn over_blocking_calls() {
    a_killed_server_takes_no_lease_along(Carrier::Threads).await;
}

#[tokio::test]
async fn over_asynchronous_calls() {
    a_killed_server_takes_no_lease_along(Carrier::Runtime).await;
}

async fn a_killed_server_takes_no_lease_along(carrier: Carrier) {
    let place = Place::new().await;
    let second = started(&place.lab);
    let own = servers(&[&second.at[0]], carrier);
    let client = || {
        let both = servers(&[place.at(), &second.at[0]], carrier);
        Client::new(both, Arc::new(SystemClock), Arc::new(KernelEntropy))
    };
    place.put("k", "1").await;
    place.put("large", &format!("\"{}\"", "x".repeat(32 * 1024 * 1024))).await;
    let (holder, waiter, reader) = (client(), client(), client());
    let mut held = holder.acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ()).await.unwrap();
    held.keep_alive();
    let mut reading = reader.acquire_for_update(options("large", None), OnDisconnect::Expire, |_| ()).await.unwrap();
    reading.keep_alive();
    let mut state = reading.take_state().unwrap();
    state.body.next().await.unwrap().unwrap();
    let waiting = tokio::spawn(async move {
        waiter
            .acquire_for_update(options("k", None), OnDisconnect::Expire, |_| ())
            .await
            .map(|next| (next, Instant::now()))
    });
    until(async || place.waiters("k").await == 1).await;
    place.server.signal(rustix::process::Signal::KILL);

    // What is half of a state is never taken for all of it, and whoever held goes on at the other server.
    let mut broke = false;
    while let Some(chunk) = state.body.next().await {
        broke |= chunk.is_err();
    }
    assert!(broke, "all of it came");
    reading.update_bytes("2").await.unwrap();
    reading.release().await.unwrap();
    assert_eq!(committed(&*own, "large").await.unwrap(), "2");
    assert_eq!(held.take::<u64>().await.unwrap(), Some(1));
    held.save(&2).await.unwrap();
    let token = held.token;
    // Who waited there waits here, with the same ids.
    until(async || own.describe(&held.key).await.unwrap().waiters == Some(1)).await;
    held.release().await.unwrap();
    let released = Instant::now();
    let (mut next, at) = waiting.await.unwrap().unwrap();
    println!(
        "{carrier:?}: who waited at the killed server had the lease {:?} after its release",
        at - released.min(at)
    );
    assert!(next.token > token);
    assert_eq!(next.take::<u64>().await.unwrap(), Some(2));
    next.release().await.unwrap();
}
