//! From the wait for the lease to the exit code.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, select};
use lockd::client::{AcquireOptions, Client, Lease};
use lockd::clock::{Clock, SystemClock};
use lockd::error::{Error, ErrorKind, Result};
use lockd::limits::KILL_SETTLE;
use lockd::service::LeaseService;

use super::ending::{self, Done};
use super::notice::{self, Waiting};
use super::plan::Plan;
use super::run::Run;
use super::{Setup, client, fault};
use crate::process::guard::Forked;
use crate::process::link::Link;
use crate::process::signals::Signals;
use crate::process::wire::ToGuard;

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
pub async fn session(setup: &Setup, plan: &Plan, forked: Forked) -> Result<Done> {
    let mut signals = Signals::listen().map_err(|e| fault("listen to signals", &e))?;
    let link = Link::attach(forked).map_err(|e| fault("talk to the guard", &e))?;
    let done = match connect(setup, &mut signals).await {
        Ok(Either::Left(service)) => hold(&client(service), plan, &link, &mut signals).await,
        Ok(Either::Right(signal)) => Ok(Done::interrupted_wait(signal)),
        Err(e) => Err(e),
    };
    let clock: &dyn Clock = &SystemClock;
    link.farewell(clock, clock.boot() + KILL_SETTLE).await;
    done
}

/// Opens the store, unless a signal comes first.
async fn connect(setup: &Setup, signals: &mut Signals) -> Result<Either<Arc<dyn LeaseService>, i32>> {
    match select(pin!(signals.next_ending()), (setup.connect)()).await {
        Either::Left((signal, _)) => Ok(Either::Right(signal)),
        Either::Right((service, _)) => service.map(Either::Left),
    }
}

async fn hold(client: &Client, plan: &Plan, link: &Link, signals: &mut Signals) -> Result<Done> {
    link.say(&ToGuard::Acquiring);
    let lease = match wait(client, plan, link, signals).await {
        Waited::Granted(lease) => *lease,
        Waited::Busy(e) => return Ok(ending::busy(plan, &e)),
        Waited::Failed(e) => return Err(e),
        Waited::Signal(signal) => {
            abandon(client, plan, signals).await;
            return Ok(Done::interrupted_wait(signal));
        }
        Waited::GuardDead => {
            abandon(client, plan, signals).await;
            let message = format!("the guard process was killed while exec waited for {}", plan.key);
            return Err(Error::new(ErrorKind::Internal, message).with_hint("nothing ran; start it again"));
        }
    };
    let (over, lease) = Run::new(plan, link, signals, lease).run().await;
    Ok(ending::settle(plan, over, lease).await)
}

/// Waits for the lease, until a signal or the end of the guard.
async fn wait(client: &Client, plan: &Plan, link: &Link, signals: &mut Signals) -> Waited {
    let notice = Waiting::new(&plan.key, plan.quiet);
    let options = AcquireOptions {
        key: plan.key.clone(),
        lease_id: plan.lease_id.clone(),
        ttl: plan.ttl,
        owner: plan.owner.clone(),
        reason: plan.reason.clone(),
        holder: plan.holder.clone(),
        wait: plan.wait,
        if_not_exists: false,
    };
    let acquire = pin!(client.acquire(options, |busy| notice.busy(busy)));
    let told = pin!(notice.after_a_while());
    let dead = pin!(async { while link.hear().await.is_some() {} });
    let signal = pin!(signals.next_ending());
    let disturbed = select(signal, select(dead, told));
    match select(disturbed, acquire).await {
        Either::Left((Either::Left((signal, _)), _)) => Waited::Signal(signal),
        Either::Left((Either::Right(_), _)) => Waited::GuardDead,
        Either::Right((Ok(lease), _)) => Waited::Granted(Box::new(lease)),
        Either::Right((Err(e), _)) if e.kind() == ErrorKind::Busy => Waited::Busy(e),
        Either::Right((Err(e), _)) => Waited::Failed(e),
    }
}

/// Gives up the place, and a grant that may be under way; another signal ends the trying.
async fn abandon(client: &Client, plan: &Plan, signals: &mut Signals) {
    let given_up = pin!(client.abandon(&plan.key, &plan.lease_id));
    if matches!(select(given_up, pin!(signals.next_ending())).await, Either::Left((None, _))) {
        notice::say(&format!("{} may have been granted and could not be given back; it runs out by itself", plan.key));
    }
}
