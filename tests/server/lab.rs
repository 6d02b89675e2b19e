//! A server on a unix socket and on TCP over a store in memory, and a client that writes HTTP/1.1 by hand.

use std::sync::Arc;
use std::time::Duration;

use lockd::engine::{Engine, Options};
use lockd::entropy::{Entropy, KernelEntropy};
use lockd::http::server::address::Address;
use lockd::http::server::metrics::Metrics;
use lockd::http::server::{Config, Server};
use lockd::model::{FencingToken, LeaseId};
use lockd::service::Proof;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::world::World;

/// Longer than anything here takes, in advanced time: a test that reaches it has hung.
const PATIENCE: Duration = Duration::from_secs(7_200);

pub struct Lab {
    pub w: World,
    pub engine: Engine,
    dir: tempfile::TempDir,
    tcp: String,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Lab {
    pub async fn new() -> Self {
        Self::with(Config::default()).await
    }

    pub async fn with(config: Config) -> Self {
        Self::on(World::memory(), config).await
    }

    pub async fn on(w: World, config: Config) -> Self {
        Self::random(w, config, Arc::new(KernelEntropy)).await
    }

    /// With random bytes from elsewhere.
    pub async fn random(w: World, config: Config, entropy: Arc<dyn Entropy>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let engine = w.engine_at(w.clock.clone(), Options { serves: true, ..Options::default() });
        let server = Server::new(
            Arc::new(engine.clone()),
            Arc::new(w.clock.clone()),
            entropy,
            Arc::new(Metrics::default()),
            config,
        );
        let listener = Address::Unix(dir.path().join("socket")).bind().await.unwrap();
        let on_tcp = Address::parse("127.0.0.1:0").unwrap().bind().await.unwrap();
        let tcp = on_tcp.address().unwrap().to_string();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(async move {
            let stopped = async {
                let _dropped = stopped.await;
            };
            server.run(vec![listener, on_tcp], stopped, std::future::pending()).await;
        });
        Self { w, engine, dir, tcp, stop: Some(stop), running }
    }

    pub async fn socket(&self) -> UnixStream {
        UnixStream::connect(self.dir.path().join("socket")).await.unwrap()
    }

    pub async fn connect(&self) -> Client {
        Client { stream: Box::new(self.socket().await), came: Vec::new() }
    }

    pub async fn connect_tcp(&self) -> Client {
        Client { stream: Box::new(TcpStream::connect(&self.tcp).await.unwrap()), came: Vec::new() }
    }

    /// One call on a connection of its own.
    pub async fn call(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.connect().await.call(method, target, headers, body).await
    }

    /// Takes a lease without waiting.
    pub async fn acquire(&self, key: &str) -> Held {
        let body = json!({ "key": key, "owner": "tester", "ttl_seconds": 30, "block_seconds": -1 });
        let reply = self.call("POST", "/v1/acquire", &[], &body.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        Held::of(&reply)
    }

    /// The server is asked to end.
    pub fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    /// Returns once it has.
    pub async fn ended(self) {
        tokio::time::timeout(PATIENCE, self.running).await.unwrap().unwrap();
    }
}

/// A lease as an acquire answered it.
#[derive(Clone, Debug)]
pub struct Held {
    pub key: String,
    pub id: String,
    pub token: String,
    pub txn: String,
}

impl Held {
    pub fn of(reply: &Reply) -> Self {
        let body = reply.json();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        let token = body["fencing_token"].as_u64().unwrap().to_string();
        Self { key: text("key"), id: text("lease_id"), token, txn: text("txn_id") }
    }

    /// The same for an engine.
    pub fn as_proof(&self) -> Proof {
        let lease_id = LeaseId::new(&self.id).unwrap();
        Proof { lease_id, token: FencingToken(self.token.parse().unwrap()), txn: None }
    }

    /// The headers that prove it, without its transaction.
    pub fn proof(&self) -> [(&str, &str); 2] {
        [("X-Lease-ID", &self.id), ("X-Fencing-Token", &self.token)]
    }

    pub fn staged(&self) -> [(&str, &str); 3] {
        let [id, token] = self.proof();
        [id, token, ("X-Txn-ID", &self.txn)]
    }

    /// The body of a release or keepalive.
    pub fn body(&self) -> String {
        json!({ "key": self.key, "lease_id": self.id }).to_string()
    }

    pub fn keepalive(&self) -> String {
        json!({ "key": self.key, "lease_id": self.id, "ttl_seconds": 30 }).to_string()
    }
}

/// Either kind of socket.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub struct Client {
    pub stream: Box<dyn Stream>,
    came: Vec<u8>,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Status and code of a refusal; its header `Retry-After` says what its body says.
    pub fn refusal(&self) -> (u16, String) {
        let body = self.json();
        let again = body["retry_after_seconds"].as_u64().map(|seconds| seconds.to_string());
        assert_eq!(self.header("retry-after"), again.as_deref());
        (self.status, body["error"].as_str().unwrap().to_owned())
    }
}

impl Client {
    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) {
        let mut head = format!("{method} {target} HTTP/1.1\r\nHost: test\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        self.write(format!("{head}\r\n{body}")).await;
    }

    pub async fn call(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send(method, target, headers, body).await;
        self.reply().await
    }

    /// More bytes; false at the end.
    pub async fn more(&mut self) -> bool {
        let mut room = vec![0; 64 * 1024];
        let read =
            tokio::time::timeout(PATIENCE, self.stream.read(&mut room)).await.expect("the server does not answer");
        let n = read.unwrap_or(0);
        self.came.extend_from_slice(&room[..n]);
        n > 0
    }

    /// Takes what comes up to and including `end`.
    pub async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            let at = self.came.windows(end.len()).position(|window| window == end.as_bytes());
            if let Some(at) = at {
                let rest = self.came.split_off(at + end.len());
                return Some(String::from_utf8(std::mem::replace(&mut self.came, rest)).unwrap());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    async fn exactly(&mut self, n: usize) -> Vec<u8> {
        while self.came.len() < n {
            assert!(self.more().await, "the body ended early");
        }
        let rest = self.came.split_off(n);
        std::mem::replace(&mut self.came, rest)
    }

    /// Status and headers; nothing when the server hung up.
    pub async fn head(&mut self) -> Option<Reply> {
        let text = self.until("\r\n\r\n").await?;
        let mut lines = text.trim_end().split("\r\n");
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let pair = |line: &str| line.split_once(": ").map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
        Some(Reply { status, headers: lines.map(pair).collect(), body: Vec::new() })
    }

    pub async fn reply(&mut self) -> Reply {
        let mut reply = self.head().await.expect("the server hung up");
        if let Some(len) = reply.header("content-length") {
            reply.body = self.exactly(len.parse().unwrap()).await;
        } else if reply.header("transfer-encoding").is_some() {
            loop {
                let size = self.until("\r\n").await.unwrap();
                let size = usize::from_str_radix(size.trim(), 16).unwrap();
                let mut chunk = self.exactly(size + 2).await;
                chunk.truncate(size);
                if size == 0 {
                    break;
                }
                reply.body.extend(chunk);
            }
        }
        reply
    }

    /// Whether the server has hung up, without another word.
    pub async fn is_hung_up(&mut self) -> bool {
        !self.more().await
    }
}
