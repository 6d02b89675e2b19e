//! A proxy before a real server that counts the requests.

use std::sync::Mutex;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt;
use lockd::store::object::http::Connector;
use object_store::client::{HttpRequest, HttpRequestBody, HttpService};

use super::serving::{Answers, Serving, serve};

pub struct Proxy {
    to: String,
    client: Connector,
    log: Mutex<Vec<String>>,
}

/// A proxy before the server at this address.
pub async fn before(to: &str) -> Serving<Proxy> {
    serve(Proxy { to: to.to_owned(), client: Connector::new(None, true).unwrap(), log: Mutex::default() }).await
}

impl Proxy {
    /// The requests since the last call: method and path.
    pub fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.log.lock().unwrap())
    }
}

impl Answers for Proxy {
    async fn answer(&self, request: Request<Bytes>) -> Option<Response<Bytes>> {
        self.log.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
        let (parts, body) = request.into_parts();
        let mut on = HttpRequest::new(HttpRequestBody::from(body));
        *on.method_mut() = parts.method;
        *on.uri_mut() = format!("{}{}", self.to, parts.uri).parse().unwrap();
        // With its host, which is part of what was signed.
        *on.headers_mut() = parts.headers;
        let (mut parts, body) = self.client.call(on).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        parts.headers.remove("transfer-encoding");
        Some(Response::from_parts(parts, body))
    }
}
