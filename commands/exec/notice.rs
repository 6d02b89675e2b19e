//! What exec says on standard error.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use lockd::clock::{Clock, SystemClock, UnixMillis};
use lockd::model::Key;
use lockd::service::Busy;

use crate::duration;

/// Where nobody watches, a wait shorter than this is not worth a line in a log.
const QUIET_WAIT: Duration = Duration::from_secs(2);

/// Says one line. Without standard error nobody listens, and the work goes on.
pub fn say(text: &str) {
    let _unheard = writeln!(io::stderr(), "lockd: {text}");
}

/// Who holds a key, since when and for what: `backup/db is held by root@db1 pid 4121 (pg_dump) for 3m12s`. What was typed by
/// people is escaped.
pub fn held(key: &Key, busy: &Busy, now: UnixMillis) -> String {
    let holder = &busy.holder;
    let owner = busy.owner.as_str().escape_debug();
    let place = match (&holder.user, &holder.host, holder.pid) {
        (Some(user), Some(host), Some(pid)) => Some((user.escape_debug(), host.escape_debug(), pid)),
        _ => None,
    };
    let who = match place {
        Some((user, host, pid)) if owner.to_string() == format!("{user}@{host}:{pid}") => {
            format!("{user}@{host} pid {pid}")
        }
        Some((user, host, pid)) => format!("{owner}, {user}@{host} pid {pid}"),
        None => owner.to_string(),
    };
    let command = holder.command.as_ref().map(|text| format!(" ({})", text.escape_debug())).unwrap_or_default();
    let seconds = Duration::from_secs(now.0.saturating_sub(busy.since.0) / 1_000);
    let reason = busy.reason.as_ref().map(|text| format!(": {}", text.as_str().escape_debug())).unwrap_or_default();
    format!("{key} is held by {who}{command} for {}{reason}", duration::human(seconds))
}

/// Says that exec waits: at once on a terminal, after two seconds elsewhere, then whenever it is told of the holder again.
pub struct Waiting<'a> {
    key: &'a Key,
    silent: bool,
    at_once: bool,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    unsaid: Option<Busy>,
    told: bool,
}

impl<'a> Waiting<'a> {
    /// For a wait that begins now.
    pub fn new(key: &'a Key, quiet: bool) -> Self {
        Self { key, silent: quiet, at_once: io::stderr().is_terminal(), state: RefCell::default() }
    }

    /// The key is held: called when that is found, and once a minute.
    pub fn busy(&self, busy: &Busy) {
        let mut state = self.state.borrow_mut();
        let first = !std::mem::replace(&mut state.told, true);
        if self.at_once || !first {
            state.unsaid = None;
            self.tell(busy);
        } else {
            state.unsaid = Some(busy.clone());
        }
    }

    /// Says after two seconds what was not said at once. Never returns.
    pub async fn after_a_while(&self) {
        let clock: &dyn Clock = &SystemClock;
        clock.sleep(QUIET_WAIT).await;
        let unsaid = {
            let mut state = self.state.borrow_mut();
            state.told = true;
            state.unsaid.take()
        };
        if let Some(busy) = unsaid {
            self.tell(&busy);
        }
        std::future::pending().await
    }

    fn tell(&self, busy: &Busy) {
        if !self.silent {
            let place = busy.place.map(|n| format!(", place {n} in the queue")).unwrap_or_default();
            say(&format!("waiting: {}{place}", held(self.key, busy, SystemClock.wall())));
        }
    }
}
