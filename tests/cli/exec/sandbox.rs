//! A store of its own, commands on it, and the processes that they left.

use std::fs;
use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use lockd::clock::{BootTime, Clock, SystemClock, UnixMillis};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::lease::{Break, Request, step};
use lockd::model::{Key, LeaseId, Namespace, Owner, Reason, Record, WriteId};
use lockd::store::Precondition;
use lockd::store::open::{self, OpenOptions};
use rustix::process::{Pid, Signal};

/// How long something may take that must happen: the machine may be slow, and a test never measures its speed with this.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory with a store, and a mark by which every process started here is found again.
pub struct Sandbox {
    dir: tempfile::TempDir,
    mark: String,
}

impl Sandbox {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // Out of the way of the store that a user of this machine may have.
        let sandbox =
            Self { dir, mark: format!("LOCKD_TEST_MARK={}", LeaseId::random(&KernelEntropy as &dyn Entropy)) };
        let made = sandbox.lockd(&["exec", "-q", "first", "--", "true"]).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        sandbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The path as text, for scripts.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn store(&self) -> String {
        format!("disk://{}", self.text("store"))
    }

    /// A command on the sandbox's store: nothing of this process's own settings reaches it.
    pub fn lockd(&self, args: &[&str]) -> Command {
        let mut command = self.any(env!("CARGO_BIN_EXE_lockd"));
        command.args(args);
        command
    }

    /// Any program, with what a lockd started by it needs.
    pub fn any(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("LOCKD_")) {
            command.env_remove(name);
        }
        let (name, value) = self.mark.split_once('=').unwrap();
        command.env(name, value).env("LOCKD_STORE", self.store()).env("LOCKD", env!("CARGO_BIN_EXE_lockd"));
        command.env("XDG_RUNTIME_DIR", self.dir.path()).env("XDG_CONFIG_HOME", self.dir.path());
        // The caller's may name directories that this user may not search, which changes what "not found" is.
        command.env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("D", self.dir.path()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    /// `lockd exec ARGS -- sh -c SCRIPT`, started. `$D` is the sandbox's directory.
    pub fn exec(&self, args: &[&str], script: &str) -> Running {
        let args: Vec<_> = ["exec"].iter().chain(args).chain(&["--", "sh", "-c", script]).copied().collect();
        Running::of(&mut self.lockd(&args))
    }

    /// The same, run to its end.
    pub fn run(&self, args: &[&str], script: &str) -> Output {
        let args: Vec<_> = ["exec"].iter().chain(args).chain(&["--", "sh", "-c", script]).copied().collect();
        self.lockd(&args).output().unwrap()
    }

    /// Whether the key is free now.
    pub fn is_free(&self, key: &str) -> bool {
        let out = self.lockd(&["exec", "-n", key, "--", "true"]).output().unwrap();
        assert!(matches!(out.status.code(), Some(0 | 75)), "{out:?}");
        out.status.success()
    }

    /// Breaks the lease of a key, as an operator does.
    pub fn break_lease(&self, key: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let options = OpenOptions { create: false, ..OpenOptions::system() };
            let store = open::open(&self.store(), options).await.unwrap().store;
            let key = Key::new(Namespace::default(), key).unwrap();
            let (by, reason) = (Owner::new("operator").unwrap(), Reason::new("stuck").unwrap());
            // Its holder renews it meanwhile.
            for _ in 0..100 {
                let tagged = store.records.get(&key).await.unwrap().unwrap();
                let record = Record::decode(&key, &tagged.value).unwrap();
                let lease_id = record.lease.as_ref().expect("it is held").id.clone();
                let (by, reason, epoch) = (by.clone(), reason.clone(), store.facts.epoch);
                let broken = Request::Break(Break { lease_id, by, reason, epoch, at: UnixMillis(1) });
                let next =
                    step(&record, &broken, Duration::ZERO).write.unwrap().sealed(WriteId::random(&KernelEntropy));
                if store.records.put(&key, next.encode().unwrap(), Precondition::Matches(tagged.etag)).await.is_ok() {
                    return;
                }
            }
            panic!("it could not be broken");
        });
    }

    /// The processes started here that still run, by id and command line.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let pids = fs::read_dir("/proc").unwrap().flatten();
        pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter_map(|pid| self.ours(pid)).collect()
    }

    fn ours(&self, pid: i32) -> Option<(i32, String)> {
        let environ = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let marked = environ.split(|b| *b == 0).any(|var| var == self.mark.as_bytes());
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        marked.then(|| (pid, String::from_utf8_lossy(&line).replace('\0', " ").trim().to_owned()))
    }

    /// Waits until a file is there and not empty.
    pub fn wait_for(&self, name: &str) -> String {
        until(&format!("{name} is written"), || {
            fs::read_to_string(self.path(name)).ok().filter(|text| text.ends_with('\n'))
        })
    }

    /// Waits until nothing that was started here runs.
    pub fn wait_for_nobody(&self) {
        let mut left = Vec::new();
        until_with(
            &mut || {
                left = self.processes();
                left.is_empty().then_some(())
            },
            &|| "nothing of it runs".to_owned(),
        );
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        // A failed test leaves nothing behind.
        for (pid, _) in self.processes() {
            let _gone = Pid::from_raw(pid).map(|pid| rustix::process::kill_process(pid, Signal::KILL));
        }
    }
}

/// A process that was started; killed with the test.
pub struct Running {
    child: Child,
}

impl Running {
    pub fn of(command: &mut Command) -> Self {
        Self { child: command.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap() }
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    pub fn signal(&self, signal: Signal) {
        rustix::process::kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has a handler for what tells it to stop: before that a signal ends it by itself.
    pub fn until_it_listens(&self) {
        let told = [Signal::INT, Signal::TERM].iter().fold(0, |mask, signal| mask | 1_u64 << (signal.as_raw() - 1));
        until("it listens for signals", || {
            let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            (u64::from_str_radix(caught.trim(), 16).unwrap() & told == told).then_some(())
        });
    }

    /// The guard of this exec: its only child.
    pub fn guard(&self) -> Pid {
        let list = format!("/proc/{0}/task/{0}/children", self.pid());
        let pid =
            until("the guard is there", || fs::read_to_string(&list).unwrap().split_whitespace().next()?.parse().ok());
        Pid::from_raw(pid).unwrap()
    }

    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for the end: exit code, or minus the signal; and what was said on standard error.
    pub fn end(mut self) -> (i32, String) {
        let status: ExitStatus = until("it ends", || self.child.try_wait().unwrap());
        let mut said = String::new();
        // Read what is there: a process that left may hold the pipe open.
        rustix::io::ioctl_fionbio(self.child.stderr.as_ref().unwrap(), true).unwrap();
        let _open = self.child.stderr.take().unwrap().read_to_string(&mut said);
        (status.code().unwrap_or_else(|| -status.signal().unwrap()), said)
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _over = self.child.kill();
        let _status = self.child.wait();
    }
}

/// Now, on the boot clock.
pub fn boot() -> BootTime {
    SystemClock.boot()
}

/// Waits until `look` sees something.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    until_with(&mut look, &|| what.to_owned())
}

fn until_with<T>(look: &mut dyn FnMut() -> Option<T>, what: &dyn Fn() -> String) -> T {
    let give_up = boot() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(boot() < give_up, "in {PATIENCE:?} it did not come about that {}", what());
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "what is waited for happens in another process")]
fn pause() {
    std::thread::sleep(Duration::from_millis(5));
}
