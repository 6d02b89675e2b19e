//! A file system that notes every step, and at chosen ones fails, lies, or lets others act first.

use std::collections::VecDeque;
use std::future::Future;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lockd::platform::inotify::Watch;
use lockd::store::disk::fs::{Errno, Fs, Stat, Whole};
use lockd::store::disk::real::RealFs;
use lockd::store::disk::{Disk, identity};

use super::{CLOCK, entropy};

/// How a step goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not made.
    Refused(Errno),
    /// It is made, and an error is returned all the same.
    Hidden(Errno),
}

type Act = Box<dyn FnOnce(&Path) + Send>;

/// What was seen, and what is to happen.
#[derive(Default)]
pub struct Plan {
    log: Mutex<Vec<String>>,
    faults: Mutex<Vec<(String, usize, Fault)>>,
    acts: Mutex<VecDeque<(String, Act)>>,
    detach_nothing: Mutex<bool>,
}

impl Plan {
    /// The steps since the last call.
    pub fn steps(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }

    /// The `nth` step from now (0: the next) that begins with `step` goes wrong.
    pub fn fail(&self, step: &str, nth: usize, fault: Fault) {
        self.faults.lock().unwrap().push((step.to_owned(), nth, fault));
    }

    /// Whether every fault has come.
    pub fn all_came(&self) -> bool {
        self.faults.lock().unwrap().is_empty() && self.acts.lock().unwrap().is_empty()
    }

    /// Just before the next step that begins with `step`, somebody else acts in the store's directory.
    pub fn before(&self, step: &str, act: impl FnOnce(&Path) + Send + 'static) {
        self.acts.lock().unwrap().push_back((step.to_owned(), Box::new(act)));
    }

    /// From now on nothing happens after an answer, as in a process that ends at once.
    pub fn ends_at_once(&self) {
        *self.detach_nothing.lock().unwrap() = true;
    }

    fn meet(&self, root: &Path, step: &str) -> Option<Fault> {
        let mut acts = self.acts.lock().unwrap();
        if acts.front().is_some_and(|(wanted, _)| step.starts_with(wanted)) {
            let (_, act) = acts.pop_front().unwrap();
            act(root);
        }
        self.log.lock().unwrap().push(step.to_owned());
        let mut faults = self.faults.lock().unwrap();
        let mut due = None;
        faults.retain_mut(|(wanted, nth, fault)| {
            if due.is_some() || !step.starts_with(wanted.as_str()) {
                return true;
            }
            if *nth == 0 {
                due = Some(*fault);
                return false;
            }
            *nth -= 1;
            true
        });
        due
    }
}

#[derive(Clone)]
pub struct Spy {
    real: Arc<RealFs>,
    root: PathBuf,
    pub plan: Arc<Plan>,
}

impl std::fmt::Debug for Spy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Spy")
    }
}

/// A handle of its own on the store in `root`, spied upon.
pub async fn spied(root: &Path, network: bool) -> (Disk<Spy>, Arc<Plan>) {
    let plan = Arc::new(Plan::default());
    let real = Arc::new(RealFs::new(root.to_owned(), false, false));
    let open = real.open_root().await.unwrap();
    let identity = identity::read(&*real, &open, identity::Kind::Plain).await.unwrap().unwrap();
    let spy = Spy { real, root: root.to_owned(), plan: Arc::clone(&plan) };
    (Disk::new(spy, identity, Arc::new(CLOCK), entropy(), network), plan)
}

/// A name without what is random in it.
fn plain(name: &str) -> String {
    match name.strip_prefix("t.").and_then(|rest| rest.split_once('.')) {
        Some((n, _)) => format!("t.{n}"),
        None if name.len() == 64 => "KEY".to_owned(),
        None => name.split('/').map(|part| if part.len() == 64 { "KEY" } else { part }).collect::<Vec<_>>().join("/"),
    }
}

/// An open file that knows its name.
pub struct Named(OwnedFd, String);

impl Spy {
    async fn step<T>(&self, step: String, real: impl Future<Output = Result<T, Errno>> + Send) -> Result<T, Errno> {
        match self.plan.meet(&self.root, &step) {
            None => real.await,
            Some(Fault::Refused(e)) => Err(e),
            Some(Fault::Hidden(e)) => real.await.and(Err(e)),
        }
    }
}

impl Fs for Spy {
    type Dir = OwnedFd;
    type File = Named;

    async fn open_root(&self) -> Result<OwnedFd, Errno> {
        self.step("open root".to_owned(), self.real.open_root()).await
    }
    async fn open_dir(&self, at: &OwnedFd, path: &str) -> Result<OwnedFd, Errno> {
        self.step(format!("open {}", plain(path)), self.real.open_dir(at, path)).await
    }
    async fn make_dir(&self, at: &OwnedFd, name: &str) -> Result<(), Errno> {
        self.step(format!("mkdir {}", plain(name)), self.real.make_dir(at, name)).await
    }
    async fn list(&self, dir: &OwnedFd) -> Result<Vec<String>, Errno> {
        self.step("list".to_owned(), self.real.list(dir)).await
    }
    async fn sync_dir(&self, dir: &OwnedFd) -> Result<(), Errno> {
        self.step("sync dir".to_owned(), self.real.sync_dir(dir)).await
    }
    async fn create(&self, dir: &OwnedFd, name: &str) -> Result<Named, Errno> {
        let real = async { Ok(Named(self.real.create(dir, name).await?, plain(name))) };
        self.step(format!("create {}", plain(name)), real).await
    }
    async fn open_or_create(&self, dir: &OwnedFd, name: &str) -> Result<Named, Errno> {
        let real = async { Ok(Named(self.real.open_or_create(dir, name).await?, plain(name))) };
        self.step(format!("open-or-create {name}"), real).await
    }
    async fn open(&self, dir: &OwnedFd, name: &str) -> Result<Named, Errno> {
        let real = async { Ok(Named(self.real.open(dir, name).await?, plain(name))) };
        self.step(format!("open file {}", plain(name)), real).await
    }
    async fn write_at(&self, file: &Named, bytes: &[u8], offset: u64) -> Result<(), Errno> {
        self.step(format!("write {}", file.1), self.real.write_at(&file.0, bytes, offset)).await
    }
    async fn read_at(&self, file: &Named, offset: u64, len: usize) -> Result<Bytes, Errno> {
        self.step(format!("read at {}", file.1), self.real.read_at(&file.0, offset, len)).await
    }
    async fn sync_data(&self, file: &Named) -> Result<(), Errno> {
        self.step(format!("sync {}", file.1), self.real.sync_data(&file.0)).await
    }
    async fn sync_file(&self, file: &Named) -> Result<(), Errno> {
        self.step(format!("sync {}", file.1), self.real.sync_file(&file.0)).await
    }
    async fn file_stat(&self, file: &Named) -> Result<Stat, Errno> {
        self.step(format!("fstat {}", file.1), self.real.file_stat(&file.0)).await
    }
    async fn read(&self, dir: &OwnedFd, name: &str, limit: usize) -> Result<Whole, Errno> {
        self.step(format!("read {name}"), self.real.read(dir, name, limit)).await
    }
    async fn stat(&self, dir: &OwnedFd, name: &str) -> Result<Stat, Errno> {
        self.step(format!("stat {name}"), self.real.stat(dir, name)).await
    }
    async fn link(&self, dir: &OwnedFd, from: &str, to: &str) -> Result<(), Errno> {
        self.step(format!("link {} {to}", plain(from)), self.real.link(dir, from, to)).await
    }
    async fn unlink(&self, dir: &OwnedFd, name: &str) -> Result<(), Errno> {
        self.step(format!("unlink {}", plain(name)), self.real.unlink(dir, name)).await
    }
    async fn run<T: Send + 'static>(&self, op: impl Future<Output = T> + Send + 'static) -> Option<T> {
        self.real.run(op).await
    }
    fn detach(&self, op: impl Future<Output = ()> + Send + 'static) {
        if !*self.plan.detach_nothing.lock().unwrap() {
            self.real.detach(op);
        }
    }
    fn watch(&self, path: &str) -> Option<Watch> {
        self.real.watch(path)
    }
}
