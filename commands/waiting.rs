//! Takes a lease and says on standard error what it waits for: at once on a terminal, after 2 s elsewhere, then once a minute.

use std::cell::RefCell;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use lockd::client::{AcquireOptions, Client, Lease};
use lockd::clock::{Clock, UnixMillis};
use lockd::error::Result;
use lockd::model::Key;
use lockd::service::Busy;
use tokio::sync::Notify;

use super::context::Context;
use super::text;

/// How long a wait stays silent where nobody watches.
const SILENCE: Duration = Duration::from_secs(2);
/// How often it says so again.
const AGAIN: Duration = Duration::from_secs(60);

/// Takes a lease. Dropping the future stops waiting; [`Client::abandon`] then makes sure that nothing is granted any more.
///
/// # Errors
/// As [`Client::acquire`].
pub async fn acquire(context: &Context, client: &Client, options: AcquireOptions) -> Result<Lease> {
    let clock = &*context.clock;
    let say = |message: &str| context.voice.note(message);
    announced(clock, context.is_watched(), say, client, options).await
}

/// The same with all that decides handed in.
async fn announced(
    clock: &dyn Clock,
    watched: bool,
    say: impl Fn(&str),
    client: &Client,
    options: AcquireOptions,
) -> Result<Lease> {
    let key = options.key.clone();
    let (latest, arrived) = (RefCell::new(None), Notify::new());
    let taking = client.acquire(options, |busy: &Busy| {
        latest.replace(Some(busy.clone()));
        arrived.notify_one();
    });
    let announcing = async {
        arrived.notified().await;
        if !watched {
            clock.sleep(SILENCE).await;
        }
        loop {
            if let Some(busy) = &*latest.borrow() {
                say(&message(&key, busy, clock.wall()));
            }
            clock.sleep(AGAIN).await;
        }
    };
    let (mut taking, mut announcing) = (pin!(taking), pin!(announcing));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(lease) = taking.as_mut().poll(cx) {
            return Poll::Ready(lease);
        }
        // It never ends by itself.
        let _pending: Poll<()> = announcing.as_mut().poll(cx);
        Poll::Pending
    })
    .await
}

/// Who holds it, since when, for what, and our place.
fn message(key: &Key, busy: &Busy, now: UnixMillis) -> String {
    let place = busy.place.map_or_else(String::new, |place| format!("; we are number {place} in the queue"));
    format!("waiting for {key}, held by {}{place}", text::holder(busy, now))
}

#[cfg(test)]
mod tests;
