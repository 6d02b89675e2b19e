//! HTTP on loopback, for services that tests play.

use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A service that answers whole requests. `None` breaks the connection off without an answer.
pub trait Answers: Send + Sync + 'static {
    fn answer(&self, request: Request<Bytes>) -> impl Future<Output = Option<Response<Bytes>>> + Send;
}

/// A service at an address, gone when it is dropped.
pub struct Serving<S> {
    pub address: String,
    pub service: Arc<S>,
    accepting: JoinHandle<()>,
}

impl<S> Drop for Serving<S> {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Serves on a free port. The runtime must go on running.
pub async fn serve<S: Answers>(service: S) -> Serving<S> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let service = Arc::new(service);
    let accepting = tokio::spawn(accept(listener, Arc::clone(&service)));
    Serving { address, service, accepting }
}

async fn accept<S: Answers>(listener: TcpListener, service: Arc<S>) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = Arc::clone(&service);
        tokio::spawn(async move {
            let handler = service_fn(|request: Request<Incoming>| {
                let service = Arc::clone(&service);
                async move {
                    let (parts, body) = request.into_parts();
                    // A body that broke off is a connection that did.
                    let Ok(body) = body.collect().await else { return Err(Broken) };
                    let request = Request::from_parts(parts, body.to_bytes());
                    service.answer(request).await.map(|response| response.map(Full::new)).ok_or(Broken)
                }
            });
            let _broken_off = http1::Builder::new().serve_connection(TokioIo::new(stream), handler).await;
        });
    }
}

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken off")
    }
}

impl std::error::Error for Broken {}
