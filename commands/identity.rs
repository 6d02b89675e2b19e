//! Who asks, from where: for people, never evidence.

use lockd::error::Result;
use lockd::limits::OWNER_BYTES;
use lockd::model::{Holder, Owner};
use rustix::process::Pid;

/// This process.
pub fn this_process(command: Option<String>) -> Holder {
    of(std::process::id(), command)
}

/// Whoever started this process: the shell, for a command that is gone at once and leaves its lease behind.
pub fn caller() -> Holder {
    rustix::process::getppid().map_or_else(|| this_process(None), of_process)
}

/// A process of this machine.
pub fn of_process(pid: Pid) -> Holder {
    let pid = pid.as_raw_nonzero().get().unsigned_abs();
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    of(pid, name.map(|name| name.trim_end().to_owned()))
}

fn of(pid: u32, command: Option<String>) -> Holder {
    let host = rustix::system::uname().nodename().to_str().ok().map(str::to_owned);
    Holder { host, pid: Some(pid), user: user(), command }
}

/// The name of the effective user: from the user database where it stands in the file, else from the environment.
fn user() -> Option<String> {
    let uid = rustix::process::geteuid().as_raw();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let from_file = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then(|| name.to_owned())
    });
    let from_environment = || ["LOGNAME", "USER"].iter().find_map(|name| std::env::var(name).ok());
    from_file.or_else(from_environment).filter(|name| !name.is_empty()).or_else(|| Some(uid.to_string()))
}

/// The owner when nobody names one: `user@host:pid`.
pub fn owner(holder: &Holder) -> Result<Owner> {
    let user = holder.user.as_deref().unwrap_or("unknown");
    let host = holder.host.as_deref().unwrap_or("unknown");
    let pid = holder.pid.map_or_else(String::new, |pid| format!(":{pid}"));
    let room = OWNER_BYTES.saturating_sub(pid.len());
    Owner::new(&(cut(&format!("{user}@{host}"), room).to_owned() + &pid))
}

/// At most so many bytes, never half a character.
fn cut(text: &str, bytes: usize) -> &str {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_host_name_still_makes_an_owner() {
        let holder =
            Holder { host: Some("é".repeat(200)), pid: Some(7), user: Some("root".to_owned()), command: None };
        let owner = owner(&holder).unwrap();
        assert!(owner.as_str().starts_with("root@é") && owner.as_str().ends_with("é:7"), "{owner}");
        assert!(owner.as_str().len() <= OWNER_BYTES);
    }

    #[test]
    fn this_process_knows_itself() {
        let me = this_process(Some("x".to_owned()));
        assert_eq!(me.pid, Some(std::process::id()));
        assert!(me.user.is_some() && me.host.is_some());
    }
}
