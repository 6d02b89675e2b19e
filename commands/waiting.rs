//! Takes a lease and says on standard error what it waits for: at once on a terminal, after 2 s elsewhere, then once a minute, and
//! when its server goes away or comes back.

use std::cell::RefCell;
use std::mem::discriminant;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::select;
use lockd::client::{AcquireOptions, Client, Delay, Lease};
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
    let (latest, changed) = (RefCell::new(None), Notify::new());
    let taking = client.acquire(options, |delay: Delay<'_>| {
        let delay = Latest::of(delay);
        let before = latest.replace(Some(delay.clone()));
        if before.is_none_or(|before| discriminant(&before) != discriminant(&delay)) {
            changed.notify_one();
        }
    });
    let announcing = async {
        changed.notified().await;
        if !watched {
            clock.sleep(SILENCE).await;
        }
        loop {
            if let Some(latest) = &*latest.borrow() {
                say(&message(&key, latest, clock.wall()));
            }
            // That a server went away, or is back, is news.
            let _whatever_comes_first = select(pin!(clock.sleep(AGAIN)), pin!(changed.notified())).await;
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

/// What a wait was last held up by.
#[derive(Clone)]
enum Latest {
    Held(Box<Busy>),
    Away(String),
}

impl Latest {
    fn of(delay: Delay<'_>) -> Self {
        match delay {
            Delay::Held(busy) => Self::Held(Box::new(busy.clone())),
            Delay::Away(why) => Self::Away(why.message().to_owned()),
        }
    }
}

/// Who holds it, since when, for what, and our place; or that nobody answers.
fn message(key: &Key, latest: &Latest, now: UnixMillis) -> String {
    match latest {
        Latest::Held(busy) => {
            let place = busy.place.map_or_else(String::new, |place| format!("; we are number {place} in the queue"));
            format!("waiting for {key}, held by {}{place}", text::holder(busy, now))
        }
        Latest::Away(why) => format!("waiting for {key}, and asking again until there is an answer: {why}"),
    }
}

#[cfg(test)]
mod tests;
