//! The unsafe code of lockd, all of it: what no safe library wraps of the kernel's calls for processes and signals, and of the C
//! library's for memory.
//!
//! Each function is safe to call from outside this module; each block says why.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::process::Pid;
use tokio::io::unix::AsyncFd;

/// Signals that the caller had ignored, as bits: bit n-1 is signal n.
static IGNORED: AtomicU64 = AtomicU64::new(0);
/// Signals that the caller had blocked.
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// Which of the descriptors 0, 1 and 2 were closed.
static CLOSED: AtomicU64 = AtomicU64::new(0);

/// Linux has the signals 1 to 64.
const SIGNALS: std::ops::RangeInclusive<i32> = 1..=64;

/// Runs before `main` and before Rust's own start: std ignores SIGPIPE and opens /dev/null on closed standard descriptors,
/// after which nobody can say what the caller had.
#[used]
// SAFETY: the section holds pointers to functions that the loader calls once, in the only thread; `capture` is one.
#[unsafe(link_section = ".init_array")]
static AT_START: extern "C" fn() = capture;

extern "C" fn capture() {
    let ignored = SIGNALS.filter(|signal| is_ignored_now(*signal)).map(bit).sum();
    IGNORED.store(ignored, Ordering::Relaxed);
    BLOCKED.store(blocked_now(), Ordering::Relaxed);
    // SAFETY: F_GETFD takes no pointer; an error says that the descriptor is closed.
    let closed = (0..3).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } < 0).map(|fd| 1 << fd).sum();
    CLOSED.store(closed, Ordering::Relaxed);
}

fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

fn is_ignored_now(signal: i32) -> bool {
    // SAFETY: a zeroed sigaction is a valid place to write the present one into; nothing is changed.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        libc::sigaction(signal, ptr::null(), &raw mut action) == 0 && action.sa_sigaction == libc::SIG_IGN
    }
}

fn blocked_now() -> u64 {
    // SAFETY: a zeroed set is a valid place to write the present mask into; nothing is changed.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_BLOCK, ptr::null(), &raw mut set);
        SIGNALS.filter(|signal| libc::sigismember(&raw const set, *signal) == 1).map(bit).sum()
    }
}

/// Whether the caller of lockd had this signal ignored.
pub fn caller_ignored(signal: i32) -> bool {
    IGNORED.load(Ordering::Relaxed) & bit(signal) != 0
}

/// Whether the caller of lockd had this standard descriptor closed; by now `/dev/null` stands there.
pub fn caller_closed(fd: u32) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Whether a signal has its effect: the caller had it neither ignored nor blocked.
pub fn caller_lets_through(signal: i32) -> bool {
    (IGNORED.load(Ordering::Relaxed) | BLOCKED.load(Ordering::Relaxed)) & bit(signal) == 0
}

/// A descriptor that the caller left open for this program, as a new one that no other program inherits.
///
/// # Errors
/// When the caller had none there.
pub fn inherited(fd: RawFd) -> io::Result<OwnedFd> {
    let closed = u32::try_from(fd).is_ok_and(|fd| fd < 3 && caller_closed(fd));
    // SAFETY: F_GETFD takes no pointer.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFD) };
    // What has close-on-exec did not come through the exec of this program: it is lockd's own.
    if closed || flags & libc::FD_CLOEXEC != 0 {
        return Err(if flags < 0 { io::Error::last_os_error() } else { io::Error::from_raw_os_error(libc::EBADF) });
    }
    // SAFETY: the call takes no pointer; the descriptor that it makes is new and ours.
    unsafe {
        let new = libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3);
        if new < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(new)) }
    }
}

/// A descriptor that the runtime watches. Must be called inside one.
///
/// # Errors
/// When the kernel cannot watch it.
pub fn watched(fd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` names one open descriptor, always the same, for as long as it lives.
    unsafe { AsyncFd::register(fd) }.map_err(Into::into)
}

/// The process group of a process, or of this one; 0 where its leader is outside of this pid namespace, which no safe wrapper
/// allows for.
///
/// # Errors
/// When there is no such process.
pub fn group_of(pid: Option<Pid>) -> io::Result<i32> {
    // SAFETY: takes no pointer.
    found(unsafe { libc::getpgid(pid.map_or(0, |pid| pid.as_raw_nonzero().get())) })
}

/// The session of a process, or of this one; 0 as for [`group_of`].
///
/// # Errors
/// When there is no such process.
pub fn session_of(pid: Option<Pid>) -> io::Result<i32> {
    // SAFETY: takes no pointer.
    found(unsafe { libc::getsid(pid.map_or(0, |pid| pid.as_raw_nonzero().get())) })
}

fn found(id: i32) -> io::Result<i32> {
    if id < 0 { Err(io::Error::last_os_error()) } else { Ok(id) }
}

/// Which side of a fork this is.
pub enum Side {
    /// The process that forked, and the child's id.
    Parent(Pid),
    /// The new process.
    Child,
}

/// Forks. Refused when the process has other threads: their locks would stay held for ever in the child.
pub fn fork() -> io::Result<Side> {
    let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    if threads != 1 {
        return Err(io::Error::other(format!("fork with {threads} threads")));
    }
    // SAFETY: there is one thread, so the child may do everything that the parent may.
    let pid = unsafe { libc::fork() };
    match pid {
        0 => Ok(Side::Child),
        _ => Pid::from_raw(pid).filter(|_| pid > 0).map(Side::Parent).ok_or_else(io::Error::last_os_error),
    }
}

/// Ends this process at once: nothing is flushed or dropped, no handler of the forked program runs.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: takes no pointer and does not return.
    unsafe { libc::_exit(code) }
}

/// Ignores a signal.
pub fn ignore(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition; a refusal (KILL, STOP, the C library's own) changes nothing.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives a signal its default action.
pub fn default_action(signal: i32) {
    // SAFETY: SIG_DFL is a valid disposition; a refusal changes nothing.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Ignores every signal that can be ignored, but for SIGCHLD (ignoring that one would reap children unseen) and those that
/// tell of a fault in this very program.
pub fn ignore_all() {
    let kept = [libc::SIGCHLD, libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL];
    SIGNALS.filter(|signal| !kept.contains(signal)).for_each(ignore);
    default_action(libc::SIGCHLD);
}

/// Gives this process the caller's signals back, ignored ones and mask, and closes the standard descriptors that the caller
/// had closed. For a process that is about to become the command.
pub fn restore_caller() {
    for signal in SIGNALS {
        if caller_ignored(signal) { ignore(signal) } else { default_action(signal) }
    }
    for fd in 0..3 {
        if CLOSED.load(Ordering::Relaxed) & 1 << fd != 0 {
            // SAFETY: std opened /dev/null there at the start and hands it to nobody; the next act is to become another program.
            unsafe { libc::close(fd) };
        }
    }
    let blocked = BLOCKED.load(Ordering::Relaxed);
    let set = set_of(SIGNALS.filter(|signal| blocked & bit(*signal) != 0));
    // SAFETY: `set` is a valid set.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()) };
}

fn set_of(signals: impl Iterator<Item = i32>) -> libc::sigset_t {
    // SAFETY: sigemptyset makes a valid set of the zeroed one; sigaddset refuses what is no signal.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        for signal in signals {
            libc::sigaddset(&raw mut set, signal);
        }
        set
    }
}

/// A descriptor that becomes readable when a child changes state (`signalfd(2)`). SIGCHLD is blocked from here on.
pub fn child_events() -> io::Result<OwnedFd> {
    let set = set_of(std::iter::once(libc::SIGCHLD));
    // SAFETY: `set` is a valid set; the descriptor is new and ours.
    unsafe {
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut());
        let fd = libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK);
        if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(OwnedFd::from_raw_fd(fd)) }
    }
}

/// Becomes the program at `path`. Returns only the reason why that failed.
pub fn become_program(path: &CStr, argv: &[CString], env: &[CString]) -> io::Error {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|text| text.as_ptr()).chain(std::iter::once(ptr::null())).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: both lists are of NUL-terminated strings that outlive the call, and end with a null pointer.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    io::Error::last_os_error()
}

/// Closes every descriptor above 2 that the caller left open for the command: those without close-on-exec, which all of
/// lockd's own have. For a process of lockd that is not the command, so that it holds nothing of the caller's open.
pub fn close_inherited() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else { return };
    let open: Vec<RawFd> = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        // SAFETY: F_GETFD takes no pointer. A descriptor without close-on-exec was inherited: nothing in this program owns it.
        unsafe {
            if libc::fcntl(fd, libc::F_GETFD) == 0 {
                libc::close(fd);
            }
        }
    }
}

/// Gives the kernel back what this process has freed and its allocator keeps (`malloc_trim(3)`). Others of its threads may have to
/// wait for memory meanwhile. Does nothing where the C library is another one than GNU's.
pub fn give_memory_back() {
    // SAFETY: it takes no pointer and may be called at any time by any thread: it holds each arena's lock while it looks through it.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    fn resident() -> u64 {
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
        pages * rustix::param::page_size() as u64
    }

    #[test]
    fn holes_between_what_is_used_go_back() {
        // 100 MB in pieces that come from the heap, of which one in a thousand stays: whole pages are free, whatever their size.
        let mut all: Vec<Box<[u8; 1000]>> = (0..100_000).map(|_| Box::new([1; 1000])).collect();
        let mut n = 0;
        all.retain(|_| {
            n += 1;
            n % 1000 == 0
        });
        let before = resident();
        give_memory_back();
        let after = resident();
        assert_eq!(all.len(), 100);
        assert!(after + 50_000_000 < before, "{before} bytes before, {after} after");
    }
}
