//! A world for the binary: an empty home, an empty environment, a store of its own.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use assert_cmd::Command;
use tempfile::TempDir;

/// Longer than any command here takes on a slow machine; a test that reaches it has hung.
const PATIENCE: Duration = Duration::from_secs(120);

/// The user that nothing belongs to.
const NOBODY: u32 = 65_534;

/// A directory with a home, a store and nothing else.
pub struct Lab {
    dir: TempDir,
}

/// What a command left behind.
#[derive(Debug)]
pub struct Ran {
    /// Its exit code; 128 + n when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Lab {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["home", "state", "run", "work"] {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        std::fs::set_permissions(dir.path().join("run"), std::fs::Permissions::from_mode(0o700)).unwrap();
        Self { dir }
    }

    /// A path inside the lab.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file into the lab.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The URL of the store that commands use when nobody names another.
    pub fn store(&self) -> String {
        format!("disk://{}", self.path("state/lockd").display())
    }

    /// The binary in this world, without arguments.
    pub fn lockd(&self) -> Command {
        Command::from_std(self.plain())
    }

    /// The same for a caller that starts it itself.
    pub fn plain(&self) -> std::process::Command {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_lockd"));
        self.dress(&mut command);
        command
    }

    /// A script of a shell (`busybox sh` is one, too) in this world, where `lockd` is on the path.
    pub fn shell(&self, shell: &str, script: &str) -> Command {
        let mut words = shell.split(' ');
        let mut command = std::process::Command::new(words.next().unwrap());
        self.dress(&mut command);
        command.args(words).arg("-c").arg(script);
        Command::from_std(command)
    }

    /// The binary as a user without rights; a copy of it, since the build directory may be closed to others.
    pub fn as_nobody(&self) -> Command {
        let copy = self.path("lockd");
        if !copy.exists() {
            std::fs::copy(env!("CARGO_BIN_EXE_lockd"), &copy).unwrap();
        }
        let mut command = std::process::Command::new(copy);
        self.dress(&mut command);
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        Command::from_std(command)
    }

    /// Puts a command into this world.
    pub fn dressed<'a>(&self, command: &'a mut std::process::Command) -> &'a mut std::process::Command {
        self.dress(command);
        command
    }

    fn dress(&self, command: &mut std::process::Command) {
        let bin = Path::new(env!("CARGO_BIN_EXE_lockd")).parent().unwrap();
        command.env_clear().current_dir(self.path("work"));
        command.env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()));
        command.env("HOME", self.path("home"));
        command.env("XDG_STATE_HOME", self.path("state"));
        command.env("XDG_CONFIG_HOME", self.path("home/config"));
        command.env("XDG_RUNTIME_DIR", self.path("run"));
    }

    /// Runs `lockd` with these arguments.
    pub fn run<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        ran(self.lockd().args(args))
    }

    /// The same with standard input.
    pub fn feed(&self, args: &[&str], input: impl Into<Vec<u8>>) -> Ran {
        ran(self.lockd().args(args).write_stdin(input))
    }

    /// Takes a lease and gives the variables that stand for it.
    pub fn acquire(&self, key: &str, more: &[&str]) -> Vec<(String, String)> {
        let ran = self.run(["acquire", "-o", "dotenv", key].iter().chain(more));
        assert_eq!(ran.code, 0, "{}", ran.err);
        dotenvy::from_read_iter(ran.out.as_bytes()).map(Result::unwrap).collect()
    }

    /// What `status --json` says of a key.
    pub fn status(&self, key: &str) -> serde_json::Value {
        let ran = self.run(["status", "--json", key]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        serde_json::from_str(&ran.out).unwrap()
    }
}

/// Runs a command to its end.
pub fn ran(command: &mut Command) -> Ran {
    let output = command.timeout(PATIENCE).output().unwrap();
    finished(&output)
}

/// What an ended process left behind. A panic is never an answer.
pub fn finished(output: &std::process::Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    let code = output.status.code().or_else(|| Some(128 + output.status.signal()?)).unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let ran = Ran { code, out: text(&output.stdout), err: text(&output.stderr) };
    assert!(!ran.err.contains("panicked"), "{}", ran.err);
    ran
}

/// A script of `scripts/` in the lab's world.
pub fn script(lab: &Lab, name: &str, args: &[&str]) -> std::process::Command {
    let mut command = std::process::Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name));
    lab.dressed(&mut command).args(args);
    command
}

/// A named pipe: whoever opens it waits for the other side. Tests wait on it and never for a time.
pub fn fifo(path: &Path) {
    rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether a program is there.
pub fn has(program: &str) -> bool {
    ["/usr/local/bin", "/usr/bin", "/bin"].iter().any(|dir| Path::new(dir).join(program).exists())
}
