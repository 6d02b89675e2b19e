//! Finds the program of a command before anything waits for it, and becomes it later: the rules of `execvp(3)`.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use rustix::fs::{Access, AtFlags, CWD, FileType};
use rustix::io::Errno;

use super::sys;

/// Where programs are looked for when `PATH` is not set: the C library's own default.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// A command and the files that may be its program, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Program {
    argv: Vec<CString>,
    candidates: Vec<CString>,
}

/// Why a command cannot be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotRunnable {
    /// There is no such program.
    NotFound,
    /// There is one, but it may not be run, or is a directory.
    NotExecutable,
}

impl NotRunnable {
    /// The exit code that shells, `env` and `timeout` give.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::NotFound => 127,
            Self::NotExecutable => 126,
        }
    }

    /// What a failed start means, by its error number: the program went away after it was found, or cannot be loaded.
    pub fn from_errno(errno: i32) -> Self {
        match Errno::from_raw_os_error(errno) {
            Errno::NOENT | Errno::NOTDIR => Self::NotFound,
            _ => Self::NotExecutable,
        }
    }
}

impl Program {
    /// Looks up `argv[0]`: as a path when it has a slash, else in the directories of `path` (an empty one is the present
    /// directory).
    pub fn find(argv: &[OsString], path: Option<&OsStr>) -> Result<Self, NotRunnable> {
        let name = argv.first().filter(|name| !name.is_empty()).ok_or(NotRunnable::NotFound)?;
        let files = places(name, path.unwrap_or(OsStr::new(DEFAULT_PATH)));
        let verdicts: Vec<_> = files.iter().map(|file| runnable(file)).collect();
        if !verdicts.contains(&Ok(())) {
            let refused = verdicts.contains(&Err(NotRunnable::NotExecutable));
            return Err(if refused { NotRunnable::NotExecutable } else { NotRunnable::NotFound });
        }
        let strings = |list: &[OsString]| -> Option<Vec<CString>> {
            list.iter().map(|text| CString::new(text.as_bytes()).ok()).collect()
        };
        match (strings(argv), strings(&files)) {
            (Some(argv), Some(candidates)) => Ok(Self { argv, candidates }),
            _ => Err(NotRunnable::NotFound),
        }
    }

    /// Becomes the program; returns only the error number of why not. A file that the kernel cannot run for want of a
    /// first line that names its interpreter is given to `/bin/sh`, as `execvp` does.
    pub fn become_it(&self, env: &[CString]) -> i32 {
        let mut refused = None;
        for file in &self.candidates {
            let error = sys::become_program(file, &self.argv, env);
            match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::ACCESS) => refused = Some(Errno::ACCESS),
                Some(Errno::NOENT | Errno::NOTDIR | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT) => {}
                Some(Errno::NOEXEC) => return self.become_script(file, env),
                Some(other) => return other.raw_os_error(),
                None => return Errno::IO.raw_os_error(),
            }
        }
        refused.unwrap_or(Errno::NOENT).raw_os_error()
    }

    fn become_script(&self, file: &CString, env: &[CString]) -> i32 {
        let argv: Vec<CString> =
            [c"sh".to_owned(), file.clone()].into_iter().chain(self.argv.iter().skip(1).cloned()).collect();
        sys::become_program(c"/bin/sh", &argv, env).raw_os_error().unwrap_or(Errno::NOEXEC.raw_os_error())
    }
}

/// `NAME=VALUE` strings of an environment with changes: a value replaces or adds, `None` removes.
pub fn environment(
    base: impl Iterator<Item = (OsString, OsString)>,
    changes: &[(OsString, Option<OsString>)],
) -> Vec<CString> {
    let kept = base.filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let set = changes.iter().filter_map(|(name, value)| Some((name.clone(), value.clone()?)));
    kept.chain(set)
        .filter_map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()).ok())
        .collect()
}

fn places(name: &OsStr, path: &OsStr) -> Vec<OsString> {
    if name.as_bytes().contains(&b'/') {
        return vec![name.to_owned()];
    }
    let in_dir = |dir: &[u8]| match dir {
        b"" => [b"./", name.as_bytes()].concat(),
        _ => [dir, b"/", name.as_bytes()].concat(),
    };
    path.as_bytes().split(|b| *b == b':').map(|dir| OsString::from_vec(in_dir(dir))).collect()
}

fn runnable(file: &OsStr) -> Result<(), NotRunnable> {
    let stat = rustix::fs::stat(file).map_err(|e| match e {
        Errno::ACCESS => NotRunnable::NotExecutable,
        _ => NotRunnable::NotFound,
    })?;
    let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
    if is_file && rustix::fs::accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok() {
        return Ok(());
    }
    Err(NotRunnable::NotExecutable)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn find(name: &str, path: Option<&str>) -> Result<Program, NotRunnable> {
        Program::find(&[name.into()], path.map(OsStr::new))
    }

    #[test]
    fn programs_are_found_as_execvp_does() {
        let dir = tempfile::tempdir().unwrap();
        let (plain, tool) = (dir.path().join("plain"), dir.path().join("tool"));
        std::fs::write(&plain, "").unwrap();
        std::fs::write(&tool, "").unwrap();
        std::fs::set_permissions(&plain, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::set_permissions(&tool, PermissionsExt::from_mode(0o755)).unwrap();
        let path = format!("/nonexistent:{}:/bin", dir.path().display());
        assert_eq!(find("tool", Some(&path)).unwrap().candidates.len(), 3);
        assert!(find("sh", None).is_ok());
        for name in ["plain", plain.to_str().unwrap(), dir.path().to_str().unwrap()] {
            assert_eq!(find(name, Some(&path)).unwrap_err(), NotRunnable::NotExecutable, "{name}");
        }
        for name in ["", "no-such-program", "./no-such-program", "/no/such"] {
            assert_eq!(find(name, Some(&path)).unwrap_err(), NotRunnable::NotFound, "{name}");
        }
        assert_eq!(find("tool", Some("/bin")).unwrap_err(), NotRunnable::NotFound);
    }

    #[test]
    fn the_environment_is_the_callers_with_the_changes() {
        let base = [("A", "1"), ("B", "2"), ("C", "")].map(|(n, v)| (n.into(), v.into()));
        let changes = [("B".into(), None), ("A".into(), Some("3".into())), ("D".into(), Some("=".into()))];
        let env = environment(base.into_iter(), &changes);
        assert_eq!(env, [c"C=".to_owned(), c"A=3".to_owned(), c"D==".to_owned()]);
    }
}
