//! The process that works and is killed. It takes one order a line, and tells of each step when it is done: what was written to a
//! pipe outlives who wrote it.

use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Duration;

use lockd::client::{AcquireOptions, Client, Lease};
use lockd::clock::BootTime;
use lockd::connect::{self, Carrier};
use lockd::error::{Error, ErrorKind, Result};
use lockd::model::{Key, Namespace, Ttl};
use lockd::store::open;
use serde::{Deserialize, Serialize};

use super::super::super::context::Context;
use super::super::super::identity;
use super::trouble;

/// How long it waits for a key before it tries another one.
const PATIENCE: Duration = Duration::from_millis(100);

/// The first line: where the keys are.
#[derive(Serialize, Deserialize)]
pub struct Link {
    /// The URL of the store, or of servers.
    pub url: String,
    /// Whether they are servers.
    pub servers: bool,
    /// The namespace.
    pub namespace: String,
    /// The TTL of leases, in milliseconds.
    pub ttl_ms: u64,
}

/// What a process tells. Times are of the boot clock, which all processes of a machine share.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is ready for orders.
    Ready,
    /// It has a lease.
    Got { token: u64, at: u64, deadline: u64 },
    /// It has read the state.
    Read { count: u64 },
    /// It has written the next one, and that was acknowledged.
    Saved { count: u64 },
    /// It is about to give the lease back, and believes in it no more.
    Gone { at: u64 },
    /// It was given back.
    Done,
    /// The key is somebody else's.
    WithoutIt,
    /// Something else is wrong: the code of the error, and what it says.
    Failed { code: String, message: String },
}

/// The state of a key: how often it was written.
#[derive(Serialize, Deserialize)]
struct Counter {
    count: u64,
}

/// What the holder of a lease finds.
///
/// # Errors
/// Why it cannot be read.
pub async fn count(lease: &Lease) -> Result<u64> {
    Ok(lease.load::<Counter>().await?.map_or(0, |counter| counter.count))
}

/// Works until no order comes any more.
///
/// # Errors
/// When the first line is not one of lockd's, or the store cannot be opened.
pub fn run(context: &Context) -> Result<u8> {
    context.block_on(async {
        let first = order().await.unwrap_or_default();
        let link: Link = serde_json::from_str(&first).map_err(|e| trouble(e.to_string()))?;
        let client = connected(context, &link).await?;
        tell(&Step::Ready)?;
        while let Some(name) = order().await {
            let key = Key::new(Namespace::new(&link.namespace)?, &name)?;
            let last = match cycle(context, &client, key, &link).await {
                Ok(()) => Step::Done,
                Err(e) if is_of_another(&e) => Step::WithoutIt,
                Err(e) => Step::Failed { code: e.kind().wire_code().to_owned(), message: e.to_string() },
            };
            tell(&last)?;
        }
        Ok(0)
    })
}

/// The next order, on a thread of its own: what the engine does meanwhile goes on.
async fn order() -> Option<String> {
    let line = tokio::task::spawn_blocking(|| std::io::stdin().lock().lines().next());
    line.await.ok()??.ok()
}

async fn connected(context: &Context, link: &Link) -> Result<Client> {
    let (clock, entropy) = (&context.clock, &context.entropy);
    let service = match link.servers {
        true => connect::servers(link.url.split(','), Carrier::Runtime, Arc::clone(clock))?,
        false => {
            let store = open::open(&link.url, context.options(&link.url)?).await?.store;
            connect::over(store, Arc::clone(clock), Arc::clone(entropy))
        }
    };
    Ok(Client::new(service, Arc::clone(clock), Arc::clone(entropy)))
}

/// One key: take it, add one, give it back.
async fn cycle(context: &Context, client: &Client, key: Key, link: &Link) -> Result<()> {
    let holder = identity::this_process(None);
    let ttl = Ttl::new(Duration::from_millis(link.ttl_ms))?;
    let wish = AcquireOptions { ttl, holder, wait: Some(PATIENCE), ..client.options(key.name())? };
    let mut lease = client.acquire(AcquireOptions { key, ..wish }, |_| {}).await?;
    let (BootTime(at), BootTime(deadline)) = (context.clock.boot(), lease.deadline());
    tell(&Step::Got { token: lease.token.0, at, deadline })?;
    let worked = work(&mut lease).await;
    tell(&Step::Gone { at: context.clock.boot().0 })?;
    match worked {
        Ok(()) => lease.release().await.map(drop),
        Err(e) => {
            lease.close().await;
            Err(e)
        }
    }
}

async fn work(lease: &mut Lease) -> Result<()> {
    let count = count(lease).await?;
    tell(&Step::Read { count })?;
    lease.save(&Counter { count: count + 1 }).await?;
    tell(&Step::Saved { count: count + 1 })
}

/// Whether the key is somebody else's by now: that happens to whoever is slow, and is no failure.
fn is_of_another(error: &Error) -> bool {
    error.kind() == ErrorKind::Busy || error.kind().exit_code() == ErrorKind::LeaseExpired.exit_code()
}

fn tell(step: &Step) -> Result<()> {
    let mut line = serde_json::to_vec(step).map_err(|e| trouble(e.to_string()))?;
    line.push(b'\n');
    // One write: a line is told whole or not at all.
    let mut out = std::io::stdout().lock();
    out.write_all(&line).and_then(|()| out.flush()).map_err(|e| Error::io("tell what was done", &e))
}
