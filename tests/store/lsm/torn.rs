//! What a crash leaves of the journal, sector by sector. The store is copied while it is open, as a crash would leave it.

use std::fs;
use std::path::{Path, PathBuf};

use lockd::error::ErrorKind;
use lockd::model::Key;
use lockd::store::{Etag, Precondition};

use super::super::{key, value};
use super::{new_lsm, open_lsm};

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let there = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &there);
        } else {
            fs::copy(entry.path(), &there).map(drop).unwrap();
        }
    }
}

/// A store after a crash, with the etags of its key's values.
struct Crashed {
    dir: tempfile::TempDir,
    key: Key,
    etags: Vec<Etag>,
}

impl Crashed {
    /// Three batches of one value each, each of more than a page.
    async fn new() -> Self {
        let (made, store) = new_lsm().await;
        let (key, mut etags) = (key("a"), Vec::<Etag>::new());
        for _ in 0..3 {
            let when = etags.last().cloned().map_or(Precondition::Absent, Precondition::Matches);
            let body = [value(&key).as_ref(), &[b' '; 5_000]].concat();
            etags.push(store.records.put(&key, body.into(), when).await.unwrap());
        }
        let dir = tempfile::tempdir().unwrap();
        copy(&made.path().join("s"), &dir.path().join("s"));
        Self { dir, key, etags }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    fn journal(&self) -> PathBuf {
        self.path().join("tree/0.jnl")
    }

    /// Where each batch ends, from the length of all that is in the journal: they are alike.
    fn ends(&self) -> [usize; 3] {
        let all = fs::read(self.journal()).unwrap();
        let end = all.iter().rposition(|b| *b != 0).unwrap() + 1;
        assert_eq!(end % 3, 0);
        [end / 3, 2 * end / 3, end]
    }

    /// Loses these bytes: what was there before is zeros.
    fn lose(&self, bytes: std::ops::Range<usize>) {
        let mut all = fs::read(self.journal()).unwrap();
        all[bytes].fill(0);
        fs::write(self.journal(), all).unwrap();
    }

    /// Which of the three values there is.
    async fn finds(&self) -> usize {
        let store = open_lsm(&self.path()).await.unwrap().store;
        let found = store.records.get(&self.key).await.unwrap().unwrap().etag;
        let n = self.etags.iter().position(|etag| *etag == found).unwrap();
        // It goes on from there, and what is written then comes back.
        let next = store.records.put(&self.key, value(&self.key), Precondition::Matches(found)).await.unwrap();
        drop(store);
        let again = open_lsm(&self.path()).await.unwrap().store;
        assert_eq!(again.records.get(&self.key).await.unwrap().unwrap().etag, next);
        n + 1
    }
}

#[tokio::test]
async fn whatever_is_lost_of_the_last_batch_the_others_come_back() {
    let [_, second, end] = Crashed::new().await.ends();
    assert_eq!(Crashed::new().await.finds().await, 3);
    let len = end - second;
    // Nothing, the beginning, the middle, the end; the last is one byte of the value only: framing whole, content not.
    for lost in [0..len, 0..512, 1_000..2_000, len - 512..len, len - 8..len, len - 100..len - 99] {
        let crashed = Crashed::new().await;
        crashed.lose(second + lost.start..second + lost.end);
        assert_eq!(crashed.finds().await, 2, "lost {lost:?} of {len}");
    }
}

/// Without the look at the journal the tree would refuse the store.
#[tokio::test]
async fn a_torn_batch_in_a_store_that_says_it_was_closed_well_is_damage() {
    let crashed = Crashed::new().await;
    let end = crashed.ends()[2];
    crashed.lose(end - 100..end - 99);
    fs::write(crashed.path().join("lock"), "closed\n").unwrap();
    assert_eq!(open_lsm(&crashed.path()).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// A batch that others followed was synced: that it is not whole is damage, and nothing after it is dropped.
#[tokio::test]
async fn damage_in_the_middle_is_refused_and_nothing_is_cut() {
    let crashed = Crashed::new().await;
    let [first, ..] = crashed.ends();
    crashed.lose(first + 100..first + 600);
    let before = fs::read(crashed.journal()).unwrap();
    for _ in 0..2 {
        let error = open_lsm(&crashed.path()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.to_string().contains("backup"), "{error}");
    }
    assert!(fs::read(crashed.journal()).unwrap() == before, "a damaged journal was changed");
}
