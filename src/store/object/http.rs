//! The HTTP client below `object_store`, and what it saw. The crate's own errors do not say what a verdict needs: whether the
//! request left, the status, the service's code, and its clock.

use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body_util::{BodyExt, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as Tcp;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody, HttpResponse, HttpResponseBody,
    HttpService,
};

use super::tls;
use crate::clock::{Clock, UnixMillis};
use crate::error::Result;
use crate::limits::{OBJECT_CONNECT, OBJECT_ERROR_BYTES, OBJECT_IDLE};

/// What was seen of the last request of an operation.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Whether a request may have reached the service.
    pub sent: bool,
    /// Whom it went to.
    pub host: String,
    /// The status of the answer, when one came.
    pub status: Option<u16>,
    /// The service's own code for what was wrong.
    pub code: String,
    /// The rest of what it said, for tests of its words; it may have parts of signatures and is never shown.
    pub text: String,
    /// The region that the service named.
    pub region: Option<String>,
    /// Why no answer came.
    pub trouble: Option<String>,
    pub(super) date: Option<SystemTime>,
    pub(super) modified: Option<SystemTime>,
}

impl Seen {
    /// How long ago the object was written, by the service's own clock: both times are of one answer.
    #[must_use]
    pub fn age(&self) -> Option<Duration> {
        self.date?.duration_since(self.modified?).ok()
    }

    /// The service's time when it answered.
    #[must_use]
    pub fn date_millis(&self) -> Option<UnixMillis> {
        let since = self.date?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(UnixMillis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)))
    }
}

tokio::task_local! {
    static SEEN: Arc<Mutex<Seen>>;
}

/// Runs an operation of `object_store` for at most `limit`, and tells what was seen of its last request. `None`: time ran out.
pub async fn witnessed<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> (Option<T>, Seen) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let done = clock.timeout_at(clock.boot() + limit, SEEN.scope(Arc::clone(&seen), work)).await;
    let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    (done, seen)
}

fn note(write: impl FnOnce(&mut Seen)) {
    // Outside an operation (a part that is aborted in the background) nobody asks.
    let _unseen = SEEN.try_with(|seen| write(&mut seen.lock().unwrap_or_else(PoisonError::into_inner)));
}

/// Makes HTTP clients that share one pool of connections. Speaks HTTP/1.1, follows nothing, reads no environment.
#[derive(Clone)]
pub struct Connector {
    client: Client<HttpsConnector<Tcp>, HttpRequestBody>,
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl Connector {
    /// A client that trusts the system's certificates and those of `ca`; with `plain` the service is on plain HTTP, and no
    /// certificate is read.
    ///
    /// # Errors
    /// When there are no certificates.
    pub fn new(ca: Option<&[u8]>, plain: bool) -> Result<Self> {
        let mut tcp = Tcp::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(OBJECT_CONNECT));
        let builder = HttpsConnectorBuilder::new().with_tls_config(tls::config(ca, plain)?);
        let https = builder.https_or_http().enable_http1().wrap_connector(tcp);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(OBJECT_IDLE);
        Ok(Self { client: client.build(https) })
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        const AGENT: HeaderValue = HeaderValue::from_static(concat!("lockd/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().insert(header::USER_AGENT, AGENT);
        let host = request.uri().host().unwrap_or_default().to_owned();
        note(|seen| *seen = Seen { sent: true, host, ..Seen::default() });
        let response = self.client.request(request).await.map_err(|e| {
            note(|seen| (seen.sent, seen.trouble) = (!e.is_connect(), Some(chain(&e))));
            let kind = if e.is_connect() { HttpErrorKind::Connect } else { HttpErrorKind::Interrupted };
            HttpError::new(kind, e)
        })?;
        let (parts, body) = response.into_parts();
        note(|seen| seen.head(parts.status.as_u16(), &parts.headers));
        if parts.status.is_success() {
            let body = HttpResponseBody::new(body.map_err(|e| HttpError::new(HttpErrorKind::Interrupted, e)));
            return Ok(HttpResponse::from_parts(parts, body));
        }
        // One that is longer was not written by either service, and says nothing.
        let text =
            Limited::new(body, OBJECT_ERROR_BYTES).collect().await.map_or_else(|_| Bytes::new(), |all| all.to_bytes());
        note(|seen| seen.said(&text));
        Ok(HttpResponse::from_parts(parts, text.into()))
    }
}

impl Seen {
    fn head(&mut self, status: u16, headers: &HeaderMap) {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        let date = |name: HeaderName| text(name).and_then(|value| httpdate::parse_http_date(value).ok());
        self.status = Some(status);
        self.code = text(HeaderName::from_static("x-ms-error-code")).unwrap_or_default().to_owned();
        self.region = text(HeaderName::from_static("x-amz-bucket-region")).map(str::to_owned);
        (self.date, self.modified) = (date(header::DATE), date(header::LAST_MODIFIED));
    }

    fn said(&mut self, body: &[u8]) {
        self.text = String::from_utf8_lossy(body).into_owned();
        if self.code.is_empty() {
            self.code = element(&self.text, "Code").unwrap_or_default().to_owned();
        }
        self.region = self.region.take().or_else(|| element(&self.text, "Region").map(str::to_owned));
    }
}

/// The text of an XML element without elements in it, as both services answer errors.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    rest.split_once('<').map(|(text, _)| text.trim())
}

/// An error with what is behind it.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(behind) = source {
        let more = behind.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = behind.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_service_said_is_read() {
        let mut seen = Seen::default();
        let at = |second: u32| HeaderValue::from_str(&format!("Sun, 06 Nov 1994 08:49:{second:02} GMT")).unwrap();
        let headers = [(header::DATE, at(37)), (header::LAST_MODIFIED, at(7))].into_iter().collect();
        seen.head(403, &headers);
        seen.said(b"<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Region>eu-1</Region></Error>");
        assert_eq!(
            (seen.status, seen.code.as_str(), seen.region.as_deref()),
            (Some(403), "AccessDenied", Some("eu-1"))
        );
        assert_eq!(seen.age(), Some(Duration::from_secs(30)));
        seen.head(200, &HeaderMap::new());
        assert_eq!(seen.age(), None);
    }
}
