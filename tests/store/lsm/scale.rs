//! Figures: compare-and-swaps a second, and what a store of many keys costs. They are printed; nothing is asserted of time.

use futures_util::StreamExt;
use futures_util::stream;
use lockd::clock::Clock;
use lockd::model::Namespace;
use lockd::store::Precondition;

use super::super::rate::print_rates;
use super::super::{CLOCK, key, value};
use super::{new_lsm, open_lsm};
use crate::support::full;

/// Puts at the same time while the store is filled.
const AT_ONCE: usize = 1_000;

#[test]
fn swaps_a_second() {
    if !full("the rate of compare-and-swaps on an lsm store") {
        return;
    }
    print_rates("lsm", &[1, 16, 64, 256], new_lsm);
}

/// Resident memory of this process, in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// How long the store takes to open, in milliseconds, after which what is in it is counted.
async fn opens(path: &std::path::Path, keys: usize) -> u64 {
    let start = CLOCK.boot();
    let store = open_lsm(path).await.unwrap().store;
    let took = CLOCK.boot().since(start);
    assert!(store.records.get(&key(&format!("key/{}", keys - 1))).await.unwrap().is_some());
    assert_eq!(store.records.list(&Namespace::default(), None).count().await, keys);
    took.as_millis() as u64
}

#[test]
fn a_store_of_many_keys_opens() {
    let keys = if full("a million keys instead of 20,000") { 1_000_000 } else { 20_000 };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let (before, start) = (resident(), CLOCK.boot());
        let (dir, store) = new_lsm().await;
        let puts = stream::iter(0..keys).map(|n| {
            let (records, k) = (store.records.clone(), key(&format!("key/{n}")));
            tokio::spawn(async move { records.put(&k, value(&k), Precondition::Absent).await.unwrap() })
        });
        puts.buffer_unordered(AT_ONCE).for_each(|put| async { drop(put.unwrap()) }).await;
        println!("{keys} keys in {:.1} s", CLOCK.boot().since(start).as_secs_f64());
        let grown = resident().saturating_sub(before);
        println!("{grown} KiB more resident, {} bytes a key", grown * 1024 / keys as u64);
        let start = CLOCK.boot();
        drop(store);
        println!("closed in {} ms", CLOCK.boot().since(start).as_millis());
        let path = dir.path().join("s");
        println!("opened in {} ms", opens(&path, keys).await);
        std::fs::write(path.join("lock"), "").unwrap();
        println!("opened in {} ms after it was not closed well", opens(&path, keys).await);
    });
}
