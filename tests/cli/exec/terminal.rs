//! At a terminal: the foreground, stopped jobs, interrupts.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use rustix::pty::OpenptFlags;

use super::sandbox::{Sandbox, until};

/// An interactive shell on a terminal of its own.
struct Shell {
    terminal: File,
    shown: String,
    child: Child,
}

impl Shell {
    fn on(sandbox: &Sandbox) -> Self {
        let terminal = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        rustix::pty::grantpt(&terminal).unwrap();
        rustix::pty::unlockpt(&terminal).unwrap();
        let name = rustix::pty::ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap();
        let side = || Stdio::from(File::options().read(true).write(true).open(&name).unwrap());
        // `setsid --ctty` gives the new session this terminal.
        let mut command: Command = sandbox.any("setsid");
        command
            .args(["--ctty", "--wait", "bash", "--norc", "--noediting", "-i"])
            .env("PS1", "ready> ")
            .env("TERM", "dumb");
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        let mut shell = Self { terminal: nonblocking(terminal), shown: String::new(), child };
        shell.expect("ready> ");
        shell
    }

    fn type_in(&mut self, text: &str) {
        self.terminal.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the terminal shows a text, and forgets what came up to it.
    fn expect(&mut self, text: &str) -> String {
        until(&format!("the terminal shows {text:?}"), || {
            let mut buf = [0; 4096];
            while let Ok(n) = self.terminal.read(&mut buf) {
                self.shown.push_str(&String::from_utf8_lossy(&buf[..n]));
            }
            let at = self.shown.find(text)? + text.len();
            Some(self.shown.drain(..at).collect())
        })
    }

    fn line(&mut self, text: &str) {
        self.type_in(&format!("{text}\n"));
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the terminal shows: {:?}", self.shown);
        }
        let _over = self.child.kill();
        let _status = self.child.wait();
    }
}

fn nonblocking(fd: OwnedFd) -> File {
    rustix::io::ioctl_fionbio(&fd, true).unwrap();
    File::from(fd)
}

/// Waits until a process runs. A shell that is starting one (by vfork) cannot be stopped at that moment, by nobody.
fn wait_for(sandbox: &Sandbox, line: &str) {
    until(&format!("{line} runs"), || sandbox.processes().iter().any(|(_, l)| l == line).then_some(()));
}

const ECHO: &str = "$LOCKD exec k -- sh -c 'echo IS\"\"UP; cat; echo IS\"\"DONE'";

#[test]
fn a_command_reads_from_the_terminal_and_can_be_interrupted() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::on(&sandbox);
    shell.line(ECHO);
    shell.expect("ISUP");
    shell.line("hello");
    // Once by the terminal, once by the command.
    shell.expect("hello");
    shell.expect("hello");
    shell.type_in("\x03");
    shell.expect("ready> ");
    shell.line("echo code=$?");
    shell.expect("code=130");
    assert!(sandbox.is_free("k"));
}

#[test]
fn a_stopped_job_is_seen_by_the_shell_and_goes_on() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::on(&sandbox);
    shell.line(ECHO);
    shell.expect("ISUP");
    wait_for(&sandbox, "cat");
    for round in 0..3 {
        shell.type_in("\x1a");
        shell.expect("Stopped");
        shell.expect("ready> ");
        shell.line("fg");
        shell.expect("sh -c");
        shell.line(&format!("again{round}"));
        shell.expect(&format!("again{round}"));
        shell.expect(&format!("again{round}"));
    }
    shell.type_in("\x04");
    shell.expect("ISDONE");
    shell.expect("ready> ");
    shell.line("echo code=$?");
    shell.expect("code=0");
}

#[test]
fn a_job_in_the_background_stops_when_it_reads() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::on(&sandbox);
    shell.line(&format!("{ECHO} &"));
    shell.expect("ISUP");
    until("the job is stopped", || {
        shell.line("jobs; echo LIS\"\"TED");
        shell.expect("LISTED").contains("Stopped").then_some(())
    });
    shell.line("fg");
    shell.line("typed");
    shell.expect("typed");
    shell.type_in("\x04");
    shell.expect("ISDONE");
}

#[test]
fn a_stopped_job_is_not_renewed_and_is_ended_at_the_deadline() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::on(&sandbox);
    shell.line("$LOCKD exec --ttl 10s k -- sh -c 'echo $$ >$D/pid; echo IS\"\"UP; sleep 600; true'");
    shell.expect("ISUP");
    wait_for(&sandbox, "sleep 600");
    shell.type_in("\x1a");
    shell.expect("Stopped");
    let pid: i32 = sandbox.wait_for("pid").trim().parse().unwrap();
    until("the command is ended", || sandbox.processes().iter().all(|(p, _)| *p != pid).then_some(()));
    until("the key is free", || sandbox.is_free("k").then_some(()));
    shell.line("fg");
    shell.expect("the command was ended");
    shell.line("echo code=$?");
    shell.expect("code=80");
}

#[test]
fn a_script_gets_the_terminal_back_and_is_interrupted_with_its_command() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("reads.sh"), format!("{ECHO}\nread line\necho got=$line\n")).unwrap();
    std::fs::write(sandbox.path("loop.sh"), "for i in 1 2 3; do echo round=$i; $LOCKD exec k -- sleep 600; done\n")
        .unwrap();
    let mut shell = Shell::on(&sandbox);
    shell.line("sh ./reads.sh");
    shell.expect("ISUP");
    shell.type_in("\x04");
    shell.expect("ISDONE");
    shell.line("word");
    shell.expect("got=word");
    for interpreter in ["sh", "bash"] {
        shell.expect("ready> ");
        shell.line(&format!("{interpreter} ./loop.sh"));
        shell.expect("round=1");
        wait_for(&sandbox, "sleep 600");
        shell.type_in("\x03");
        let shown = shell.expect("ready> ");
        assert!(!shown.contains("round=2"), "{shown}");
        shell.line("echo code=$?");
        shell.expect("code=130");
    }
}

#[test]
fn a_job_that_nobody_looks_after_is_hung_up_when_it_reads() {
    let sandbox = Sandbox::new();
    let mut shell = Shell::on(&sandbox);
    // The subshell ends at once, and with it whoever could bring the job to the foreground.
    shell.line("($LOCKD exec k -- sh -c 'echo IS\"\"UP; read line; echo $? >$D/read' </dev/tty &)");
    shell.expect("ISUP");
    until("it is over", || {
        let lines = sandbox.processes();
        lines.iter().all(|(_, line)| !line.contains("exec k")).then_some(())
    });
    assert!(sandbox.is_free("k"));
    assert!(!sandbox.path("read").exists());
}
