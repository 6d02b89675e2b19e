//! The chain: tokens and versions number all that ever happened to a key, so that one pass over the answers, in the order of those
//! numbers, finds what no order in time explains. No search; n log n for the sorting.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use lockd::limits::ENDED_LEASES;

use super::{Answer, Call, OfKey, Op, Wrote};

/// One thing that has a number: when it cannot have been before, and when it was known at the latest.
#[derive(Debug)]
struct Link {
    name: String,
    from: usize,
    known: usize,
}

const NEVER: usize = usize::MAX;

/// Checks one key.
///
/// # Errors
/// The first answer that does not fit the others.
pub fn check(of: &OfKey) -> Result<(), String> {
    let tokens = tokens(&of.calls)?;
    let versions = versions(&of.calls)?;
    in_order("token", &tokens)?;
    in_order("version", &versions)?;
    ends(&of.calls, &tokens)?;
    reads(&of.calls, &versions)?;
    written(&of.writes)?;
    in_time(&of.writes, &tokens, &versions)
}

fn returned(call: &Call) -> usize {
    call.returned.unwrap_or(NEVER)
}

/// Adds what one answer says of a number; another name for the same number is an error.
fn add(links: &mut BTreeMap<u64, Link>, what: &str, number: u64, name: &str, call: &Call) -> Result<(), String> {
    match links.entry(number) {
        Entry::Vacant(free) => {
            free.insert(Link { name: name.to_owned(), from: call.invoked, known: returned(call) });
        }
        Entry::Occupied(mut known) => {
            let link = known.get_mut();
            if link.name != name {
                return Err(format!("{what} {number} is {} and {name}", link.name));
            }
            link.known = link.known.min(returned(call));
        }
    }
    Ok(())
}

/// The first call for each name: nothing of that name was there before.
fn first_asked<'a>(calls: &'a [Call], name: impl Fn(&'a Op) -> Option<&'a String>) -> BTreeMap<&'a str, usize> {
    let mut first = BTreeMap::new();
    for call in calls {
        if let Some(name) = name(&call.op) {
            let at = first.entry(name.as_str()).or_insert(call.invoked);
            *at = (*at).min(call.invoked);
        }
    }
    first
}

fn tokens(calls: &[Call]) -> Result<BTreeMap<u64, Link>, String> {
    let mut links = BTreeMap::new();
    let mut of_lease = BTreeMap::new();
    for call in calls {
        let (Op::Acquire { lease }, Some(Answer::Granted { token, .. })) = (&call.op, &call.answer) else { continue };
        add(&mut links, "token", *token, lease, call)?;
        of_lease.entry(lease).or_insert_with(BTreeSet::new).insert(*token);
    }
    for (lease, tokens) in of_lease {
        // An ended lease is remembered until so many others have ended after it.
        let soon = tokens.iter().zip(tokens.iter().skip(1)).find(|(a, b)| *b - *a <= ENDED_LEASES as u64);
        if let Some((a, b)) = soon {
            return Err(format!("lease {lease} was granted as {a} and as {b}"));
        }
    }
    let first = first_asked(calls, |op| match op {
        Op::Acquire { lease } => Some(lease),
        _ => None,
    });
    for link in links.values_mut() {
        link.from = first.get(link.name.as_str()).copied().unwrap_or(link.from);
    }
    Ok(links)
}

fn versions(calls: &[Call]) -> Result<BTreeMap<u64, Link>, String> {
    let mut links = BTreeMap::new();
    let mut etags: BTreeMap<u64, &Option<String>> = BTreeMap::new();
    let mut under: BTreeMap<u64, u64> = BTreeMap::new();
    for call in calls {
        let (Op::Update { request, token, .. }, Some(Answer::Updated { version, etag, changed: true })) =
            (&call.op, &call.answer)
        else {
            continue;
        };
        add(&mut links, "version", *version, request, call)?;
        under.insert(*version, *token);
        if let Some(other) = etags.insert(*version, etag).filter(|other| *other != etag) {
            return Err(format!("version {version} is {other:?} and {etag:?}"));
        }
    }
    if let Some((a, b)) = under.iter().zip(under.iter().skip(1)).find(|(a, b)| a.1 > b.1) {
        return Err(format!("version {} was made under token {}, and {} later under {}", a.0, a.1, b.0, b.1));
    }
    for call in calls {
        let Some(Answer::State { version, etag }) = &call.answer else { continue };
        if etags.get(version).is_some_and(|made| made.as_ref() != Some(etag)) {
            return Err(format!("version {version} was made as {:?} and read as {etag}", etags.get(version)));
        }
    }
    let first = first_asked(calls, |op| match op {
        Op::Update { request, .. } => Some(request),
        _ => None,
    });
    for link in links.values_mut() {
        link.from = first.get(link.name.as_str()).copied().unwrap_or(link.from);
    }
    Ok(links)
}

/// A lower number was there before a higher one was known.
fn in_order(what: &str, links: &BTreeMap<u64, Link>) -> Result<(), String> {
    let mut latest = (0, 0);
    for (number, link) in links {
        if latest.0 > link.known {
            return Err(format!("{what} {} was asked for after {what} {number} was known", latest.1));
        }
        latest = latest.max((link.from, *number));
    }
    Ok(())
}

/// When each lease, by its token, was known to be over: released, or a higher token was known.
fn known_ends(calls: &[Call], tokens: &BTreeMap<u64, Link>) -> BTreeMap<u64, usize> {
    let mut ends = BTreeMap::new();
    let mut next_known = NEVER;
    for (token, link) in tokens.iter().rev() {
        ends.insert(*token, next_known);
        next_known = next_known.min(link.known);
    }
    for call in calls {
        let (Op::Release { lease, token, .. }, Some(Answer::Released { .. })) = (&call.op, &call.answer) else {
            continue;
        };
        // Without a token it was the only grant of that id, or one that cannot be told.
        let mut granted = tokens.iter().filter(|(_, link)| link.name == *lease).map(|(token, _)| *token);
        let only = granted.next().filter(|_| granted.next().is_none());
        let Some(token) = token.or(only) else { continue };
        let end = ends.entry(token).or_insert(NEVER);
        *end = (*end).min(returned(call));
    }
    ends
}

/// Nothing that was asked for after the end of its lease was done.
fn ends(calls: &[Call], tokens: &BTreeMap<u64, Link>) -> Result<(), String> {
    let ends = known_ends(calls, tokens);
    let first = first_asked(calls, |op| match op {
        Op::Update { request, .. } => Some(request),
        _ => None,
    });
    for call in calls {
        let (token, asked) = match (&call.op, &call.answer) {
            (Op::Renew { token, .. }, Some(Answer::Renewed)) => (token, call.invoked),
            (Op::Update { token, request, .. }, Some(Answer::Updated { .. })) => (token, first[request.as_str()]),
            _ => continue,
        };
        if ends.get(token).is_some_and(|end| *end < asked) {
            return Err(format!("{call:?} was done after its lease was known to be over"));
        }
    }
    Ok(())
}

/// A read of the committed state shows nothing older than what was known to be committed before it was asked for, and
/// nothing that nobody had asked for when it was answered.
fn reads(calls: &[Call], versions: &BTreeMap<u64, Link>) -> Result<(), String> {
    let mut known: Vec<(usize, u64)> = Vec::new();
    let mut asked: Vec<(usize, &Call, u64)> = Vec::new();
    for call in calls {
        match (&call.op, &call.answer) {
            (Op::Get { proof: None }, Some(Answer::State { version, .. })) => {
                known.push((returned(call), *version));
                asked.push((call.invoked, call, *version));
            }
            (Op::Update { txn: false, .. }, Some(Answer::Updated { version, changed: true, .. }))
            | (_, Some(Answer::Released { version })) => known.push((returned(call), *version)),
            _ => {}
        }
    }
    known.sort_unstable();
    asked.sort_unstable_by_key(|(at, ..)| *at);
    let mut highest = 0;
    let mut known = known.into_iter().peekable();
    for (at, call, version) in asked {
        while let Some((_, more)) = known.next_if(|(returned, _)| *returned < at) {
            highest = highest.max(more);
        }
        if version < highest {
            return Err(format!("version {version} was read when {highest} was known to be committed: {call:?}"));
        }
        if versions.get(&version).is_some_and(|link| link.from > returned(call)) {
            return Err(format!("version {version} was read before anybody asked for it: {call:?}"));
        }
    }
    Ok(())
}

/// Each write follows the one before, by its id, and nothing falls.
fn written(writes: &[(usize, Wrote)]) -> Result<(), String> {
    for ((_, a), (_, b)) in writes.iter().zip(writes.iter().skip(1)) {
        let follows = b.revision == a.revision + 1 && b.before.as_ref() == Some(&a.write);
        if !follows || b.token < a.token || b.committed < a.committed || b.last < a.last {
            return Err(format!("{b:?} does not follow {a:?}"));
        }
    }
    Ok(())
}

/// Where the writes are known, each lies between the call and its answer.
fn in_time(
    writes: &[(usize, Wrote)],
    tokens: &BTreeMap<u64, Link>,
    versions: &BTreeMap<u64, Link>,
) -> Result<(), String> {
    if writes.is_empty() {
        return Ok(());
    }
    let mut grants: BTreeMap<u64, usize> = BTreeMap::new();
    let mut changes: BTreeMap<(u64, &str), usize> = BTreeMap::new();
    for (at, wrote) in writes {
        grants.entry(wrote.token).or_insert(*at);
        if let Some(request) = &wrote.request {
            changes.entry((wrote.last, request)).or_insert(*at);
        }
    }
    for (token, link) in tokens {
        match grants.get(token) {
            Some(at) if (link.from..link.known).contains(at) => {}
            at => return Err(format!("token {token} was written at {at:?}, and {link:?} was told")),
        }
    }
    for (version, link) in versions {
        match changes.get(&(*version, link.name.as_str())) {
            Some(at) if (link.from..link.known).contains(at) => {}
            at => return Err(format!("version {version} was written at {at:?}, and {link:?} was told")),
        }
    }
    Ok(())
}
