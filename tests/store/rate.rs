//! How many compare-and-swaps a second a store takes: printed, never asserted.

use std::sync::Arc;
use std::time::Duration;

use lockd::clock::Clock;
use lockd::store::{Precondition, PutError, Store};

use super::{CLOCK, key, new_store, value};
use crate::support::full;

const TIME: Duration = Duration::from_millis(300);
const RUNS: usize = 5;

/// Swaps the value of its key until the time is over; how often that succeeded, and how often another was first.
async fn swap(store: Store, name: String) -> (u32, u32) {
    let key = key(&name);
    let (mut won, mut lost) = (0, 0);
    let until = CLOCK.boot() + TIME;
    let mut when = Precondition::Absent;
    while CLOCK.boot() < until {
        match store.records.put(&key, value(&key), when).await {
            Ok(etag) => {
                won += 1;
                when = Precondition::Matches(etag);
            }
            Err(PutError::Conflict) => {
                lost += 1;
                when = Precondition::Matches(store.records.get(&key).await.unwrap().unwrap().etag);
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    (won, lost)
}

async fn rate(store: &Store, writers: usize, shared: bool) -> f64 {
    let name = |n: usize| if shared { "one".to_owned() } else { format!("k{n}") };
    let tasks: Vec<_> = (0..writers).map(|n| tokio::spawn(swap(store.clone(), name(n)))).collect();
    let start = CLOCK.boot();
    let mut won = 0;
    for task in tasks {
        won += task.await.unwrap().0;
    }
    f64::from(won) / CLOCK.boot().since(start).as_secs_f64()
}

/// Prints the rates on new stores of one kind.
pub fn print_rates<F>(kind: &str, writers: &[usize], new: impl Fn() -> F)
where
    F: Future<Output = (tempfile::TempDir, Store)>,
{
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());
    let kinds: Vec<(usize, bool)> = writers.iter().flat_map(|n| [(*n, false), (*n, true)]).collect();
    let mut all = vec![Vec::new(); kinds.len()];
    for _ in 0..RUNS {
        for (rates, (writers, shared)) in all.iter_mut().zip(&kinds) {
            rates.push(runtime.block_on(async {
                let (_dir, store) = new().await;
                rate(&store, *writers, *shared).await
            }));
        }
    }
    for (mut rates, (writers, shared)) in all.into_iter().zip(kinds) {
        rates.sort_by(f64::total_cmp);
        let (least, median, most) = (rates[0], rates[RUNS / 2], rates[RUNS - 1]);
        let whose = if shared { "on one key" } else { "each on its own key" };
        println!(
            "{kind}: {writers} writers, {whose}: {median:.0} swaps a second ({least:.0} to {most:.0}, {RUNS} runs)"
        );
    }
}

#[test]
fn swaps_a_second() {
    if !full("the rate of compare-and-swaps on a directory") {
        return;
    }
    print_rates("disk", &[1, 16, 64], new_store);
}
