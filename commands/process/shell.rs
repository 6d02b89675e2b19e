//! Whose life counts for a keeper: the shell that runs what `acquire` prints.
//!
//! In `l=$(lockd acquire --keep k)` the parent may be that shell, a subshell forked from it for the substitution, a program such as
//! `timeout` that only runs another, or, in zsh, a filter that the subshell has become. So programs of these kinds are passed over;
//! of the subshells and the shell that they were forked from, it is the one that reads what is printed; or, where the printed
//! goes through a pipe first, the one that reads the output of its subshell. Nothing above the shell is ever chosen: a
//! terminal, a daemon or another script may read the script's output too.

use std::fmt;
use std::fs;
use std::os::fd::OwnedFd;

use lockd::error::{Error, ErrorKind, Result};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags};
use rustix::time::Timespec;

use super::family::{self, Process};
use super::sys;

/// Programs that run another and end with it.
const WRAPPERS: [&str; 12] =
    ["timeout", "time", "sudo", "doas", "su", "runuser", "flock", "strace", "ltrace", "unshare", "nsenter", "setsid"];

/// Programs that pass on what they read, at the end of a pipe that a subshell has become.
const FILTERS: [&str; 14] =
    ["cat", "tee", "grep", "sed", "awk", "gawk", "mawk", "tr", "head", "tail", "cut", "sort", "uniq", "jq"];

/// Programs that may run what they read from a pipe.
const SHELLS: [&str; 18] = [
    "sh", "bash", "rbash", "dash", "ash", "zsh", "ksh", "ksh93", "mksh", "oksh", "yash", "posh", "busybox", "fish",
    "tcsh", "csh", "nu", "elvish",
];

/// How far up the shell is looked for.
const DEPTH: usize = 32;

/// How often, and with what pause, a subshell is looked at that is building its pipeline: a few seconds.
const PATIENCE: u32 = 2_000;
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// A process whose life counts.
#[derive(Debug)]
pub struct Shell {
    process: Process,
    handle: OwnedFd,
}

impl Shell {
    /// The shell of this command.
    ///
    /// # Errors
    /// `Usage` when it cannot be told.
    pub fn of_caller() -> Result<Self> {
        let unknown = || {
            Error::new(ErrorKind::Usage, "--keep: the shell of this command cannot be told")
                .with_hint("name the process whose life counts, with --for-pid $$")
        };
        let shell = find().ok_or_else(unknown)?;
        // Whoever adopted this command when its parent had ended is in another session, and no shell that waits for it.
        let session = |pid| sys::session_of(pid).ok();
        if session(None).is_none() || session(Some(shell.pid)) != session(None) {
            return Err(unknown());
        }
        Self::of(shell)
    }

    /// A process by its number.
    ///
    /// # Errors
    /// `Usage` when there is none.
    pub fn named(pid: i32) -> Result<Self> {
        family::read(pid).ok_or_else(|| none(pid)).and_then(Self::of)
    }

    fn of(process: Process) -> Result<Self> {
        let number = process.pid.as_raw_nonzero().get();
        let handle = rustix::process::pidfd_open(process.pid, PidfdFlags::empty()).map_err(|e| match e {
            Errno::NOSYS => Error::new(ErrorKind::Internal, "--keep: this kernel has no handles for processes")
                .with_hint("use `lockd exec`, or Linux 5.3 or later"),
            Errno::SRCH | Errno::INVAL => none(number),
            e => Error::io(format_args!("watch process {number}"), &e.into()),
        })?;
        match process.is_still_there() && !process.zombie {
            true => Ok(Self { process, handle }),
            false => Err(none(number)),
        }
    }

    /// Its id.
    pub const fn pid(&self) -> Pid {
        self.process.pid
    }

    /// Becomes readable when it has ended.
    pub const fn handle(&self) -> &OwnedFd {
        &self.handle
    }
}

impl fmt::Display for Shell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.process.pid.as_raw_nonzero(), self.process.name.escape_debug())
    }
}

fn none(pid: i32) -> Error {
    Error::new(ErrorKind::Usage, format!("--for-pid: there is no process {pid}")).with_hint("name one that runs")
}

/// A process above this one, with what says whether it is a shell that reads.
#[derive(Clone, Debug)]
struct Ancestor {
    process: Process,
    /// What it runs, as far as that is shown.
    program: Option<(std::path::PathBuf, Vec<u8>)>,
    /// The pipes on its standard input and output.
    input: Option<u64>,
    output: Option<u64>,
    /// The pipes that it can read from.
    reads: Vec<u64>,
    /// Whether it waits for something, before this was looked at and after.
    asleep: bool,
}

/// The nearest first.
fn ancestors() -> Vec<Ancestor> {
    let mut next = rustix::process::getppid();
    let mut up = Vec::new();
    while let Some(process) = next.and_then(|pid| family::read(pid.as_raw_nonzero().get())).filter(|_| up.len() < DEPTH)
    {
        next = Pid::from_raw(process.parent);
        let dir = process.pid.as_raw_nonzero().get().to_string();
        let program = fs::read_link(format!("/proc/{dir}/exe")).ok().zip(fs::read(format!("/proc/{dir}/cmdline")).ok());
        let (input, output) = (pipe_at(&format!("/proc/{dir}/fd/0")), output_of(&dir));
        let reads = reads_of(&dir);
        let asleep = process.asleep && family::read(process.pid.as_raw_nonzero().get()).is_some_and(|now| now.asleep);
        up.push(Ancestor { program, input, output, reads, asleep, process });
    }
    up
}

/// The shell that runs what this command prints. A subshell that is still building its pipeline has an end of each pipe, too. But
/// it is either at work then, and is looked at again; or it waits for a child that it has just forked, which has that end as
/// well. Who reads what a substitution prints waits, and shares that with nobody.
fn find() -> Option<Process> {
    let mut tries = 0;
    loop {
        let up = ancestors();
        let output = output_of("self");
        let (at, perhaps) = choose(output, &up)?;
        match perhaps {
            Some(above) if tries == PATIENCE || is_shared(output, &up[at]) => return Some(up[above].process.clone()),
            Some(_) if !up[at].asleep => {}
            _ => return Some(up[at].process.clone()),
        }
        tries += 1;
        let _over = rustix::event::poll(&mut [], Some(&PAUSE));
    }
}

/// Whether a child of it may read from the pipe, too.
fn is_shared(pipe: Option<u64>, shell: &Ancestor) -> bool {
    let mut children = family::children_of(shell.process.pid);
    pipe.is_some_and(|pipe| children.any(|child| reads_of(&child.pid.as_raw_nonzero().to_string()).contains(&pipe)))
}

/// Which of `up` is the shell that runs what this command prints to the pipe `output`; and if that is so only when it waits for
/// what is printed, which one it is otherwise.
fn choose(output: Option<u64>, up: &[Ancestor]) -> Option<(usize, Option<usize>)> {
    let passes = |above: &Ancestor| {
        let name = above.process.name.as_str();
        let filters = output.is_some() && above.input == output && !SHELLS.contains(&name);
        WRAPPERS.contains(&name) || FILTERS.contains(&name) || filters
    };
    let first = up.iter().position(|above| !passes(above))?;
    // What stands between a shell and its fork was one of them, and has become another program since.
    let is_shell = |at: usize| at == first || (at > first && is_fork(&up[first], &up[at]));
    let reader = |pipe: Option<u64>, from: usize| {
        let mut shells = (from..up.len()).filter(|at| is_shell(*at));
        shells.find(|at| pipe.is_some_and(|pipe| up[*at].reads.contains(&pipe)))
    };
    let elsewhere = |at: &usize| up[*at].output != output;
    let of_subshell = || (0..up.len()).filter(elsewhere).find_map(|at| reader(up[at].output, at + 1));
    match (reader(output, first), of_subshell()) {
        (Some(at), above) => Some((at, above.filter(|above| *above > at))),
        (None, above) => Some((above.unwrap_or(first), None)),
    }
}

/// Whether one is a fork of the other that runs the same program still: a subshell.
fn is_fork(one: &Ancestor, other: &Ancestor) -> bool {
    one.process.image == other.process.image
        && one.process.image.iter().all(|at| *at != 0)
        && one.program.is_some()
        && one.program == other.program
}

/// The pipe on the standard output of a process.
fn output_of(dir: &str) -> Option<u64> {
    pipe_at(&format!("/proc/{dir}/fd/1"))
}

fn pipe_at(link: &str) -> Option<u64> {
    fs::read_link(link).ok()?.to_str()?.strip_prefix("pipe:[")?.strip_suffix(']')?.parse().ok()
}

/// The pipes that a process has open to read from; none where the kernel does not show them.
fn reads_of(dir: &str) -> Vec<u64> {
    let open = fs::read_dir(format!("/proc/{dir}/fd")).into_iter().flatten().flatten();
    let readable = |fd: &str| {
        let info = fs::read_to_string(format!("/proc/{dir}/fdinfo/{fd}")).ok()?;
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"))?;
        Some(u32::from_str_radix(flags.trim(), 8).ok()? & 0o3 == 0)
    };
    open.filter_map(|entry| {
        let fd = entry.file_name().into_string().ok()?;
        pipe_at(&format!("/proc/{dir}/fd/{fd}")).filter(|_| readable(&fd) == Some(true))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A process of a program; those of one program and image are forks of each other.
    fn above(program: &str, image: u64, output: Option<u64>, reads: &[u64]) -> Ancestor {
        let stat = format!("7 ({program}) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 99 0 0 0 0 0 {image} 0");
        let zeros = " 0".repeat(18);
        let mut process = family::parse(&format!("{stat}{zeros} {image} 0 {image}")).unwrap();
        process.image = [image; 3];
        let program = Some((program.into(), Vec::new()));
        Ancestor { process, program, input: None, output, reads: reads.to_vec(), asleep: true }
    }

    #[test]
    fn the_shell_is_who_reads_what_is_printed() {
        let sh = |output, reads: &[u64]| above("sh", 5, output, reads);
        let main = || sh(Some(9), &[1]);
        let runner = || above("runner", 6, None, &[9]);
        let timeout = || above("timeout", 7, Some(1), &[]);
        for (what, output, up, expected) in [
            ("plainly", Some(1), vec![main(), runner()], 0),
            ("from a subshell", Some(1), vec![sh(Some(1), &[]), main(), runner()], 1),
            ("behind timeout", Some(1), vec![timeout(), main(), runner()], 1),
            ("behind timeout in a subshell", Some(1), vec![timeout(), sh(Some(1), &[]), main()], 2),
            ("through a pipe", Some(2), vec![sh(Some(1), &[]), main(), runner()], 1),
            ("in a part of a pipeline", Some(2), vec![sh(Some(2), &[]), sh(Some(1), &[]), main()], 2),
            ("inside an explicit subshell", Some(3), vec![sh(Some(9), &[3]), main(), runner()], 0),
            ("not at all, in a script whose output is read", Some(9), vec![sh(Some(9), &[]), runner()], 0),
            (
                "not at all, in an explicit subshell of that",
                Some(9),
                vec![sh(Some(9), &[]), sh(Some(9), &[]), runner()],
                0,
            ),
            ("to a file", None, vec![sh(Some(9), &[]), runner()], 0),
        ] {
            assert_eq!(choose(output, &up), Some((expected, None)), "{what}");
        }
        // zsh: the subshell has become the last part of the pipe.
        let cat = |input| Ancestor { input, ..above("cat", 7, Some(1), &[2]) };
        let tool = |input| Ancestor { input, ..above("tool", 7, Some(1), &[2]) };
        assert_eq!(choose(Some(2), &[cat(Some(2)), main(), runner()]), Some((1, None)));
        assert_eq!(choose(Some(2), &[tool(Some(2)), main(), runner()]), Some((1, None)));
        assert_eq!(choose(Some(3), &[timeout(), cat(Some(2)), main(), runner()]), Some((2, None)));
        assert_eq!(choose(Some(3), &[sh(Some(3), &[]), tool(Some(2)), main(), runner()]), Some((2, None)));
        // It has the other end of the pipe because it is building the pipeline, or because it reads: that shows in what it does.
        assert_eq!(choose(Some(2), &[sh(Some(1), &[2]), main(), runner()]), Some((0, Some(1))));
        let behind = Ancestor { output: Some(2), ..timeout() };
        assert_eq!(choose(Some(2), &[behind, sh(Some(1), &[2]), main(), runner()]), Some((1, Some(2))));
        // A loop at the end of a pipe is run by the shell itself there.
        let looping = || Ancestor { input: Some(2), ..sh(Some(9), &[2]) };
        assert_eq!(choose(Some(2), &[looping(), runner()]), Some((0, None)));
        // A script inside a substitution of another is a shell of its own.
        let script = above("sh", 8, Some(1), &[]);
        assert_eq!(choose(Some(1), &[script, main()]), Some((0, None)));
        assert_eq!(choose(Some(1), &[timeout()]), None);
    }

    #[test]
    fn what_the_kernel_does_not_show_is_no_fork() {
        let hidden = || above("sh", 0, Some(1), &[]);
        assert_eq!(choose(Some(2), &[hidden(), above("sh", 0, None, &[1])]), Some((0, None)));
    }
}
