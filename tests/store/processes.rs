//! Several processes race on one directory. The workers are this test binary itself, told by the environment what to do.

use std::path::Path;
use std::process::{Command, Stdio};

use lockd::entropy::KernelEntropy;
use lockd::store::Store;
use lockd::store::conformance::Scratch;
use lockd::store::conformance::race::{Wins, counter, worker};

use super::{CLOCK, new_store, open_dir};

const DIRECTORY: &str = "LOCKD_TEST_RACE_DIRECTORY";
const PROCESSES: u64 = 4;
const ROUNDS: u64 = 60;

fn scratch(store: &Store) -> Scratch<'_> {
    Scratch::shared(store, &CLOCK, &KernelEntropy, "race")
}

/// Does nothing in an ordinary run: what each process of the race below executes.
#[tokio::test]
async fn worker_of_a_race() {
    let Some(directory) = std::env::var_os(DIRECTORY) else { return };
    let store = open_dir(Path::new(&directory)).await.unwrap().store;
    let wins = worker(&scratch(&store), ROUNDS).await.unwrap();
    println!("wins {}", serde_json::to_string(&wins).unwrap());
}

#[tokio::test]
async fn one_process_wins_each_round() {
    let (dir, store) = new_store().await;
    let start = || {
        Command::new(std::env::current_exe().unwrap())
            .args(["store::processes::worker_of_a_race", "--exact", "--nocapture"])
            .env(DIRECTORY, dir.path().join("s"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    };
    let workers: Vec<_> = (0..PROCESSES).map(|_| start()).collect();
    let mut all = Vec::new();
    for worker in workers {
        let out = worker.wait_with_output().unwrap();
        let text = String::from_utf8(out.stdout).unwrap();
        assert!(out.status.success(), "{text}");
        let line = text.lines().find_map(|line| line.split_once("wins ")).expect("a worker did not run").1;
        all.push(serde_json::from_str::<Wins>(line).unwrap());
    }
    assert_eq!(all.iter().map(|wins| wins.created).sum::<u64>(), ROUNDS, "{all:?}");
    assert!(all.iter().all(|wins| wins.counted == ROUNDS), "{all:?}");
    assert_eq!(counter(&scratch(&store)).await.unwrap(), PROCESSES * ROUNDS);
}
