//! What is refused, and that each refusal names its remedy and no secret.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream;
use http::{Method, Request, Response};
use lockd::clock::{Clock, UnixMillis};
use lockd::entropy::KernelEntropy;
use lockd::error::{Error, ErrorKind};
use lockd::model::{BlobId, FencingToken};
use lockd::store::Credential as StoreCredential;
use lockd::store::object::secret::Secret;
use lockd::store::object::settings::Credential;

use super::fake::{self, Fault};
use super::sas::{self, BEFORE, LATER};
use super::servers::{self, BUCKET, Place, token};
use super::serving::{Answers, serve};
use crate::support::clock::TestClock;
use crate::support::world::key;

/// A key of the right form that opens nothing.
const OTHER_KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==";

/// Secrets, and parts of them.
const SECRETS: [&str; 5] = ["&sig=", sas::KEY, OTHER_KEY, servers::ACCESS_KEY.1, "geheim"];

fn says(error: &Error, kind: ErrorKind, what: &str, remedy: &str) {
    let hint = error.hint().unwrap_or_default();
    assert_eq!(error.kind(), kind, "{error} ({hint})");
    assert!(error.message().contains(what), "{what:?} is not in: {error}");
    assert!(hint.contains(remedy), "{remedy:?} is not in the hint: {hint}");
    for secret in SECRETS {
        assert!(!format!("{error:?} {error} {hint}").contains(secret), "{secret:?} is in: {error} {hint}");
    }
}

async fn refused(place: &Place, kind: ErrorKind, what: &str, remedy: &str) {
    let error = place.open().await.expect_err(what);
    assert!(error.message().starts_with(&place.url), "it says which store: {error}");
    says(&error, kind, what, remedy);
}

async fn azurite(credential: Credential) -> Option<Place> {
    servers::azurite_with(credential).await
}

/// A port on which nobody listens.
fn closed() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test]
async fn signatures_that_do_not_suffice() {
    for (credential, what, remedy) in [
        (sas::of_container(BUCKET, "rwdl", BEFORE), "has expired", "make a new one"),
        (sas::of_account("rwdl", BEFORE), "has expired", "--azure-sas-file"),
        (sas::of_container(BUCKET, "rl", LATER), "lacks the permissions wd (sp)", "--permissions rwdl"),
        (sas::of_container(BUCKET, "wdl", LATER), "lacks the permissions r (sp)", "--permissions rwdl"),
        (sas::of_container("another", "rwdl", LATER), "for another container", "make a new one"),
        (sas::of_container_by(OTHER_KEY, BUCKET, "rwdl", LATER), "rotated", "make a new one"),
    ] {
        let Some(place) = azurite(token(&credential)).await else { return };
        refused(&place, ErrorKind::NotPermitted, what, remedy).await;
    }
    let Some(place) = azurite(token("sv=1&se=2099")).await else { return };
    refused(&place, ErrorKind::Config, "it has no signature", "generate-sas").await;
}

/// It can do everything but clean up: that is said when the store is opened, and when it is tried.
#[tokio::test]
async fn a_signature_without_delete() {
    let Some(place) = azurite(token(&sas::of_container(BUCKET, "rwl", LATER))).await else { return };
    let store = place.open().await.unwrap().store;
    let warning = store.facts.warning(lockd::clock::UnixMillis(0)).unwrap();
    assert!(warning.contains("lacks the permissions d (sp)"), "{warning}");
    let id = BlobId::random(key("k").hash(), FencingToken(1), &KernelEntropy);
    store.blobs.write(&id, stream::iter([Ok(Bytes::from_static(b"x"))]).boxed()).await.unwrap();
    let error = store.blobs.delete(&id).await.unwrap_err();
    says(&error, ErrorKind::NotPermitted, "does not permit deleting: it lacks the permissions d (sp)", "rwdl");
    let all = azurite(servers::shared_key()).await.unwrap();
    let all = Place { url: place.url, ..all };
    all.open().await.unwrap().store.blobs.delete(&id).await.unwrap();
}

/// A server runs for longer than a week.
#[tokio::test(start_paused = true)]
async fn an_end_that_comes_near_is_told_again_and_again() {
    let (clock, day) = (TestClock::new(), Duration::from_secs(24 * 60 * 60));
    let ends = UnixMillis(clock.wall().0 + u64::try_from(30 * day.as_millis()).unwrap());
    let told = Mutex::new(Vec::new());
    let (reminding, clock): (_, &dyn Clock) = (StoreCredential { ends: Some(ends), lacks: None }, &clock);
    let reminding = reminding.remind(clock, |what| told.lock().unwrap().push((clock.wall(), what)));
    assert!(clock.timeout_at(clock.boot() + 31 * day, reminding).await.is_none());
    let told = told.into_inner().unwrap();
    assert!((14..=17).contains(&told.len()), "twice a day, for a week: {told:?}");
    let first = ends.0 - told[0].0.0;
    assert!(u128::from(first) > 6 * day.as_millis(), "in time: {told:?}");
    assert!(told[0].1.contains("the SAS ends in 6 days"), "{told:?}");
    StoreCredential::default().remind(clock, |what| panic!("{what}")).await;
}

#[tokio::test]
async fn keys_of_azure() {
    let Some(place) = azurite(Credential::SharedKey(Secret::new(OTHER_KEY))).await else { return };
    refused(&place, ErrorKind::NotPermitted, "the account key is not the account's", "LOCKD_AZURE_ACCOUNT_KEY").await;
    let place = azurite(Credential::SharedKey(Secret::new("geheim!"))).await.unwrap();
    refused(&place, ErrorKind::Config, "88 characters of base64", "--azure-key-file").await;
}

/// Another service, which knows nobody.
struct Elsewhere(&'static str);

impl Answers for Elsewhere {
    async fn answer(&self, _: Request<Bytes>) -> Option<Response<Bytes>> {
        Some(Response::builder().status(403).body(self.0.into()).unwrap())
    }
}

#[tokio::test]
async fn places_of_azure() {
    let Some(place) = azurite(servers::shared_key()).await else { return };
    let elsewhere = Place { url: format!("azure://{}/no-such-container/p", sas::ACCOUNT), ..place.clone() };
    refused(&elsewhere, ErrorKind::StoreMissing, "there is no such container", "create it first").await;
    let mut nobody = place.clone();
    nobody.settings.azure.endpoint = Some(closed());
    refused(&nobody, ErrorKind::Unavailable, "cannot be reached", "--azure-endpoint").await;
    let mut plain = place.clone();
    plain.settings.azure.allow_http = false;
    refused(&plain, ErrorKind::Config, "plain HTTP", "--azure-allow-http").await;
    let serving = fake::honest().await;
    let mut wrong = place;
    wrong.settings.azure.endpoint = Some(serving.address.clone());
    let error = wrong.open().await.unwrap_err();
    assert!([ErrorKind::Config, ErrorKind::StoreMissing].contains(&error.kind()), "{error}");
    for body in ["<Error><Code>AccessDenied</Code></Error>", "no"] {
        let serving = serve(Elsewhere(body)).await;
        wrong.settings.azure.endpoint = Some(serving.address.clone());
        refused(&wrong, ErrorKind::NotPermitted, "not in the words of Azure", "--azure-endpoint").await;
    }
}

#[tokio::test]
async fn keys_and_places_of_s3() {
    let Some(place) = servers::minio().await else { return };
    let with = |name: &str, value: &str| {
        let mut place = place.clone();
        place.settings.s3.variables.retain(|(known, _)| known != name);
        place.settings.s3.variables.push((name.to_owned(), Secret::new(value)));
        place
    };
    let secret = with("AWS_SECRET_ACCESS_KEY", "geheim");
    refused(&secret, ErrorKind::NotPermitted, "does not belong to the access key", "AWS_SECRET_ACCESS_KEY").await;
    let unknown = with("AWS_ACCESS_KEY_ID", "nobody");
    refused(&unknown, ErrorKind::NotPermitted, "the access key is not known", "AWS_ACCESS_KEY_ID").await;
    let session = with("AWS_SESSION_TOKEN", "geheim");
    refused(&session, ErrorKind::NotPermitted, "the session has expired or is not known", "AWS_SESSION_TOKEN").await;
    let elsewhere = Place { url: "s3://no-such-bucket/p".to_owned(), ..place.clone() };
    refused(&elsewhere, ErrorKind::StoreMissing, "there is no such bucket", "create it first").await;
}

#[tokio::test]
async fn places_of_s3_without_a_server() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    let mut nobody = place.clone();
    nobody.settings.s3.endpoint = Some(closed());
    refused(&nobody, ErrorKind::Unavailable, "cannot be reached", "--s3-endpoint").await;
    let mut plain = place.clone();
    plain.settings.s3.allow_http = false;
    refused(&plain, ErrorKind::Config, "plain HTTP", "--s3-allow-http").await;
    let mut kind = place.clone();
    kind.settings.s3.encryption = Some("rot13".to_owned());
    refused(&kind, ErrorKind::Config, "do not fit together", "lockd help env").await;
    // Another service that understands nothing.
    serving.service.fail(Method::GET, Fault::Refused(400, ""));
    refused(&place, ErrorKind::Io, "the request was refused", "--s3-endpoint").await;
    // The host has a role to ask, and nobody answers there.
    let mut roleless = place;
    let token = tempfile::NamedTempFile::new().unwrap();
    roleless.settings.s3.variables = vec![
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI".to_owned(), Secret::new(&closed().replace("127.0.0.1", "localhost"))),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE".to_owned(), Secret::new(token.path().to_str().unwrap())),
    ];
    refused(&roleless, ErrorKind::NotPermitted, "no credential was given", "AWS_ACCESS_KEY_ID").await;
}

#[tokio::test]
async fn what_a_policy_forbids_is_named() {
    let serving = fake::honest().await;
    let place = Place::fake(&serving);
    let store = place.open().await.unwrap().store;
    let denied = Fault::Refused(403, "AccessDenied");
    serving.service.fail(Method::GET, denied);
    let error = store.records.get(&key("k")).await.unwrap_err();
    says(&error, ErrorKind::NotPermitted, "reading is not permitted", "s3:GetObject");
    serving.service.fail(Method::DELETE, denied);
    let id = BlobId::random(key("k").hash(), FencingToken(1), &KernelEntropy);
    let error = store.blobs.delete(&id).await.unwrap_err();
    says(&error, ErrorKind::NotPermitted, "deleting is not permitted", "s3:DeleteObject");
    serving.service.fail(Method::GET, denied);
    let error = store.blobs.list(key("k").hash()).await.unwrap_err();
    says(&error, ErrorKind::NotPermitted, "listing is not permitted", "s3:ListBucket");
    serving.service.fail(Method::GET, Fault::Refused(403, "RequestTimeTooSkewed"));
    let error = store.records.get(&key("k")).await.unwrap_err();
    says(&error, ErrorKind::NotPermitted, "clock is wrong", "timedatectl");
    serving.service.fail(Method::GET, Fault::Refused(301, "PermanentRedirect"));
    let error = store.records.get(&key("k")).await.unwrap_err();
    says(&error, ErrorKind::Config, "another region", "--s3-region");
}

/// Encryption is asked for with every write; the bucket is in the path, unless it is said to be in the host's name.
#[tokio::test]
async fn options_of_s3_are_sent() {
    let serving = fake::honest().await;
    let mut place = Place::fake(&serving);
    place.settings.s3.encryption = Some("aws:kms".to_owned());
    place.settings.s3.kms_key = Some("alias/lockd".to_owned());
    place.open().await.unwrap();
    let sent = serving.service.headers_of_last_put();
    let sent = |name: &str| sent.get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(sent("x-amz-server-side-encryption").as_deref(), Some("aws:kms"));
    assert_eq!(sent("x-amz-server-side-encryption-aws-kms-key-id").as_deref(), Some("alias/lockd"));
    place.settings.s3.virtual_hosted = true;
    // The fake takes the first part of the path for the bucket.
    refused(&place, ErrorKind::StoreMissing, "there is no such bucket", "create it first").await;
}
