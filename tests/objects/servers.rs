//! The stores that can be tried, each with a prefix of its own.

use std::sync::Arc;

use http::{Method, StatusCode, Uri};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::error::Result;
use lockd::store::object::http::Connector;
use lockd::store::object::secret::Secret;
use lockd::store::object::settings::{Azure, Credential, S3, Settings};
use lockd::store::open::{OpenOptions, Opened, open};
use object_store::aws::{AwsAuthorizer, AwsCredential};
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};

use super::fake::{self, Fake};
use super::sas;
use super::serving::Serving;
use crate::support::{left_out, not_run};

/// The bucket and the container of these tests.
pub const BUCKET: &str = "lockd-tests";
/// Who opens MinIO.
pub const ACCESS_KEY: (&str, &str) = ("lockdtest", "lockdtestsecret");

/// A place to try, and how it is opened.
#[derive(Clone, Debug)]
pub struct Place {
    pub url: String,
    pub settings: Settings,
    /// What a command needs in its environment to open the same.
    pub variables: Vec<(String, String)>,
}

impl Place {
    pub async fn open(&self) -> Result<Opened> {
        open(&self.url, self.options()).await
    }

    pub fn options(&self) -> OpenOptions {
        OpenOptions { objects: self.settings.clone(), ..OpenOptions::system() }
    }

    /// A prefix in a service that the test plays.
    pub fn fake(serving: &Serving<Fake>) -> Self {
        of_s3(&serving.address, fake::BUCKET, ("fakeid", "fakesecret"))
    }

    /// The same with another prefix.
    pub fn elsewhere(&self) -> Self {
        Self { url: fresh(self.url.rsplit_once("/t").unwrap().0), ..self.clone() }
    }

    /// Scheme, host and port of the endpoint.
    pub fn server(&self) -> String {
        let endpoint = self.settings.s3.endpoint.as_ref().or(self.settings.azure.endpoint.as_ref()).unwrap();
        let uri: Uri = endpoint.parse().unwrap();
        format!("{}://{}", uri.scheme_str().unwrap(), uri.authority().unwrap())
    }

    /// The same with another endpoint.
    pub fn through(mut self, endpoint: &str) -> Self {
        let there = |text: &mut Option<String>| {
            let path = text.as_ref().map(|text| text.parse::<Uri>().unwrap().path().trim_end_matches('/').to_owned());
            *text = path.map(|path| format!("{endpoint}{path}"));
        };
        there(&mut self.settings.s3.endpoint);
        there(&mut self.settings.azure.endpoint);
        self
    }
}

fn fresh(base: &str) -> String {
    let entropy: &dyn Entropy = &KernelEntropy;
    format!("{}/t{}", base.trim_end_matches('/'), hex::encode(entropy.bytes::<8>()))
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn variables(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Sends one request, whatever comes of it.
async fn send(request: HttpRequest) -> StatusCode {
    Connector::new(None, true).unwrap().call(request).await.unwrap().status()
}

fn request(method: Method, uri: &str) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    (*request.method_mut(), *request.uri_mut()) = (method, uri.parse().unwrap());
    request
}

/// MinIO, with its bucket made.
pub async fn minio() -> Option<Place> {
    let Some(endpoint) = set("LOCKD_TEST_MINIO") else {
        left_out("MinIO", "run it under scripts/object-servers");
        return None;
    };
    let (key_id, secret_key) = (ACCESS_KEY.0.to_owned(), ACCESS_KEY.1.to_owned());
    let credential = AwsCredential { key_id, secret_key, token: None };
    let mut make = request(Method::PUT, &format!("{endpoint}/{BUCKET}"));
    AwsAuthorizer::new(&credential, "s3", "us-east-1").try_authorize(&mut make, None).unwrap();
    let made = send(make).await;
    assert!(made.is_success() || made == StatusCode::CONFLICT, "{made}");
    Some(of_s3(&endpoint, BUCKET, ACCESS_KEY))
}

/// A prefix of its own in a bucket.
fn of_s3(endpoint: &str, bucket: &str, (id, key): (&str, &str)) -> Place {
    let secret = |name: &str, value: &str| (name.to_owned(), Secret::new(value));
    let s3 = S3 {
        endpoint: Some(endpoint.to_owned()),
        allow_http: true,
        variables: vec![secret("AWS_ACCESS_KEY_ID", id), secret("AWS_SECRET_ACCESS_KEY", key)],
        ..S3::default()
    };
    let variables = variables(&[
        ("AWS_ACCESS_KEY_ID", id),
        ("AWS_SECRET_ACCESS_KEY", key),
        ("LOCKD_S3_ENDPOINT", endpoint),
        ("LOCKD_S3_ALLOW_HTTP", "true"),
    ]);
    Place { url: fresh(&format!("s3://{bucket}")), settings: Settings { s3, ..Settings::default() }, variables }
}

/// Azurite, with its container made, and opened with this.
pub async fn azurite_with(credential: Credential) -> Option<Place> {
    let Some(endpoint) = set("LOCKD_TEST_AZURITE") else {
        left_out("Azurite", "run it under scripts/object-servers");
        return None;
    };
    let sas = sas::of_account("rwdlac", sas::LATER);
    let made = send(request(Method::PUT, &format!("{endpoint}/{BUCKET}?restype=container&{sas}"))).await;
    assert!(made.is_success() || made == StatusCode::CONFLICT, "{made}");
    let of_credential = match &credential {
        Credential::SharedKey(key) => ("LOCKD_AZURE_ACCOUNT_KEY", key.reveal().to_owned()),
        Credential::Sas(token) => ("LOCKD_AZURE_SAS_TOKEN", token.reveal().to_owned()),
    };
    let variables = variables(&[
        (of_credential.0, &of_credential.1),
        ("LOCKD_AZURE_ENDPOINT", &endpoint),
        ("LOCKD_AZURE_ALLOW_HTTP", "true"),
    ]);
    let azure = Azure { endpoint: Some(endpoint), allow_http: true, credential: Some(credential), ..Azure::default() };
    Some(Place {
        url: fresh(&format!("azure://{}/{BUCKET}", sas::ACCOUNT)),
        settings: Settings { azure, ..Settings::default() },
        variables,
    })
}

/// The account's key.
pub fn shared_key() -> Credential {
    Credential::SharedKey(Secret::new(sas::KEY))
}

/// A signature.
pub fn token(token: &str) -> Credential {
    Credential::Sas(Secret::new(token))
}

/// A real account, named by `LOCKD_TEST_S3_URL` or `LOCKD_TEST_AZURE_URL`, with the credentials of the usual variables.
fn real(name: &str) -> Option<Place> {
    let Some(url) = set(name) else {
        // No server that somebody could start: whoever has an account says so.
        not_run(&format!("a real account: set {name}"));
        return None;
    };
    let found = |names: &[(&str, &str)]| -> Vec<(String, Secret)> {
        names.iter().filter_map(|(name, _)| Some(((*name).to_owned(), Secret::new(&set(name)?)))).collect()
    };
    let key = || set("LOCKD_AZURE_ACCOUNT_KEY").map(|key| Credential::SharedKey(Secret::new(&key)));
    let sas = || set("LOCKD_AZURE_SAS_TOKEN").map(|token| Credential::Sas(Secret::new(&token)));
    let settings = Settings {
        s3: S3 {
            endpoint: set("LOCKD_S3_ENDPOINT"),
            allow_http: set("LOCKD_S3_ALLOW_HTTP").is_some(),
            region: set("LOCKD_S3_REGION").or_else(|| set("AWS_REGION")),
            variables: found(S3::VARIABLES),
            ..S3::default()
        },
        azure: Azure {
            endpoint: set("LOCKD_AZURE_ENDPOINT"),
            allow_http: set("LOCKD_AZURE_ALLOW_HTTP").is_some(),
            credential: key().or_else(sas),
            identity: found(Azure::IDENTITY),
        },
        ca: None,
    };
    // The command reads the same variables, which are set already.
    let variables = std::env::vars().filter(|(name, _)| {
        ["AWS_", "AZURE_", "IDENTITY_", "LOCKD_S3_", "LOCKD_AZURE_"].iter().any(|prefix| name.starts_with(prefix))
    });
    Some(Place { url: fresh(&url), settings, variables: variables.collect() })
}

/// Every store that can be tried here, by name.
pub async fn all() -> Vec<(&'static str, Arc<Place>)> {
    let container = sas::of_container(BUCKET, "rwdl", sas::LATER);
    let places = [
        ("MinIO", minio().await),
        ("Azurite with a shared key", azurite_with(shared_key()).await),
        ("Azurite with an account SAS", azurite_with(token(&sas::of_account("rwdl", sas::LATER))).await),
        ("Azurite with a container SAS", azurite_with(token(&container)).await),
    ];
    let here = places.into_iter().filter_map(|(name, place)| Some((name, Arc::new(place?))));
    here.chain(accounts()).collect()
}

/// The real accounts that were named.
pub fn accounts() -> Vec<(&'static str, Arc<Place>)> {
    let places = [
        ("the S3 of LOCKD_TEST_S3_URL", real("LOCKD_TEST_S3_URL")),
        ("the Azure account of LOCKD_TEST_AZURE_URL", real("LOCKD_TEST_AZURE_URL")),
    ];
    places.into_iter().filter_map(|(name, place)| Some((name, Arc::new(place?)))).collect()
}
