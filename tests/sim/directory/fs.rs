//! The tree as one process sees it: each call of the seam is a step that takes its time, among those of all others.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use lockd::platform::inotify::Watch;
use lockd::store::disk::fs::{Errno, Fs, Stat, Whole};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::mix::Kind;
use super::steps::View;
use super::tree::{Ino, ROOT};
use super::world::{ProcId, World};

/// The tree as one process sees it.
#[derive(Clone)]
pub struct SimFs {
    pub world: Arc<Mutex<World>>,
    pub proc: ProcId,
}

impl fmt::Debug for SimFs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "files seen by {}", self.proc)
    }
}

/// An open file; closed when dropped.
pub struct SimFile {
    fs: SimFs,
    ino: Ino,
}

impl Drop for SimFile {
    fn drop(&mut self) {
        // What a process has open is closed with it.
        let mut w = self.fs.world();
        if w.procs[self.fs.proc].alive {
            w.close(self.fs.proc, self.ino);
        }
    }
}

impl SimFs {
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    async fn step<T: Send + 'static>(
        &self,
        kind: Kind,
        on: Ino,
        apply: impl FnOnce(&mut World) -> Result<T, Errno> + Send + 'static,
    ) -> Result<T, Errno> {
        let (to, answer) = oneshot::channel();
        self.world().start(self.proc, kind, on, to, apply);
        match answer.await {
            Ok(outcome) => outcome,
            // Held up for ever.
            Err(_) => std::future::pending().await,
        }
    }

    async fn opened(&self, ino: Result<Ino, Errno>) -> Result<SimFile, Errno> {
        Ok(SimFile { fs: self.clone(), ino: ino? })
    }

    /// Opens by name, whatever for.
    async fn open_as(&self, kind: Kind, dir: &View, name: &str) -> Result<SimFile, Errno> {
        let (view, name, proc) = (*dir, name.to_owned(), self.proc);
        let ino = self.step(kind, dir.ino, move |w| w.open(proc, view, &name)).await;
        self.opened(ino).await
    }

    /// Whether an open and what follows it are two steps this time.
    fn in_two(&self) -> bool {
        self.world().rng.chance(1_000)
    }
}

impl Fs for SimFs {
    type Dir = View;
    type File = SimFile;

    async fn open_root(&self) -> Result<View, Errno> {
        self.step(Kind::OpenRoot, ROOT, |w| Ok(w.view(ROOT))).await
    }

    async fn open_dir(&self, at: &View, path: &str) -> Result<View, Errno> {
        let (at, path, proc) = (*at, path.to_owned(), self.proc);
        self.step(Kind::OpenDir, at.ino, move |w| w.open_dir(proc, at, &path)).await
    }

    async fn make_dir(&self, at: &View, name: &str) -> Result<(), Errno> {
        let (dir, name, proc) = (at.ino, name.to_owned(), self.proc);
        self.step(Kind::MakeDir, dir, move |w| w.make_dir(proc, dir, &name)).await
    }

    async fn list(&self, dir: &View) -> Result<Vec<String>, Errno> {
        let ino = dir.ino;
        let first = self.step(Kind::List, ino, move |w| w.names(ino)).await?;
        // Not atomic: what comes and goes in between may be seen or not.
        self.step(Kind::List, ino, move |w| w.names_since(ino, &first)).await
    }

    async fn sync_dir(&self, dir: &View) -> Result<(), Errno> {
        let ino = dir.ino;
        self.step(Kind::SyncDir, ino, move |w| w.tree.sync(ino)).await
    }

    async fn create(&self, dir: &View, name: &str) -> Result<SimFile, Errno> {
        let (dir, name, proc) = (dir.ino, name.to_owned(), self.proc);
        let ino = self.step(Kind::Create, dir, move |w| w.create(proc, dir, &name, true)).await;
        self.opened(ino).await
    }

    async fn open_or_create(&self, dir: &View, name: &str) -> Result<SimFile, Errno> {
        let (dir, name, proc) = (dir.ino, name.to_owned(), self.proc);
        let ino = self.step(Kind::OpenOrCreate, dir, move |w| w.create(proc, dir, &name, false)).await;
        self.opened(ino).await
    }

    async fn open(&self, dir: &View, name: &str) -> Result<SimFile, Errno> {
        self.open_as(Kind::Open, dir, name).await
    }

    async fn write_at(&self, file: &SimFile, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        let (ino, proc, bytes) = (file.ino, self.proc, Bytes::copy_from_slice(bytes));
        self.step(Kind::Write, ino, move |w| w.write(proc, ino, &bytes, offset)).await
    }

    async fn read_at(&self, file: &SimFile, offset: u64, len: usize) -> Result<Bytes, Errno> {
        let (ino, proc) = (file.ino, self.proc);
        let all = self.step(Kind::ReadAt, ino, move |w| w.content(proc, ino)).await?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(all.len());
        Ok(all.slice(from..(from + len).min(all.len())))
    }

    async fn sync_data(&self, file: &SimFile) -> Result<(), Errno> {
        let ino = file.ino;
        self.step(Kind::SyncData, ino, move |w| w.tree.sync(ino)).await
    }

    async fn sync_file(&self, file: &SimFile) -> Result<(), Errno> {
        let ino = file.ino;
        self.step(Kind::SyncFile, ino, move |w| w.tree.sync(ino)).await
    }

    async fn file_stat(&self, file: &SimFile) -> Result<Stat, Errno> {
        let ino = file.ino;
        self.step(Kind::FileStat, ino, move |w| w.tree.stat(ino)).await
    }

    async fn read(&self, dir: &View, name: &str, limit: usize) -> Result<Whole, Errno> {
        let proc = self.proc;
        let whole = move |w: &mut World, ino: Ino| {
            let stat = w.tree.stat(ino)?;
            let fits = usize::try_from(stat.len).is_ok_and(|len| len <= limit);
            if fits { Ok(Whole { bytes: w.content(proc, ino)?, stat }) } else { Err(Errno::FBIG) }
        };
        if self.in_two() {
            let file = self.open_as(Kind::Read, dir, name).await?;
            let ino = file.ino;
            return self.step(Kind::FileStat, ino, move |w| whole(w, ino)).await;
        }
        let (view, name) = (*dir, name.to_owned());
        self.step(Kind::Read, dir.ino, move |w| {
            let ino = w.lookup(proc, view, &name)?;
            w.met(view.ino, &name, ino);
            whole(w, ino)
        })
        .await
    }

    async fn stat(&self, dir: &View, name: &str) -> Result<Stat, Errno> {
        if self.in_two() {
            let file = self.open_as(Kind::Stat, dir, name).await?;
            return self.file_stat(&file).await;
        }
        let (view, name, proc) = (*dir, name.to_owned(), self.proc);
        self.step(Kind::Stat, dir.ino, move |w| {
            let ino = w.lookup(proc, view, &name)?;
            let stat = w.tree.stat(ino)?;
            w.measured(proc, view.ino, &name, stat.len);
            Ok(stat)
        })
        .await
    }

    async fn link(&self, dir: &View, from: &str, to: &str) -> Result<(), Errno> {
        let (ino, proc, to) = (dir.ino, self.proc, to.to_owned());
        if self.world().mix.network {
            // A client looks the file up, then asks the server by handle.
            let file = self.open_as(Kind::Open, dir, from).await.inspect_err(|e| {
                if *e == Errno::NOENT {
                    self.world().count(super::counters::Counter::LinkWithoutTemp);
                }
            })?;
            let from = file.ino;
            return self.step(Kind::Link, ino, move |w| w.link_or_time_out(proc, from, ino, &to)).await;
        }
        let from = from.to_owned();
        self.step(Kind::Link, ino, move |w| w.link_by_name(proc, ino, &from, &to)).await
    }

    async fn unlink(&self, dir: &View, name: &str) -> Result<(), Errno> {
        let (ino, name, proc) = (dir.ino, name.to_owned(), self.proc);
        self.step(Kind::Unlink, ino, move |w| w.unlink(proc, ino, &name)).await
    }

    async fn hold_room(&self, dir: &View, name: &str, len: u64) -> Result<(), Errno> {
        let (ino, name, proc) = (dir.ino, name.to_owned(), self.proc);
        self.step(Kind::Room, ino, move |w| w.hold_room(proc, ino, &name, len)).await
    }

    async fn give_room(&self, dir: &View, name: &str, by: u64) -> Result<(), Errno> {
        let (ino, name) = (dir.ino, name.to_owned());
        self.step(Kind::Room, ino, move |w| w.give_room(ino, &name, by)).await
    }

    async fn free(&self, dir: &View) -> Result<u64, Errno> {
        self.step(Kind::Room, dir.ino, |w| Ok(w.tree.room.unwrap_or(1 << 40))).await
    }

    async fn run<T: Send + 'static>(&self, op: impl Future<Output = T> + Send + 'static) -> Option<T> {
        tokio::spawn(op).await.ok()
    }

    fn detach(&self, op: impl Future<Output = ()> + Send + 'static) {
        // A process that is dead does nothing any more.
        if self.world().procs[self.proc].alive
            && let Ok(handle) = Handle::try_current()
        {
            handle.spawn(op);
        }
    }

    fn watch(&self, _: &str) -> Option<Watch> {
        None
    }
}
