//! The client library: leases as objects, with the state in their hands.

use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use lockd::client::{self, Client};
use lockd::connect::Carrier;
use lockd::entropy::KernelEntropy;
use lockd::error::{Error, ErrorKind};
use lockd::model::Version;
use lockd::service::Released;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

use crate::support::world::{Peer, World, key, options};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Progress {
    done: u32,
}

/// Over an engine, and over a server.
async fn everywhere(test: impl AsyncFn(World, &Peer, Client)) {
    for w in [World::memory().faster(), World::served(Carrier::Threads), World::served(Carrier::Runtime)] {
        let peer = w.peer().await;
        let client = Client::new(peer.service(), Arc::new(w.clock.clone()), Arc::new(KernelEntropy));
        test(w, &peer, client).await;
    }
}

#[tokio::test]
async fn a_lease_reads_and_writes_its_state() {
    everywhere(async |_, _, client| {
        let mut lease = client.acquire(options("k", None), |_| ()).await.unwrap();
        assert_eq!(lease.load::<Progress>().await.unwrap(), None);
        assert!(lease.get().await.unwrap().is_none());
        let saved = lease.save(&Progress { done: 1 }).await.unwrap();
        assert_eq!((lease.version, &lease.etag), (saved.version, &saved.etag));
        assert_eq!(lease.load().await.unwrap(), Some(Progress { done: 1 }));
        lease.update_bytes(" 7 ").await.unwrap();
        assert_eq!(lease.get_bytes().await.unwrap().unwrap(), "7");
        assert_eq!(lease.load::<Progress>().await.unwrap_err().kind(), ErrorKind::InvalidState);
        let parts = ["{\"done\"", ":2}"].map(|part| Ok(Bytes::from(part)));
        client::update(&mut lease, stream::iter(parts)).await.unwrap();
        let mut state = client::get(&lease).await.unwrap().unwrap();
        assert_eq!((state.version, state.len), (lease.version, 10));
        assert_eq!(state.body.next().await.unwrap().unwrap(), "{\"done\":2}");
        drop(state);
        assert_eq!(lease.update_bytes("{").await.unwrap_err().kind(), ErrorKind::InvalidState);
        assert!(lease.remove().await.unwrap().changed);
        assert_eq!((lease.etag.clone(), lease.load::<Progress>().await.unwrap()), (None, None));
        let version = lease.version;
        assert_eq!(client::release(lease).await.unwrap(), Released::Released { version });
    })
    .await;
}

#[tokio::test]
async fn a_change_commits_what_the_work_returns_and_nothing_when_it_fails() {
    everywhere(async |_, peer, client| {
        for done in 1..=3_u32 {
            let version = client
                .change(options("k", None), async move |token, state: Option<Progress>| {
                    assert_eq!(token.0, u64::from(done));
                    let before = state.map_or(0, |state| state.done);
                    Ok(Some(Progress { done: before + 1 }))
                })
                .await
                .unwrap();
            assert_eq!(version, Version(u64::from(done)));
        }
        let failed = client
            .change(options("k", None), async move |_, _: Option<Progress>| Err(Error::new(ErrorKind::Io, "no paper")))
            .await;
        assert_eq!(failed.unwrap_err().kind(), ErrorKind::Io);
        let seen = client
            .change(options("k", None), async move |_, state: Option<Progress>| {
                assert_eq!(state, Some(Progress { done: 3 }));
                Ok(None)
            })
            .await;
        assert_eq!(seen.unwrap(), Version(3));
        assert!(peer.describe(&key("k")).await.unwrap().held.is_none(), "given back each time");
    })
    .await;
}

#[tokio::test]
async fn work_ends_when_its_lease_is_lost() {
    everywhere(async |_, peer, client| {
        let lost = client
            .change(options("k", None), async |_, _: Option<Progress>| {
                let held = peer.describe(&key("k")).await.unwrap().held.unwrap();
                peer.release(&key("k"), &held.lease_id, None, false).await.unwrap();
                // The next renewal tells; nothing is committed by what is dropped here.
                std::future::pending().await
            })
            .await;
        assert_eq!(lost.unwrap_err().kind().exit_code(), 80);
        assert_eq!(peer.describe(&key("k")).await.unwrap().version, Version(0));
    })
    .await;
}
