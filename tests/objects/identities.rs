//! Roles and identities: whoever gives them is played, and the store is asked with what was given.

use std::sync::Mutex;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use lockd::error::ErrorKind;
use lockd::store::object::secret::Secret;
use lockd::store::open::{OpenOptions, open};

use super::fake;
use super::servers::Place;
use super::serving::{Answers, Serving, serve};

/// Gives the same to everybody: the answer, and what it was asked.
struct Giver {
    answer: String,
    asked: Mutex<Vec<Request<Bytes>>>,
}

impl Answers for Giver {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        self.asked.lock().unwrap().push(request);
        Some(Response::new(self.answer.clone().into()))
    }
}

async fn giver(answer: &str) -> Serving<Giver> {
    serve(Giver { answer: answer.to_owned(), asked: Mutex::default() }).await
}

impl Giver {
    fn asked(&self) -> String {
        let asked = self.asked.lock().unwrap();
        assert_eq!(asked.len(), 1, "what was given is kept: {asked:?}");
        let header = |name: &str| asked[0].headers().get(name).map_or("", |value| value.to_str().unwrap());
        let (auth, metadata) = (header("authorization"), header("metadata"));
        let body = String::from_utf8_lossy(asked[0].body()).into_owned();
        format!("{} {} {auth:?} {metadata:?} {body}", asked[0].method(), asked[0].uri())
    }
}

fn token_file() -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "from-a-file").unwrap();
    file
}

fn secrets(of: &[(&str, &str)]) -> Vec<(String, Secret)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), Secret::new(value))).collect()
}

/// Opens a store with these variables and no key; what it was asked with.
async fn opened_s3(variables: &[(&str, &str)]) -> (String, String) {
    let serving = fake::honest().await;
    let mut place = Place::fake(&serving);
    place.settings.s3.variables = secrets(variables);
    place.open().await.unwrap();
    let sent = serving.service.headers_of_last_put();
    let sent = |name: &str| sent.get(name).unwrap().to_str().unwrap().to_owned();
    (sent("authorization"), sent("x-amz-security-token"))
}

#[tokio::test]
async fn the_role_of_a_pod() {
    let answer =
        r#"{"AccessKeyId": "given", "SecretAccessKey": "s", "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}"#;
    let (giver, file) = (giver(answer).await, token_file());
    let uri = format!("{}/v1/credentials", giver.address);
    let (signed, session) = opened_s3(&[
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file.path().to_str().unwrap()),
    ])
    .await;
    assert!(signed.contains("Credential=given/") && session == "t", "{signed} {session}");
    assert!(giver.service.asked().starts_with("GET /v1/credentials \"from-a-file\""), "{}", giver.service.asked());
}

#[tokio::test]
async fn a_web_identity() {
    let answer = "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><SessionToken>t</SessionToken>\
        <SecretAccessKey>s</SecretAccessKey><AccessKeyId>given</AccessKeyId><Expiration>2099-01-01T00:00:00Z</Expiration>\
        </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
    let (giver, file) = (giver(answer).await, token_file());
    let (signed, session) = opened_s3(&[
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/lockd"),
        ("AWS_ROLE_SESSION_NAME", "my-session"),
        ("AWS_ENDPOINT_URL_STS", &giver.address),
    ])
    .await;
    assert!(signed.contains("Credential=given/") && session == "t", "{signed} {session}");
    let asked = giver.service.asked();
    for part in ["Action=AssumeRoleWithWebIdentity", "role%2Flockd", "my-session", "from-a-file"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

/// A container that says who asked, and has nothing.
#[derive(Default)]
struct Container(Mutex<HeaderMap>);

impl Answers for Container {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        *self.0.lock().unwrap() = request.headers().clone();
        let nothing = Response::builder().status(404).header("x-ms-error-code", "BlobNotFound");
        Some(nothing.body(Bytes::new()).unwrap())
    }
}

/// Looks for a store with these variables and neither key nor signature; what the container was asked with.
async fn asked_azure(variables: &[(&str, &str)]) -> String {
    let serving = serve(Container::default()).await;
    let mut options = OpenOptions { create: false, ..OpenOptions::system() };
    options.objects.azure.endpoint = Some(format!("{}/acc", serving.address));
    options.objects.azure.allow_http = true;
    options.objects.azure.identity = secrets(variables);
    let error = open("azure://acc/c/p", options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StoreMissing, "{error}");
    let headers = serving.service.0.lock().unwrap();
    headers.get("authorization").unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_managed_identity() {
    let giver = giver(r#"{"access_token": "given", "expires_on": "4070908800"}"#).await;
    let endpoint = format!("{}/msi/token", giver.address);
    let signed = asked_azure(&[("IDENTITY_ENDPOINT", &endpoint), ("AZURE_CLIENT_ID", "mine")]).await;
    assert_eq!(signed, "Bearer given");
    let asked = giver.service.asked();
    for part in ["GET /msi/token?", "client_id=mine", "storage.azure.com", "\"true\""] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[tokio::test]
async fn a_workload_identity() {
    let (giver, file) = (giver(r#"{"access_token": "given", "expires_in": 3600}"#).await, token_file());
    let signed = asked_azure(&[
        ("AZURE_CLIENT_ID", "mine"),
        ("AZURE_TENANT_ID", "ours"),
        ("AZURE_FEDERATED_TOKEN_FILE", file.path().to_str().unwrap()),
        ("AZURE_AUTHORITY_HOST", &giver.address),
    ])
    .await;
    assert_eq!(signed, "Bearer given");
    let asked = giver.service.asked();
    for part in ["POST /ours/oauth2/v2.0/token", "client_id=mine", "client_assertion=from-a-file"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
}

#[tokio::test]
async fn an_application() {
    let giver = giver(r#"{"access_token": "given", "expires_in": 3600}"#).await;
    let signed = asked_azure(&[
        ("AZURE_CLIENT_ID", "mine"),
        ("AZURE_TENANT_ID", "ours"),
        ("AZURE_CLIENT_SECRET", "geheim"),
        ("AZURE_AUTHORITY_HOST", &giver.address),
    ])
    .await;
    assert_eq!(signed, "Bearer given");
    assert!(giver.service.asked().contains("client_secret=geheim"), "{}", giver.service.asked());
}
