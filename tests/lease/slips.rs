//! Smaller slips in `step`, each named by the rule that it breaks: what the variants do not reach.

use lockd::lease::{Outcome, Refusal, Request, Step, step};
use lockd::model::{FencingToken, Record, Version};

use super::requests::{inline, lease_id, ttl, txn_of};
use super::variants::{Variant, refuse, wrote};

pub const SLIPS: &[(&str, Variant)] = &[
    ("this request does not do this to a lease", |record, request, age| {
        let renewal = matches!(request, Request::Renew(_));
        wrote(record, request, age, |next, _| next.lease = next.lease.take().filter(|_| !renewal))
    }),
    ("a step touches the memory of writes", |record, request, age| {
        wrote(record, request, age, |next, _| next.recent.clear())
    }),
    ("another lease than asked for", |record, request, age| {
        let grant = is_grant(record, request);
        wrote(record, request, age, |next, _| {
            next.lease.iter_mut().filter(|_| grant).for_each(|lease| lease.txn = txn_of(&lease_id(99)));
        })
    }),
    ("a used key is granted to who wants it unused", |record, request, age| {
        let mut request = request.clone();
        if let Request::Acquire(r) = &mut request {
            r.if_not_exists = false;
        }
        step(record, &request, age)
    }),
    ("the TTL is neither the old nor the one asked for", |record, request, age| {
        let renewal = matches!(request, Request::Renew(_));
        wrote(record, request, age, |next, _| {
            next.lease.iter_mut().filter(|_| renewal).for_each(|lease| lease.ttl = ttl(86_400));
        })
    }),
    ("the epoch rises without a token", |record, request, age| {
        let renewal = matches!(request, Request::Renew(_));
        wrote(record, request, age, |next, _| next.epoch += u32::from(renewal))
    }),
    ("the token moves without a grant or break", |record, request, age| {
        let release = matches!(request, Request::Release(_));
        wrote(record, request, age, |next, _| next.token.0 += u64::from(release))
    }),
    ("the token does not rise at a grant or break", |record, request, age| {
        let broken = matches!(request, Request::Break(_));
        wrote(record, request, age, |next, _| next.token = if broken { record.token } else { next.token })
    }),
    ("the token does not rise at a grant or break", |record, request, age| {
        let grant = is_grant(record, request);
        wrote(record, request, age, |next, _| next.token = FencingToken(next.token.0 + u64::from(grant)))
    }),
    ("a change does not take the next version", |record, request, age| {
        let update = matches!(request, Request::Update(_));
        wrote(record, request, age, |next, _| next.last_version.0 += u64::from(update))
    }),
    ("a change has another version than the newest", |record, request, age| {
        let update = matches!(request, Request::Update(_));
        wrote(record, request, age, |next, _| {
            next.staged.iter_mut().filter(|_| update).for_each(|staged| staged.version = record.last_version);
        })
    }),
    ("a change in the transaction is committed at once", |record, request, age| {
        let update = matches!(request, Request::Update(_));
        wrote(record, request, age, |next, _| {
            if let Some(staged) = next.staged.take_if(|_| update) {
                next.committed = staged;
            }
        })
    }),
    ("another state than asked for", |record, request, age| {
        let update = matches!(request, Request::Update(_));
        wrote(record, request, age, |next, _| {
            next.staged.iter_mut().filter(|_| update).for_each(|staged| staged.state = Some(inline(9)));
        })
    }),
    ("the memory of ends changes without an end", |record, request, age| {
        let renewal = matches!(request, Request::Renew(_));
        wrote(record, request, age, |next, _| next.ended.retain(|_| !renewal))
    }),
    ("an end is remembered with another version", |record, request, age| {
        wrote(record, request, age, |next, _| next.ended.iter_mut().for_each(|ended| ended.version = Version(0)))
    }),
    ("an end is remembered with another fate of the staged change", |record, request, age| {
        wrote(record, request, age, |next, _| next.ended.iter_mut().for_each(|ended| ended.discarded = false))
    }),
    ("a break without who and why, or another end with them", |record, request, age| {
        wrote(record, request, age, |next, _| next.ended.iter_mut().for_each(|ended| ended.by = None))
    }),
    ("a change is not remembered", |record, request, age| {
        wrote(record, request, age, |next, _| next.done.clone_from(&record.done))
    }),
    ("a change is not remembered", |record, request, age| {
        wrote(record, request, age, |next, _| next.done.iter_mut().for_each(|done| done.etag = None))
    }),
    ("exhausted long before the end of the numbers", |record, request, age| {
        let made = step(record, request, age);
        if made.answer.is_err() { refuse(Refusal::Exhausted) } else { made }
    }),
    ("expire is refused at the age for it", |record, request, age| match step(record, request, age) {
        Step { write: Some(_), answer: Ok(Outcome::Expired) } => refuse(Refusal::NotExpired),
        made => made,
    }),
    ("a lease that is over is not over", |record, request, age| match step(record, request, age) {
        Step { write: None, answer: Ok(Outcome::Expired) } => refuse(Refusal::LeaseRequired),
        made => made,
    }),
    ("a break tells another story than the record", |record, request, age| match step(record, request, age) {
        Step { write: None, answer: Ok(Outcome::Broken(was)) } => {
            Step { write: None, answer: Ok(Outcome::Broken(!was)) }
        }
        made => made,
    }),
    ("a key is called used without need", |record, request, age| match step(record, request, age) {
        Step { answer: Err(Refusal::Busy(_)), .. } => refuse(Refusal::AlreadyExists),
        made => made,
    }),
    ("busy without need, or another holder", |record, request, age| {
        match (&record.lease, step(record, request, age)) {
            (Some(lease), Step { answer: Ok(Outcome::Granted { .. }), .. }) => {
                refuse(Refusal::Busy(Box::new(lease.clone())))
            }
            (_, made) => made,
        }
    }),
    ("a release of the present lease is answered without a write", |record, request, age| {
        let made = step(record, request, age);
        let release = matches!(request, Request::Release(_));
        Step { write: made.write.filter(|_| !release), answer: made.answer }
    }),
    ("a release of the present lease is refused for no reason", |record, request, age| {
        let made = step(record, request, age);
        let released = matches!(request, Request::Release(_)) && made.write.is_some();
        if released { refuse(Refusal::LeaseRequired) } else { made }
    }),
    ("the mark of a resource moves without an admit", |record, request, age| {
        let release = matches!(request, Request::Release(_));
        wrote(record, request, age, |next, _| next.fence.0 += u64::from(release))
    }),
    ("the mark does not rise to the token admitted", |record, request, age| {
        let admit = matches!(request, Request::Admit(_));
        wrote(record, request, age, |next, _| next.fence.0 += u64::from(admit))
    }),
    ("an admit touches more than the mark", |record, request, age| {
        let admit = matches!(request, Request::Admit(_));
        wrote(record, request, age, |next, _| next.knock = next.knock.take().filter(|_| !admit))
    }),
    ("an admit is answered against the mark", |record, request, age| match step(record, request, age) {
        Step { answer: Err(Refusal::Stale(_)), .. } => Step { write: None, answer: Ok(Outcome::Admitted) },
        made => made,
    }),
    ("a knock without anybody to ask", |record, request, age| match request {
        Request::Knock(r) if record.lease.is_none() && record.knock.is_none() => {
            let knock = Some(lockd::model::Knock { waiter: r.waiter.clone(), unknown: Default::default() });
            Step { write: Some(Box::new(Record { knock, ..record.clone() })), answer: Ok(Outcome::Knocked(true)) }
        }
        _ => step(record, request, age),
    }),
    ("a reservation is not what the table says", |record, request, age| {
        let release = matches!(request, Request::Release(_));
        wrote(record, request, age, |next, _| next.reserved = next.reserved.take().filter(|_| !release))
    }),
    ("a knock touches more than its slot", |record, request, age| {
        let knock = matches!(request, Request::Knock(_));
        wrote(record, request, age, |next, _| next.fence.0 += u64::from(knock))
    }),
    ("a knock is not heard", |record, request, age| match step(record, request, age) {
        Step { answer: Ok(Outcome::Knocked(_)), .. } => Step { write: None, answer: Ok(Outcome::Knocked(false)) },
        made => made,
    }),
    ("a change is refused for no reason", |record, request, age| {
        let made = step(record, request, age);
        let changed = matches!(request, Request::Update(_)) && made.write.is_some();
        if changed { refuse(Refusal::MissingTxn) } else { made }
    }),
];

fn is_grant(record: &Record, request: &Request) -> bool {
    let own = |r: &lockd::lease::Acquire| record.lease.as_ref().is_some_and(|lease| lease.id == r.lease_id);
    matches!(request, Request::Acquire(r) if !own(r))
}
