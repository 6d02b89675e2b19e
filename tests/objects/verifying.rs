//! `verify store` in buckets and containers, and a server that starts on them: the good are accepted, liars and what is closed refused.

use std::process::Stdio;

use http::Method;
use serde_json::Value;

use super::fake::{self, Fake, Fault, Lie};
use super::sas::{self, BEFORE, LATER};
use super::servers::{self, BUCKET, Place, token};
use super::serving::Serving;
use crate::cli::lab::{Lab, Ran, finished, ran};
use crate::cli::serve::server::Server;

/// What a run of `verify store` said.
struct Verdict {
    ran: Ran,
    body: Value,
}

impl Verdict {
    fn of(ran: Ran) -> Self {
        let body = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {} {}", ran.out, ran.err));
        Self { ran, body }
    }

    fn checks(&self, outcome: &str) -> Vec<&Value> {
        let checks = self.body["checks"].as_array().unwrap();
        checks.iter().filter(|check| check["outcome"] == outcome).collect()
    }

    /// The checks that failed.
    fn failed(&self) -> Vec<&str> {
        self.checks("fail").iter().map(|check| check["id"].as_str().unwrap()).collect()
    }

    /// A check failed, and said this.
    fn fails(&self, id: &str, saw: &str, advice: &str) {
        assert_eq!(self.ran.code, 1, "{}", self.body);
        let failed = self.checks("fail");
        let check = failed.iter().find(|check| check["id"] == id);
        let check = check.unwrap_or_else(|| panic!("{id} did not fail: {}", self.body));
        let has = |name: &str, text: &str| check[name].as_str().unwrap_or_default().contains(text);
        assert!(has("saw", saw) && has("advice", advice), "{saw:?}, {advice:?}: {check}");
        for secret in ["&sig=", sas::KEY, servers::ACCESS_KEY.1, "geheim"] {
            assert!(!self.ran.out.contains(secret), "{secret:?} is in {}", self.ran.out);
        }
    }
}

/// The command at a place, in a lab.
fn command(lab: &Lab, place: &Place, args: &[&str]) -> std::process::Command {
    let mut command = lab.plain();
    command.args(args).env("LOCKD_STORE", &place.url);
    command.envs(place.variables.iter().map(|(name, value)| (name, value)));
    command
}

/// Runs it to its end, beside the services that this test plays.
fn run(place: &Place, args: &[&str]) -> Ran {
    let lab = Lab::new();
    let mut command = assert_cmd::Command::from_std(command(&lab, place, args));
    tokio::task::block_in_place(|| ran(&mut command))
}

fn verified(place: &Place) -> Verdict {
    Verdict::of(run(place, &["verify", "store", "--quick", "--json"]))
}

/// Two at the same time, who meet.
fn two(place: &Place) -> [Verdict; 2] {
    let lab = Lab::new();
    let start = || {
        let mut command = command(&lab, place, &["verify", "store", "--peer", "--json"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let both = [start(), start()];
    both.map(|child| tokio::task::block_in_place(|| Verdict::of(finished(&child.wait_with_output().unwrap()))))
}

/// What a server that does not start says.
fn served(place: &Place) -> Ran {
    run(place, &["serve", "--listen", "127.0.0.1:0"])
}

/// Makes the store, which a server does not.
fn made(place: &Place) {
    assert_eq!(run(place, &["list"]).code, 0);
}

/// Whether there is a store.
async fn is_there(place: &Place) -> bool {
    let never = lockd::store::open::OpenOptions { create: false, ..place.options() };
    lockd::store::open::open(&place.url, never).await.is_ok()
}

fn named(serving: &Serving<Fake>) -> Vec<String> {
    serving.service.names().0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_ones_are_accepted_and_left_as_they_were() {
    let serving = fake::honest().await;
    let fake = std::sync::Arc::new(Place::fake(&serving));
    for (name, place) in servers::all().await.into_iter().chain([("fake", fake)]) {
        let verdict = verified(&place);
        assert_eq!((verdict.ran.code, verdict.failed()), (0, Vec::new()), "{name}: {}", verdict.body);
        assert!(verdict.checks("warn").is_empty(), "{name}: {}", verdict.body);
        for id in ["may-write", "may-read", "may-list", "may-delete", "clock", "process-swaps", "speed", "ttl"] {
            assert!(verdict.checks("ok").iter().any(|check| check["id"] == id), "{name}: {id}: {}", verdict.body);
        }
        for verdict in two(&place) {
            assert_eq!((verdict.ran.code, verdict.failed()), (0, Vec::new()), "{name}: {}", verdict.body);
        }
        assert!(!is_there(&place).await, "{name}: no store was made");
        made(&place);
        let lab = Lab::new();
        tokio::task::block_in_place(|| {
            let server = Server::from(command(&lab, &place, &["serve", "-v", "--listen", "127.0.0.1:0"]), 1);
            // Each line is lockd's own, and none of the HTTP client below.
            let strange = |line: &&String| !["verified", "serving", "listening"].iter().any(|word| line.contains(word));
            assert_eq!(server.said.iter().find(strange), None, "{name}");
            assert_eq!(server.call("GET", "/readyz", &[], "").status, 200, "{name}");
            server.kill();
        });
    }
    let (names, uploads) = serving.service.names();
    assert_eq!(names.iter().filter(|name| name.contains("verify.")).count() + uploads, 0, "{names:?}");
}

/// An ETag that is a hash of the body is what S3 itself has, and no lie to a store whose bodies are all different.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn liars_are_refused_by_name_and_no_server_starts_on_them() {
    for (lie, check) in [
        (Lie::IgnoresConditions, "stale-etag"),
        (Lie::Races, "create-race"),
        (Lie::ForgetsAfterDelete, "blob-list"),
        (Lie::SameEtagForSameLength, "etag-unique"),
        (Lie::MatchesMissing, "refusal"),
        (Lie::Expires, "lifecycle"),
    ] {
        let serving = fake::liar(lie).await;
        let place = Place::fake(&serving);
        let verdict = verified(&place);
        verdict.fails(check, "", "");
        println!("{lie:?}: found out in {} ms by {:?}", verdict.body["took_ms"], verdict.failed());
        assert_eq!(named(&serving), [""; 0], "{lie:?}: nothing stays");
        made(&place);
        let server = served(&place);
        assert_eq!(server.code, 78, "{lie:?}: {}", server.err);
        assert!(server.err.contains("cannot hold locks: "), "{lie:?}: {}", server.err);
    }
    let serving = fake::liar(Lie::SameEtagForSameBytes).await;
    let verdict = verified(&Place::fake(&serving));
    assert_eq!((verdict.ran.code, verdict.failed()), (0, Vec::new()), "{}", verdict.body);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hosts_find_a_liar_out() {
    let serving = fake::liar(Lie::Races).await;
    let verdicts = two(&Place::fake(&serving));
    assert!(verdicts.iter().any(|verdict| verdict.failed().iter().any(|id| id.starts_with("peer"))));
    assert!(verdicts.iter().all(|verdict| verdict.ran.code == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_permission_is_tried_by_name() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    let denied = Fault::Refused(403, "AccessDenied");
    for (method, check, says) in [
        (Method::PUT, "may-write", "s3:PutObject"),
        (Method::GET, "may-read", "s3:GetObject"),
        (Method::DELETE, "may-delete", "s3:DeleteObject"),
    ] {
        serving.service.fail(method, denied);
        let verdict = verified(&place);
        verdict.fails(check, "is not permitted", says);
        verdict.fails(check, "", "the smallest policy that would do: {\"Version\"");
        assert_eq!(verdict.failed(), [check], "{}", verdict.body);
        assert_eq!(named(&serving), [""; 0], "{check}: nothing stays");
    }
    // What cannot be taken away is named.
    serving.service.fail(Method::DELETE, denied);
    serving.service.fail(Method::DELETE, denied);
    let verdict = verified(&place);
    assert_eq!(verdict.failed(), ["may-delete", "cleanup"], "{}", verdict.body);
    verdict.fails("cleanup", &format!("{}/verify.", place.url), "s3:DeleteObject");
    assert_eq!(named(&serving).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_and_places_are_refused_with_the_remedy() {
    let serving = fake::honest().await;
    let mut nobody = Place::fake(&serving);
    nobody.variables.retain(|(name, _)| name != "LOCKD_S3_ENDPOINT");
    nobody.variables.push(("LOCKD_S3_ENDPOINT".to_owned(), "http://127.0.0.1:9".to_owned()));
    let elsewhere = Place { url: "s3://nobodys/p".to_owned(), ..Place::fake(&serving) };
    for (place, check, saw, remedy) in [
        (nobody, "reachable", "cannot be reached", "--s3-endpoint"),
        (elsewhere, "reachable", "there is no such bucket", "create it first"),
    ] {
        let verdict = verified(&place);
        verdict.fails(check, saw, remedy);
        assert_eq!(verdict.failed(), [check], "{}", verdict.body);
        let server = served(&place);
        assert_eq!(server.code, 78, "{}", server.err);
        assert!(server.err.contains(saw) && server.err.contains(remedy), "{}", server.err);
    }
    if let Some(mut place) = servers::minio().await {
        place.variables.retain(|(name, _)| name != "AWS_SECRET_ACCESS_KEY");
        place.variables.push(("AWS_SECRET_ACCESS_KEY".to_owned(), "geheim".to_owned()));
        verified(&place).fails("credentials", "does not belong to the access key", "AWS_SECRET_ACCESS_KEY");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signatures_that_do_not_suffice_are_refused_with_the_remedy() {
    const OTHER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";
    for (token_text, check, saw) in [
        (sas::of_container(BUCKET, "rwdl", BEFORE), "credentials", "has expired"),
        (sas::of_container(BUCKET, "rl", LATER), "permissions", "lacks the permissions wd (sp)"),
        (sas::of_container(BUCKET, "rwl", LATER), "permissions", "lacks the permissions d (sp)"),
        (sas::of_container("another", "rwdl", LATER), "credentials", "another container"),
        (sas::of_container_by(OTHER_KEY, BUCKET, "rwdl", LATER), "credentials", "rotated"),
    ] {
        let Some(place) = servers::azurite_with(token(&token_text)).await else { return };
        let verdict = verified(&place);
        verdict.fails(check, saw, "make a new one");
        assert_eq!(verdict.failed(), [check], "{}", verdict.body);
    }
    let place = servers::azurite_with(servers::shared_key()).await.unwrap();
    let elsewhere = Place { url: format!("azure://{}/no-such-container/p", sas::ACCOUNT), ..place };
    verified(&elsewhere).fails("reachable", "there is no such container", "create it first");
}

/// After a restore: the same command as for a directory.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_bucket_gets_a_higher_epoch() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    made(&place);
    let ran = run(&place, &["verify", "store", "--quick", "--restored"]);
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains("from 0 to 1"), "{}", ran.out);
    assert_eq!(place.open().await.unwrap().store.facts.epoch, 1);
}
