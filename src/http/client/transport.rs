//! What carries requests to servers and answers back.

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};

use super::Address;
use crate::service::ByteStream;

/// A request without its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Headers beside those of the transport itself.
    pub headers: HeaderMap,
}

/// The body of a request.
pub enum Body<'a> {
    /// These bytes.
    Bytes(Bytes),
    /// What this stream gives, of a length that is not known. An error in it ends the request, which is then never complete.
    Stream(&'a mut ByteStream),
}

/// An answer: its head has come, its body comes.
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body. Dropping it ends the request.
    pub body: ByteStream,
}

/// There is no answer.
#[derive(Debug)]
pub struct Failure {
    /// Whether the server may have got the request.
    pub sent: bool,
    /// Why, for people.
    pub why: String,
}

/// Carries requests. Two kinds: blocking calls on threads of their own for the command line, which need nothing else, and
/// asynchronous ones.
#[async_trait]
pub trait Wire: Send + Sync {
    /// Sends a request and returns once the head of its answer is there. Dropping the future ends the request and closes
    /// its connection at once.
    async fn send(&self, to: &Address, head: Head, body: Body<'_>) -> Result<Reply, Failure>;
}
