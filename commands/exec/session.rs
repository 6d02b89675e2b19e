//! From the wait for the leases to the exit code.

use std::pin::pin;
use std::sync::Arc;

use futures_util::future::{Either, join, join_all, select};
use lockd::client::Client;
use lockd::clock::UnixMillis;
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
use super::held::Held;
use super::plan::{Plan, is_enough};
use super::report::Tally;
use super::run::Run;
use super::state_file::{Before, StateFile};

/// All that one exec works with, once its guard is there.
pub struct Scene<'a> {
    /// Settings, clocks and standard error.
    pub context: &'a Context,
    /// What was asked for.
    pub plan: &'a Plan,
    /// The leases' service.
    pub client: &'a Client,
    /// The guard.
    pub link: &'a Link,
    /// Signals that reach exec.
    pub signals: &'a mut Signals,
    /// The file of the command's own, when it gets one.
    pub state_file: Option<&'a mut StateFile>,
    /// What is counted on the way.
    pub tally: &'a mut Tally,
}

/// What may come before work is done.
pub enum Disturbed {
    /// A signal that ends a wait.
    Signal(i32),
    /// The guard was killed.
    GuardDead,
    /// A lease that is held already was lost.
    Lost(Arc<Error>),
}

/// Takes the leases, runs the command under them and gives them back.
///
/// # Errors
/// What was wrong before the command ran.
pub async fn session(context: &Context, plan: &Plan, forked: Forked, tally: &mut Tally) -> Result<Done> {
    let mut signals = Signals::listen().map_err(|e| fault("listen to signals", &e))?;
    let link = Link::attach(forked).map_err(|e| fault("talk to the guard", &e))?;
    let clock = &*context.clock;
    let farewell = |link: Link| link.farewell(clock, clock.boot() + KILL_SETTLE);
    // Once there is a guard, so that it takes the file away however this process ends.
    let mut state_file = match plan.state_file.as_deref().map(StateFile::make).transpose() {
        Ok(state_file) => state_file,
        Err(e) => {
            farewell(link).await;
            return Err(e);
        }
    };
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
        Either::Right(Ok(session)) => {
            let client = &session.client;
            let (signals, file) = (&mut signals, state_file.as_mut());
            let done = Scene { context, plan, client, link: &link, signals, state_file: file, tally }.hold().await;
            drop(state_file);
            // Nothing is held any more: the guard has no part in what is left to tidy, and ends beside it.
            join(client.service().close(), farewell(link)).await;
            return done;
        }
    };
    drop(state_file);
    farewell(link).await;
    done
}

impl Scene<'_> {
    async fn hold(mut self) -> Result<Done> {
        self.refuse_own_key().await?;
        if let Some(done) = self.was_done_before().await? {
            return Ok(done);
        }
        self.link.say(&ToGuard::Acquiring);
        self.tally.asked = Some(self.context.clock.boot());
        let mut held = Held::default();
        if let Err(done) = self.take_all(&mut held).await {
            return done;
        }
        self.tally.granted = Some(self.context.clock.boot());
        self.tally.token = held.of(self.plan.key()).map(|lease| lease.token);
        let last_success = held.of(self.plan.key()).and_then(|lease| lease.last_success);
        if self.is_recent(last_success) {
            ending::release(self.context, held, None, false).await;
            return Ok(ending::done_before(self.context, self.plan));
        }
        let before = match self.fill_state_file(&mut held).await {
            Ok(Ok(before)) => before,
            Ok(Err(e)) => {
                ending::release(self.context, held, None, false).await;
                return Err(e);
            }
            Err(disturbed) => return self.give_up(held, None, disturbed).await,
        };
        let over = Run::new(self.plan, self.link, self.signals, &mut held).run().await;
        self.tally.status = over.status;
        Ok(ending::settle(&mut self, over, held, before).await)
    }

    /// Taking a key inside a command that holds it would wait for ever. Whether the lease in the environment still stands
    /// is what the store says of it: a random id is in no other store, however that is spelled.
    async fn refuse_own_key(&self) -> Result<()> {
        for options in &self.plan.takes {
            let key = &options.key;
            if self.plan.variables.around(key).next().is_none() {
                continue;
            }
            let held = self.client.service().describe(key).await?.held;
            let ours = held.is_some_and(|busy| self.plan.variables.around(key).any(|id| id == busy.lease_id.as_str()));
            if ours {
                let message = format!("{key} is held by a lease in the environment, under which this command runs");
                return Err(Error::new(ErrorKind::Usage, message)
                    .with_hint("leave `lockd exec` out here; or give the lease back first, with `lockd release`"));
            }
        }
        Ok(())
    }

    /// With `--once-per`: nobody needs to wait for a key whose work is done.
    async fn was_done_before(&self) -> Result<Option<Done>> {
        if self.plan.once_per.is_none() {
            return Ok(None);
        }
        let known = self.client.service().describe(self.plan.key()).await?;
        Ok(self.is_recent(known.last_success).then(|| ending::done_before(self.context, self.plan)))
    }

    fn is_recent(&self, began: Option<UnixMillis>) -> bool {
        let now = self.context.clock.wall();
        self.plan.once_per.zip(began).is_some_and(|(span, began)| is_enough(span, began, now))
    }

    /// Takes one lease after the other, renewing those that it has; the wait is for all of them together.
    async fn take_all(&mut self, held: &mut Held) -> Result<(), Result<Done>> {
        let (context, plan, client) = (self.context, self.plan, self.client);
        let clock = &*context.clock;
        let until = plan.wait.map(|wait| clock.boot() + wait);
        for (n, options) in plan.takes.iter().enumerate() {
            let mut options = options.clone();
            options.wait = until.map(|until| until.since(clock.boot()));
            let taken = self.undisturbed(held, waiting::acquire(context, client, options)).await;
            match taken {
                Ok(Ok(lease)) => held.push(lease),
                Ok(Err(e)) => {
                    ending::release(context, std::mem::take(held), None, false).await;
                    return Err(if e.kind() == ErrorKind::Busy { Ok(ending::busy(context, plan, &e)) } else { Err(e) });
                }
                Err(disturbed) => return Err(self.give_up(std::mem::take(held), Some(n), disturbed).await),
            }
            if n + 1 < plan.takes.len() {
                held.keep_alive();
            }
        }
        Ok(())
    }

    async fn fill_state_file(&mut self, held: &mut Held) -> Result<Result<Option<Before>>, Disturbed> {
        let (Some(file), Some(lease)) = (self.state_file.take(), held.of(self.plan.key())) else { return Ok(Ok(None)) };
        let (key, proof, version) = (lease.key.clone(), lease.proof(), lease.version);
        held.keep_alive();
        let service = self.client.service();
        let filled = self.undisturbed(held, file.fill(&**service, &key, &proof, version)).await;
        self.state_file = Some(file);
        filled.map(|before| before.map(Some))
    }

    /// Does something until it is done, or a signal, the end of the guard or the loss of a lease comes.
    pub async fn undisturbed<T>(&mut self, held: &mut Held, work: impl Future<Output = T>) -> Result<T, Disturbed> {
        let link = self.link;
        let dead = pin!(async { while link.hear().await.is_some() {} });
        let signal = pin!(self.signals.next_ending());
        let lost = pin!(held.until_lost());
        match select(select(signal, dead), select(lost, pin!(work))).await {
            Either::Left((Either::Left((signal, _)), _)) => Err(Disturbed::Signal(signal)),
            Either::Left((Either::Right(_), _)) => Err(Disturbed::GuardDead),
            Either::Right((Either::Left((why, _)), _)) => Err(Disturbed::Lost(why)),
            Either::Right((Either::Right((done, _)), _)) => Ok(done),
        }
    }

    /// Gives back what is held and, when the `nth` key was being asked for, what may have been granted meanwhile; another
    /// signal ends the trying. Nothing has run.
    async fn give_up(&mut self, held: Held, nth: Option<usize>, why: Disturbed) -> Result<Done> {
        let lost = matches!(why, Disturbed::Lost(_));
        let asked: Vec<_> = nth.map(|n| &self.plan.takes[n]).into_iter().collect();
        let abandoned =
            join_all(asked.iter().map(|options| self.client.abandon_in_a_hurry(&options.key, &options.lease_id)));
        let given_up = pin!(join(ending::release(self.context, held, None, lost), abandoned));
        let all_back = match select(given_up, pin!(self.signals.next_ending())).await {
            Either::Left(((_, answers), _)) => answers.iter().all(Option::is_some),
            Either::Right(_) => false,
        };
        if !all_back {
            let key = asked.first().map_or(self.plan.key(), |options| &options.key);
            let message = format!("{key} may have been granted and could not be given back; it runs out by itself");
            self.context.voice.warn(&message);
        }
        match why {
            Disturbed::Signal(signal) => Ok(Done::interrupted_wait(signal)),
            Disturbed::Lost(why) => Err(ending::lost_before(&why)),
            Disturbed::GuardDead => {
                let message = format!("the guard process was killed while exec waited for {}", self.plan.shown_keys());
                Err(Error::new(ErrorKind::Internal, message).with_hint("nothing ran; start it again"))
            }
        }
    }
}
