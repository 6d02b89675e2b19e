//! Notes: what a short command saw, kept in a private directory for the next one.
//!
//! Without them a cron job that asks once and exits would begin to watch anew each time, and never take over a dead lease
//! (a known trap of clock-free leases). A note is void after a reboot and for any other write id; losing one costs only time.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::clock::{BootTime, Clock};
use crate::entropy::Entropy;
use crate::model::{Record, WriteId};
use crate::mutants::{Mutant, on};

#[derive(Debug)]
pub(super) struct Notes {
    dir: PathBuf,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Serialize, Deserialize)]
struct Note {
    write_id: WriteId,
    boot_id: String,
    at: BootTime,
}

impl Notes {
    pub(super) fn new(dir: PathBuf, store_id: &str, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { dir: dir.join("seen").join(store_id), clock, entropy }
    }

    /// When an earlier command had this very write in hand, in this boot.
    pub(super) fn find(&self, record: &Record) -> Option<BootTime> {
        let boot_id = self.clock.boot_id()?;
        is_private(&self.dir).then_some(())?;
        let note: Note = serde_json::from_slice(&fs::read(self.path(record)).ok()?).ok()?;
        let same_write = Some(note.write_id) == record.write_id || on(Mutant::NoteOfAnyWrite);
        let same_boot = note.boot_id == boot_id || on(Mutant::NoteOfAnyBoot);
        (same_write && same_boot).then_some(note.at)
    }

    /// Leaves a note, unless one of this write is there already. Best effort: a note is only ever a shortcut.
    pub(super) fn leave(&self, record: &Record, at: BootTime) {
        let (Some(write_id), Some(boot_id)) = (record.write_id, self.clock.boot_id()) else { return };
        if self.find(record).is_some() {
            return;
        }
        let note = Note { write_id, boot_id: boot_id.to_owned(), at };
        let _lost = self.write(&self.path(record), &note);
    }

    fn path(&self, record: &Record) -> PathBuf {
        self.dir.join(record.key.hash().hex())
    }

    fn write(&self, path: &Path, note: &Note) -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.dir)?;
        if !is_private(&self.dir) {
            return Ok(());
        }
        let temporary = path.with_extension(hex::encode(self.entropy.bytes::<8>()));
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        let written = file.write_all(&serde_json::to_vec(note)?).and_then(|()| fs::rename(&temporary, path));
        if written.is_err() {
            fs::remove_file(&temporary)?;
        }
        written
    }
}

/// Only what this user alone can write is believed.
fn is_private(dir: &Path) -> bool {
    fs::symlink_metadata(dir).is_ok_and(|meta| {
        meta.is_dir() && meta.mode() & 0o077 == 0 && meta.uid() == rustix::process::geteuid().as_raw()
    })
}
