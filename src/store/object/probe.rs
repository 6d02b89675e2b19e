//! What lockd needs of a bucket or container, tried below a prefix of the checks' own before a store is made there: whether it answers,
//! whether the credential is good and how long, each permission by name, its clock, and whether a rule would delete what is written.

use std::time::Duration;

use futures_util::StreamExt;
use object_store::path::Path;
use object_store::{GetOptions, PutPayload};

use super::http::Seen;
use super::refusal::{Access, Act, Asked};
use super::root::unknown;
use super::sas::Sas;
use super::{Clients, Objects, Service};
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CLOCK_OFF, OBJECT_REQUEST};
use crate::store::conformance::Report;
use crate::store::open::OpenOptions;
use crate::store::place::Answer;
use crate::store::{Credential, Precondition, PutError};

const AGAIN: &str = "look at the service itself, and run it again";

/// What one of the acts came to.
struct Tried {
    act: Act,
    refusal: Option<Error>,
}

/// Tries a store's place: `home` is its prefix, `scratch` one of the checks' own inside it. What is written there is deleted again,
/// where that is permitted.
pub async fn place(service: (Clients, Asked), home: &str, scratch: &str, options: &OpenOptions) -> Answer {
    let mut answer = Answer::default();
    let store = unknown(service.clone(), home, options);
    let objects = unknown(service, scratch, options);
    if let Access::Sas(sas) = &objects.asked.access
        && let Some(report) = letters(sas)
    {
        // Nothing is written by somebody who says that it cannot take that away again.
        answer.reports.push(report);
        return answer;
    }
    let began = options.clock.boot();
    let (tried, seen) = try_all(&objects, scratch).await;
    let took = options.clock.boot().since(began);
    let done = |act| tried.iter().any(|tried: &Tried| tried.act == act && tried.refusal.is_none());
    answer.left = done(Act::Write) && !done(Act::Delete);
    if let Some(report) = unusable(&tried) {
        answer.reports.push(report);
        return answer;
    }
    let service = format!("{} at {}", objects.asked.service.name(), objects.asked.endpoint);
    answer.reports.push(Report::ok("reachable", format!("{service}: 4 requests in {} ms", took.as_millis())));
    answer.reports.push(credential(&objects));
    let refused = tried.iter().any(|tried| tried.refusal.is_some());
    answer.reports.extend(permissions(tried, &objects.asked, home));
    if refused {
        return answer;
    }
    answer.reports.push(server_clock(&objects, &seen));
    answer.reports.push(match objects.asked.service {
        Service::S3 => rules(&seen),
        Service::Azure => unseen_rules(home),
    });
    answer.reports.push(contents(&store).await);
    answer.goes_on = true;
    answer
}

/// What a signature says of itself.
fn letters(sas: &Sas) -> Option<Report> {
    let lacks = sas.lacks()?;
    let saw = format!("the SAS lacks {lacks}; lockd needs r (read), w (write), d (delete) and l (list)");
    let advice = "make a new one (az storage container generate-sas --permissions rwdl) and set LOCKD_AZURE_SAS_TOKEN or --azure-sas-file";
    Some(Report::fail("permissions", saw, advice))
}

/// Writes, reads, lists and deletes an object. Also what was seen of the service when it was read.
async fn try_all(objects: &Objects, scratch: &str) -> (Vec<Tried>, Seen) {
    // Another host may be at it too.
    let path = Path::from(format!("{scratch}/probe-{}", hex::encode(objects.entropy.bytes::<8>())));
    let body = PutPayload::from_static(b"{}\n");
    let put = objects.put_object(&path, &body, &Precondition::Absent, OBJECT_REQUEST).await;
    let written = match put {
        Ok(_) => Ok(()),
        Err(PutError::Failed(e) | PutError::Unknown(e)) => Err(e),
        Err(PutError::Conflict) => {
            let message = format!("{path} is there, and nobody wrote it");
            Err(Error::new(ErrorKind::Config, message).with_hint("this service cannot hold locks: use another one"))
        }
    };
    let reading =
        async { objects.clients.strict.get_opts(&path, GetOptions::default()).await?.bytes().await.map(drop) };
    let (read, seen) = objects.ask(Act::Read, OBJECT_REQUEST, reading).await;
    // What was not written is not there: whoever is told so may read.
    let read = if seen.status == Some(404) && written.is_err() { Ok(()) } else { read };
    let listed = objects.listed(&Path::from(scratch), None).next().await.transpose().map(drop);
    let deleted = objects.delete_object(&path).await;
    let tried = |act, done: Result<()>| Tried { act, refusal: done.err() };
    let all =
        vec![tried(Act::Write, written), tried(Act::Read, read), tried(Act::List, listed), tried(Act::Delete, deleted)];
    (all, seen)
}

/// A place of which nothing more can be said: it does not answer, is not there, or knows nobody who asks like this.
fn unusable(tried: &[Tried]) -> Option<Report> {
    let refusals: Vec<&Error> = tried.iter().filter_map(|tried| tried.refusal.as_ref()).collect();
    let other = refusals.iter().find(|e| e.kind() != ErrorKind::NotPermitted);
    let (id, error) = match (other, refusals.first()) {
        (Some(other), _) => ("reachable", other),
        (None, Some(first)) if refusals.len() == tried.len() => ("credentials", first),
        _ => return None,
    };
    Some(Report::fail(id, error.message(), error.hint().unwrap_or(AGAIN).to_owned()))
}

fn credential(objects: &Objects) -> Report {
    const ID: &str = "credentials";
    let ends = match &objects.asked.access {
        Access::AccessKey => return Report::ok(ID, "an access key"),
        Access::SharedKey => return Report::ok(ID, "a key of the account"),
        Access::Identity => return Report::ok(ID, "a role or identity that the platform gives"),
        Access::Sas(sas) => sas.expires,
    };
    let credential = Credential { ends, lacks: None };
    match credential.ends_soon(objects.clock().wall()) {
        Some(saw) => Report::warn(ID, saw, "put the new one into the same file or variable, and restart servers"),
        None if ends.is_none() => Report::ok(ID, "a SAS; when it ends is said by a policy of the container"),
        None => Report::ok(ID, "a SAS that is good for a week at the least"),
    }
}

/// Each permission by name; with the first one that is missing, all that would do.
fn permissions(tried: Vec<Tried>, asked: &Asked, home: &str) -> Vec<Report> {
    let mut policy = smallest_policy(asked, home);
    let report = |Tried { act, refusal }: Tried| {
        let id = match act {
            Act::Read => "may-read",
            Act::Write => "may-write",
            Act::Delete => "may-delete",
            Act::List => "may-list",
        };
        let Some(error) = refusal else { return Report::ok(id, format!("{} is permitted", act.name())) };
        let hint = error.hint().unwrap_or(AGAIN);
        let advice = policy.take().map_or_else(|| hint.to_owned(), |policy| format!("{hint}; {policy}"));
        Report::fail(id, error.message(), advice)
    };
    tried.into_iter().map(report).collect()
}

fn smallest_policy(asked: &Asked, home: &str) -> Option<String> {
    if asked.service != Service::S3 {
        return None;
    }
    let (bucket, below) = (&asked.bucket, if home.is_empty() { String::new() } else { format!("{home}/") });
    Some(format!(
        "the smallest policy that would do: {{\"Version\": \"2012-10-17\", \"Statement\": [{{\"Effect\": \"Allow\", \"Action\": \
         [\"s3:GetObject\", \"s3:PutObject\", \"s3:DeleteObject\", \"s3:AbortMultipartUpload\"], \"Resource\": \
         \"arn:aws:s3:::{bucket}/{below}*\"}}, {{\"Effect\": \"Allow\", \"Action\": \"s3:ListBucket\", \"Resource\": \
         \"arn:aws:s3:::{bucket}\", \"Condition\": {{\"StringLike\": {{\"s3:prefix\": \"{below}*\"}}}}}}]}}"
    ))
}

/// The service's clock, which it tells in whole seconds.
fn server_clock(objects: &Objects, seen: &Seen) -> Report {
    const ID: &str = "clock";
    let Some(there) = seen.date_millis() else {
        return Report::warn(ID, "the service does not tell the time", "a takeover after a crash may come late");
    };
    let here = objects.clock().wall().0;
    let off = Duration::from_millis(here.abs_diff(there.0));
    let side = if there.0 < here { "behind" } else { "ahead of" };
    if off > CLOCK_OFF {
        let saw = format!("the service's clock is {} s {side} this host's", off.as_secs());
        let advice = "set this host's clock (timedatectl set-ntp true): requests are signed with the time";
        return Report::warn(ID, saw, advice);
    }
    // Its answer took a while too.
    Report::ok(ID, format!("the service's clock is within {} s of this host's", off.as_secs() + 1))
}

/// Azure keeps its rules where a key or a signature for blobs does not reach.
fn unseen_rules(home: &str) -> Report {
    let where_to_look = "look yourself (az storage account management-policy show)";
    Report::ok(
        "lifecycle",
        format!("Azure does not tell whether a rule deletes what is below {home:?}: {where_to_look}"),
    )
}

/// S3 tells with each object when one of the bucket's rules will delete it.
fn rules(seen: &Seen) -> Report {
    const ID: &str = "lifecycle";
    match &seen.expires {
        None => Report::ok(ID, "the service names no rule that would delete what is written there"),
        Some(rule) => {
            let saw = format!("a rule of the bucket deletes what is written there: {rule}");
            Report::fail(ID, saw, "take the prefix out of that rule: a record that is deleted is a lock forgotten")
        }
    }
}

async fn contents(store: &Objects) -> Report {
    const ID: &str = "contents";
    match store.present().await {
        Ok(None) => Report::ok(ID, "no store yet"),
        Ok(Some(known)) => {
            let id = known.id.get(..8).unwrap_or(&known.id);
            Report::ok(ID, format!("store {id}, epoch {}", known.epoch))
        }
        Err(e) => Report::fail(ID, e.message(), e.hint().unwrap_or("restore it from a backup").to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smallest_policy_is_json_for_the_stores_own_prefix() {
        let asked = |service| Asked {
            service,
            endpoint: String::new(),
            host: String::new(),
            bucket: "my-bucket".to_owned(),
            access: Access::AccessKey,
        };
        for (home, resource) in [("lockd", "arn:aws:s3:::my-bucket/lockd/*"), ("", "arn:aws:s3:::my-bucket/*")] {
            let text = smallest_policy(&asked(Service::S3), home).unwrap();
            let policy: serde_json::Value = serde_json::from_str(text.split_once(": ").unwrap().1).unwrap();
            assert_eq!(policy["Statement"][0]["Resource"], resource);
        }
        assert_eq!(smallest_policy(&asked(Service::Azure), "p"), None);
    }

    #[test]
    fn who_may_do_nothing_at_all_is_unknown_there() {
        let refused = |act, kind| Tried { act, refusal: Some(Error::new(kind, "no")) };
        let fine = |act| Tried { act, refusal: None };
        let denied = ErrorKind::NotPermitted;
        let id = |tried: &[Tried]| unusable(tried).map(|report| report.id);
        assert_eq!(id(&[fine(Act::Write), fine(Act::Read)]), None);
        assert_eq!(id(&[refused(Act::Write, denied), fine(Act::Read)]), None);
        assert_eq!(id(&[refused(Act::Write, denied), refused(Act::Read, denied)]), Some("credentials"));
        assert_eq!(id(&[refused(Act::Write, denied), refused(Act::Read, ErrorKind::Unavailable)]), Some("reachable"));
    }
}
