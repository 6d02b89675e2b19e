//! Histories: every call of the service with its beginning, its end and its answer, as lines of JSON, and two checks of them
//! that know nothing of how they came about. `docs/history.md` has the format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

mod agree;
mod chain;
mod outside;
mod recorder;
mod search;
mod spec;

pub use recorder::{Log, Recorded};

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Which run it belongs to: the seed, in the simulation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
    /// Nanoseconds on one clock for all lines.
    pub at: u64,
    /// The process.
    pub by: String,
    /// The call, among those of the process.
    pub call: u64,
    pub key: String,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    Invoke(Op),
    Return(Answer),
    /// The store applied a write: simulation only. `call` is the number of the write then.
    Wrote(Wrote),
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    Acquire {
        lease: String,
    },
    Renew {
        lease: String,
        token: u64,
    },
    Update {
        lease: String,
        token: u64,
        request: String,
        txn: bool,
        remove: bool,
    },
    Release {
        lease: String,
        token: Option<u64>,
        txn: bool,
        rollback: bool,
    },
    /// No call: a server records that a lease for update, whose connection had gone, has run out.
    Expire {
        lease: String,
    },
    /// What is committed; with a proof, what its holder sees.
    Get {
        proof: Option<(String, u64)>,
    },
}

/// What was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Answer {
    Granted {
        token: u64,
        version: u64,
        /// It stands only once it was confirmed by a renewal.
        #[serde(default, skip_serializing_if = "is_false")]
        provisional: bool,
    },
    Renewed,
    Updated {
        version: u64,
        etag: Option<String>,
        changed: bool,
    },
    Released {
        version: u64,
    },
    Gone,
    Fenced,
    State {
        version: u64,
        etag: String,
    },
    NoState,
    /// Refused, by the state of the key.
    Refused {
        why: String,
        holder: Option<String>,
    },
    /// Not applied, for other reasons.
    Failed {
        why: String,
    },
    /// It may have been applied, or may be later.
    Unknown {
        why: String,
    },
    /// The caller did not wait for the answer.
    Left,
}

/// One write of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrote {
    pub write: String,
    pub before: Option<String>,
    pub revision: u64,
    pub token: u64,
    pub lease: Option<String>,
    pub committed: u64,
    pub last: u64,
    pub request: Option<String>,
    /// A lease that it ended because nobody had renewed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<String>,
}

/// One call with its answer. Times are positions in the history, so that no two are the same.
#[derive(Clone, Debug)]
pub struct Call {
    pub op: Op,
    pub answer: Option<Answer>,
    pub invoked: usize,
    pub returned: Option<usize>,
}

/// What happened to one key.
#[derive(Clone, Debug, Default)]
pub struct OfKey {
    pub calls: Vec<Call>,
    pub writes: Vec<(usize, Wrote)>,
}

/// Figures of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub calls: u64,
    pub unanswered: u64,
    /// The most states that the search had in hand at once.
    pub widest: u64,
    /// Keys whose search was given up: none in a good history.
    pub undecided: u64,
}

/// The run, the key, the lease.
type Of<'a> = (Option<u64>, &'a str, String);

/// Calls by run and key.
pub fn by_key(events: &[Event]) -> BTreeMap<(Option<u64>, &str), OfKey> {
    let mut keys: BTreeMap<_, OfKey> = BTreeMap::new();
    let mut open: BTreeMap<(Option<u64>, &str, u64), usize> = BTreeMap::new();
    let mut renewed: BTreeSet<Of> = BTreeSet::new();
    let mut given_back: Vec<(Of, Call)> = Vec::new();
    for (position, event) in events.iter().enumerate() {
        let of = keys.entry((event.run, event.key.as_str())).or_default();
        let id = (event.run, event.by.as_str(), event.call);
        match &event.what {
            What::Invoke(op) => {
                open.insert(id, of.calls.len());
                of.calls.push(Call { op: op.clone(), answer: None, invoked: position, returned: None });
            }
            What::Return(answer) => {
                if let Some(call) = open.remove(&id).and_then(|n| of.calls.get_mut(n)) {
                    call.answer = Some(answer.clone());
                    call.returned = Some(position);
                    let lease = |lease: &String| (event.run, event.key.as_str(), lease.clone());
                    match (&call.op, answer) {
                        (Op::Renew { lease: id, .. }, Answer::Renewed) => drop(renewed.insert(lease(id))),
                        (Op::Acquire { lease: id }, Answer::Granted { provisional: true, .. }) => {
                            given_back.push((lease(id), give_back(id, call.invoked)));
                        }
                        _ => {}
                    }
                    let hidden = hidden(call, position);
                    of.calls.extend(hidden);
                }
            }
            What::Wrote(wrote) => of.writes.push((position, wrote.clone())),
        }
    }
    // What was renewed is confirmed: its server keeps it.
    for (lease, call) in given_back.into_iter().filter(|(lease, _)| !renewed.contains(lease)) {
        keys.entry((lease.0, lease.1)).or_default().calls.push(call);
    }
    for of in keys.values_mut() {
        let copies = copies(of);
        of.calls.extend(copies);
        of.calls.extend(of.writes.iter().filter_map(|(at, wrote)| {
            let op = Op::Expire { lease: wrote.expired.clone()? };
            Some(Call { op, answer: None, invoked: *at, returned: None })
        }));
    }
    keys
}

/// A server takes a grant back that nobody may be using.
fn give_back(lease: &str, invoked: usize) -> Call {
    let op = Op::Release { lease: lease.to_owned(), token: None, txn: false, rollback: true };
    Call { op, answer: None, invoked, returned: None }
}

/// What a call may have done beside its answer.
fn hidden(call: &Call, returned: usize) -> Option<Call> {
    let Op::Acquire { lease } = &call.op else { return None };
    match call.answer.as_ref()? {
        // A grant whose client has gone is given back by whoever wrote it.
        Answer::Left => Some(give_back(lease, returned)),
        // It is over: whether it was granted before that, by this very call, is not said.
        Answer::Refused { why, .. } if why == "LeaseEnded" => Some(unanswered(call)),
        _ => None,
    }
}

/// Acquires that were granted once more than their answers say, by what the store wrote: through a server that the client left, which
/// gave the lease back then; or because its writer could not learn of the grant, as too many writes had come after that, and the lease
/// had ended by then and was forgotten. A call of which nothing is known may itself stand for one grant, which a server
/// may have given back.
fn copies(of: &OfKey) -> Vec<Call> {
    let told: BTreeSet<(&String, u64)> = of.calls.iter().filter_map(told).collect();
    let mut copies = Vec::new();
    for call in &of.calls {
        let Op::Acquire { lease } = &call.op else { continue };
        let since = of.writes.iter().rev().take_while(|(at, _)| *at > call.invoked);
        let tokens = since.filter(|(_, wrote)| wrote.lease.as_ref() == Some(lease)).map(|(_, wrote)| wrote.token);
        let untold: BTreeSet<u64> = tokens.filter(|token| !told.contains(&(lease, *token))).collect();
        let again = untold.len() > usize::from(call.is_open());
        if again {
            copies.push(unanswered(call));
        }
        if again || (call.is_open() && !untold.is_empty()) {
            copies.push(give_back(lease, call.invoked));
        }
    }
    copies
}

/// The lease and the token that an answer tells of.
fn told(call: &Call) -> Option<(&String, u64)> {
    match (&call.op, &call.answer) {
        (Op::Acquire { lease }, Some(Answer::Granted { token, .. })) => Some((lease, *token)),
        _ => None,
    }
}

/// The same call once more, of which nothing was heard.
fn unanswered(call: &Call) -> Call {
    Call { op: call.op.clone(), answer: None, invoked: call.invoked, returned: None }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Both checks, of every key.
///
/// # Errors
/// What cannot be explained.
pub fn check(events: &[Event]) -> Result<Figures, String> {
    let mut figures = Figures::default();
    for ((run, key), of) in by_key(events) {
        let named = |why: String| match run {
            Some(run) => format!("{key} of run {run}: {why}"),
            None => format!("{key}: {why}"),
        };
        chain::check(&of).map_err(named)?;
        let found = search::check(&of).map_err(named)?;
        figures.calls += of.calls.len() as u64;
        figures.unanswered += of.calls.iter().filter(|call| call.is_open()).count() as u64;
        figures.widest = figures.widest.max(found.widest);
        figures.undecided += u64::from(found.undecided);
    }
    Ok(figures)
}

impl Call {
    /// Whether it may have had an effect that nobody was told of.
    pub fn is_open(&self) -> bool {
        matches!(self.answer, None | Some(Answer::Unknown { .. } | Answer::Left))
    }
}

/// The lines of a file.
pub fn read(path: &Path) -> Vec<Event> {
    whole_lines(&std::fs::read_to_string(path).unwrap_or_default())
}

/// The values of JSON lines. Who was killed in the middle of a `write(2)` leaves the beginning of a line (the kernel looks for
/// signals between two pages): it was not noted then, and what it tells of had not begun or was not answered.
pub fn whole_lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    let value = |line: &str| match serde_json::from_str(line) {
        Ok(value) => Some(value),
        Err(e) if e.is_eof() => None,
        Err(e) => panic!("{line}: {e}"),
    };
    text.lines().filter(|line| !line.is_empty()).filter_map(value).collect()
}

#[test]
fn a_line_that_a_kill_cut_was_not_noted() {
    // A line begins with the end of whatever was there before it.
    assert_eq!(whole_lines::<Vec<u8>>("\n[1]\n\n[2\n[3]\n\n[4,"), [[1], [3]]);
    assert!(std::panic::catch_unwind(|| whole_lines::<Vec<u8>>("[1[2]\n")).is_err(), "damage is no cut");
}

/// The lines to be written.
pub fn lines(events: &[Event]) -> String {
    let mut text = String::new();
    for event in events {
        text.push_str(&serde_json::to_string(event).unwrap());
        text.push('\n');
    }
    text
}
