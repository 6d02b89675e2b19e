//! From the wait for the lease to the exit code.

use std::pin::pin;

use futures_util::future::{Either, select};
use lockd::client::{Client, Lease};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::KILL_SETTLE;

use super::super::context::Context;
use super::super::process::guard::Forked;
use super::super::process::link::Link;
use super::super::process::signals::Signals;
use super::super::process::wire::ToGuard;
use super::super::target::Need;
use super::super::waiting;
use super::ending::{self, Done};
use super::fault;
use super::plan::Plan;
use super::run::Run;

/// How the wait ended.
enum Waited {
    Granted(Box<Lease>),
    Busy(Error),
    Signal(i32),
    GuardDead,
    Failed(Error),
}

/// Takes the lease, runs the command under it and gives it back.
///
/// # Errors
/// What was wrong before the command ran.
pub async fn session(context: &Context, plan: &Plan, forked: Forked) -> Result<Done> {
    let mut signals = Signals::listen().map_err(|e| fault("listen to signals", &e))?;
    let link = Link::attach(forked).map_err(|e| fault("talk to the guard", &e))?;
    let opened = {
        let opening = pin!(context.open(Need::Lease));
        match select(pin!(signals.next_ending()), opening).await {
            Either::Left((signal, _)) => Either::Left(signal),
            Either::Right((opened, _)) => Either::Right(opened),
        }
    };
    let done = match opened {
        Either::Left(signal) => Ok(Done::interrupted_wait(signal)),
        Either::Right(Err(e)) => Err(e),
        Either::Right(Ok(session)) => hold(context, &session.client, plan, &link, &mut signals).await,
    };
    let clock = &*context.clock;
    link.farewell(clock, clock.boot() + KILL_SETTLE).await;
    done
}

async fn hold(context: &Context, client: &Client, plan: &Plan, link: &Link, signals: &mut Signals) -> Result<Done> {
    link.say(&ToGuard::Acquiring);
    let lease = match wait(context, client, plan, link, signals).await {
        Waited::Granted(lease) => *lease,
        Waited::Busy(e) => return Ok(ending::busy(context, plan, &e)),
        Waited::Failed(e) => return Err(e),
        Waited::Signal(signal) => {
            abandon(context, client, plan, signals).await;
            return Ok(Done::interrupted_wait(signal));
        }
        Waited::GuardDead => {
            abandon(context, client, plan, signals).await;
            let message = format!("the guard process was killed while exec waited for {}", plan.key);
            return Err(Error::new(ErrorKind::Internal, message).with_hint("nothing ran; start it again"));
        }
    };
    let (over, lease) = Run::new(plan, link, signals, lease).run().await;
    let done = ending::settle(context, plan, over, lease).await;
    client.service().close().await;
    Ok(done)
}

/// Waits for the lease, until a signal or the end of the guard.
async fn wait(context: &Context, client: &Client, plan: &Plan, link: &Link, signals: &mut Signals) -> Waited {
    let acquire = pin!(waiting::acquire(context, client, plan.options.clone()));
    let dead = pin!(async { while link.hear().await.is_some() {} });
    let signal = pin!(signals.next_ending());
    match select(select(signal, dead), acquire).await {
        Either::Left((Either::Left((signal, _)), _)) => Waited::Signal(signal),
        Either::Left((Either::Right(_), _)) => Waited::GuardDead,
        Either::Right((Ok(lease), _)) => Waited::Granted(Box::new(lease)),
        Either::Right((Err(e), _)) if e.kind() == ErrorKind::Busy => Waited::Busy(e),
        Either::Right((Err(e), _)) => Waited::Failed(e),
    }
}

/// Gives up the place, and a grant that may be under way; another signal ends the trying.
async fn abandon(context: &Context, client: &Client, plan: &Plan, signals: &mut Signals) {
    let given_up = pin!(client.abandon(&plan.key, &plan.lease_id));
    if matches!(select(given_up, pin!(signals.next_ending())).await, Either::Left((None, _))) {
        let key = &plan.key;
        context.voice.warn(&format!("{key} may have been granted and could not be given back; it runs out by itself"));
    }
}
