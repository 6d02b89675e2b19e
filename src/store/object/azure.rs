//! Azure Blob Storage.

use std::fmt;
use std::sync::Arc;

use http::{Method, Uri};
use object_store::RetryConfig;
use object_store::azure::{AzureAuthorizer, AzureConfigKey, AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::client::{HttpRequest, HttpRequestBody, HttpResponse, HttpService};
use object_store::path::Path;

use super::endpoint::{AZURE, Endpoint};
use super::http::{Connector, chain};
use super::refusal::{Access, Asked};
use super::sas::Sas;
use super::settings::{Azure, Credential, Settings};
use super::{Clients, Service, patient};
use crate::error::{Error, ErrorKind, Result};

/// The clients for a container, and whom they ask.
///
/// # Errors
/// `Config` when the settings contradict each other, or a key or signature is none.
pub fn clients(account: &str, container: &str, settings: &Settings) -> Result<(Clients, Asked)> {
    let azure = &settings.azure;
    let endpoint = match &azure.endpoint {
        Some(text) => Endpoint::parse(text, azure.allow_http, &AZURE)?,
        None => Endpoint::parse(&format!("https://{account}.blob.core.windows.net"), false, &AZURE)?,
    };
    let connector = Connector::new(settings.ca.as_deref(), endpoint.is_plain())?;
    let builder = configured(account, container, azure, &endpoint)?.with_http_connector(connector.clone());
    let patient = build(builder.clone().with_retry(patient()))?;
    let credentials = Arc::clone(patient.credentials());
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let strict = build(builder.with_retry(once).with_credentials(credentials))?;
    let asked = Asked {
        service: Service::Azure,
        host: endpoint.host(),
        endpoint: endpoint.text(),
        bucket: container.to_owned(),
        access: access(azure)?,
    };
    let base = format!("{}/{container}", endpoint.text());
    let delete = Delete { connector, client: patient.clone(), account: account.to_owned(), base };
    Ok((Clients { strict: Arc::new(strict), patient: Arc::new(patient), azure_delete: Some(delete) }, asked))
}

fn access(azure: &Azure) -> Result<Access> {
    match &azure.credential {
        Some(Credential::SharedKey(_)) => Ok(Access::SharedKey),
        Some(Credential::Sas(token)) => Sas::parse(token.reveal()).map(Access::Sas).ok_or_else(|| {
            Error::new(ErrorKind::Config, "the SAS of azure:// is none: it has no signature (sig=...)").with_hint(
                "give the token as `az storage container generate-sas` prints it, not an account key or a URL",
            )
        }),
        None => Ok(Access::Identity),
    }
}

fn configured(account: &str, container: &str, azure: &Azure, endpoint: &Endpoint) -> Result<MicrosoftAzureBuilder> {
    let address = endpoint.text();
    let mut options =
        vec![("account_name", account), ("container_name", container), ("azure_storage_endpoint", &address)];
    match &azure.credential {
        Some(Credential::SharedKey(key)) => options.push(("access_key", key.reveal())),
        Some(Credential::Sas(token)) => options.push(("sas_token", token.reveal())),
        None => {}
    }
    let known = |name: &str| Azure::IDENTITY.iter().any(|(known, _)| *known == name);
    let identity: Vec<_> = azure.identity.iter().filter(|(name, _)| known(name)).collect();
    let lower: Vec<String> = identity.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    if azure.credential.is_none() {
        options.extend(lower.iter().zip(&identity).map(|(name, (_, value))| (name.as_str(), value.reveal())));
    }
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in options {
        let key: AzureConfigKey = name
            .parse()
            .map_err(|_| Error::new(ErrorKind::Internal, format!("the setting {name} of Azure is not known")))?;
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

/// The crate's errors here may show what it was given: only their kind is repeated.
fn build(builder: MicrosoftAzureBuilder) -> Result<MicrosoftAzure> {
    builder.build().map_err(|_| {
        Error::new(ErrorKind::Config, "the credentials of azure:// cannot be used: a key is 88 characters of base64")
            .with_hint("look at LOCKD_AZURE_ACCOUNT_KEY or --azure-key-file; `lockd help env` lists the settings")
    })
}

/// Deletes blobs one by one. The crate deletes in batches, which a container's SAS does not permit.
#[derive(Clone)]
pub struct Delete {
    connector: Connector,
    client: MicrosoftAzure,
    account: String,
    base: String,
}

impl fmt::Debug for Delete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

impl Delete {
    /// Asks once. What the service said is in what is seen.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub async fn ask(&self, path: &Path) -> object_store::Result<HttpResponse> {
        let other = |source| object_store::Error::Generic { store: "Azure", source };
        let uri: Uri = format!("{}/{path}", self.base).parse().map_err(|e| other(Box::new(e) as _))?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        (*request.method_mut(), *request.uri_mut()) = (Method::DELETE, uri);
        let credential: Arc<AzureCredential> = self.client.credentials().get_credential().await?;
        AzureAuthorizer::new(&credential, &self.account).try_authorize(&mut request)?;
        self.connector.call(request).await.map_err(|e| other(chain(&e).into()))
    }
}
