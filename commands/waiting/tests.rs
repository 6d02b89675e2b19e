use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lockd::clock::BootTime;
use lockd::entropy::KernelEntropy;
use lockd::error::{Details, Error, ErrorKind};
use lockd::model::{FencingToken, Holder, LeaseId, Namespace, Owner, Ttl};
use lockd::service::{
    AcquireRequest, BreakRequest, Broke, ChangeRequest, Changed, Description, Expected, Fence, FenceRequest, ForUpdate,
    Grant, LeaseService, ListRequest, Listed, OnDisconnect, Proof, Released, Renewed, State, Wait, Watched,
};
use lockd::store::ByteStream;

use super::*;
use ErrorKind::{Draining, OutcomeUnknown, Unavailable};

/// A clock that goes on when everybody waits: tokio's, paused.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

#[async_trait]
impl Clock for Paused {
    fn boot(&self) -> BootTime {
        BootTime(0) + self.0.elapsed()
    }

    fn wall(&self) -> UnixMillis {
        UnixMillis(u64::try_from(self.0.elapsed().as_millis()).unwrap())
    }

    fn boot_id(&self) -> Option<&str> {
        None
    }

    #[expect(clippy::disallowed_methods, reason = "under paused time this passes at once")]
    async fn sleep_until(&self, until: BootTime) {
        tokio::time::sleep(until.since(self.boot())).await;
    }
}

/// A key that somebody else holds for ever, asked of a server that may be away.
#[derive(Debug)]
struct Held {
    clock: Arc<Paused>,
    asked: AtomicUsize,
    /// What the next calls fail with; the rest hear who holds it.
    away: Mutex<VecDeque<Option<ErrorKind>>>,
    given_up: AtomicUsize,
}

impl Held {
    fn new(clock: &Arc<Paused>, away: &[Option<ErrorKind>]) -> Arc<Self> {
        let away = Mutex::new(away.iter().copied().collect());
        Arc::new(Self { clock: Arc::clone(clock), asked: AtomicUsize::new(0), away, given_up: AtomicUsize::new(0) })
    }
}

fn busy() -> Busy {
    Busy {
        lease_id: LeaseId::new("theirs").unwrap(),
        token: FencingToken(1),
        owner: Owner::new("them\x1b").unwrap(),
        reason: None,
        holder: Holder { pid: Some(7), command: Some("pg_dump".to_owned()), ..Holder::default() },
        since: UnixMillis(0),
        ttl: Ttl::default(),
        frees_in: Duration::from_secs(9),
        place: Some(2),
    }
}

#[async_trait]
impl LeaseService for Held {
    async fn acquire(&self, request: AcquireRequest) -> Result<Grant> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        assert_eq!(request.lease_id.as_str(), "ours");
        if let Some(Some(kind)) = self.away.lock().unwrap().pop_front() {
            return Err(Error::new(kind, "no answer"));
        }
        if let Wait::For(wait) = request.wait {
            (&*self.clock as &dyn Clock).sleep(wait).await;
        }
        let details = Details { busy: Some(Box::new(busy())), ..Details::default() };
        Err(Error::new(ErrorKind::Busy, "k is held by them").with_details(details))
    }

    async fn acquire_for_update(&self, _: AcquireRequest, _: OnDisconnect) -> Result<ForUpdate> {
        unreachable!("nobody asks for it")
    }

    async fn keepalive(&self, _: &Key, _: &Proof, _: Ttl) -> Result<Renewed> {
        unreachable!("nothing is ever granted")
    }

    async fn release(&self, _: &Key, _: &LeaseId, _: Option<&Proof>, _: bool) -> Result<Released> {
        self.given_up.fetch_add(1, Ordering::SeqCst);
        Ok(Released::Fenced)
    }

    async fn release_after_success(&self, _: &Key, _: &Proof, _: UnixMillis) -> Result<Released> {
        unreachable!("nothing is ever granted")
    }

    async fn get(&self, _: &Key, _: Option<&Proof>) -> Result<Option<State>> {
        unreachable!("nothing is ever read")
    }

    async fn update(&self, _: ChangeRequest, _: Expected, _: ByteStream) -> Result<Changed> {
        unreachable!("nothing is ever granted")
    }

    async fn remove(&self, _: ChangeRequest) -> Result<Changed> {
        unreachable!("nothing is ever granted")
    }

    async fn describe(&self, _: &Key) -> Result<Description> {
        unreachable!("nothing is ever read")
    }

    async fn break_lease(&self, _: BreakRequest) -> Result<Broke> {
        unreachable!("nothing is ever broken")
    }

    fn list<'a>(&'a self, _: &'a ListRequest) -> BoxStream<'a, Result<Listed>> {
        unreachable!("nothing is ever listed")
    }

    fn watch<'a>(&'a self, _: &'a Key) -> BoxStream<'a, Result<Watched>> {
        unreachable!("nothing is ever watched")
    }

    async fn fence_admit(&self, _: FenceRequest) -> Result<Fence> {
        unreachable!("nothing is ever admitted")
    }

    async fn fence_check(&self, _: FenceRequest) -> Result<Fence> {
        unreachable!("nothing is ever admitted")
    }

    async fn close(&self) {}
}

fn options(wait: Option<Duration>) -> AcquireOptions {
    AcquireOptions {
        key: Key::new(Namespace::default(), "k").unwrap(),
        lease_id: LeaseId::new("ours").unwrap(),
        ttl: Ttl::default(),
        owner: Owner::new("us").unwrap(),
        reason: None,
        holder: Holder::default(),
        wait,
        if_not_exists: false,
    }
}

/// When something was said, in seconds, while waiting for so long.
async fn said(watched: bool, wait: Duration) -> Vec<u64> {
    let clock = Arc::new(Paused(tokio::time::Instant::now()));
    let service = Held::new(&clock, &[]);
    let client = Client::new(Arc::clone(&service) as _, Arc::clone(&clock) as _, Arc::new(KernelEntropy));
    let options = options(Some(wait));
    let times = RefCell::new(Vec::new());
    let say = |message: &str| {
        assert!(message.starts_with("waiting for k, held by them\\u{1b} pid 7 (pg_dump) for "), "{message}");
        assert!(message.ends_with("; we are number 2 in the queue"), "{message}");
        times.borrow_mut().push(clock.0.elapsed().as_secs());
    };
    let error = announced(&*clock, watched, say, &client, options).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(service.asked.load(Ordering::SeqCst) > 0);
    times.into_inner()
}

#[tokio::test(start_paused = true)]
async fn a_wait_says_so_at_once_to_people_and_after_two_seconds_to_logs() {
    let minutes = Duration::from_secs(150);
    assert_eq!(said(true, minutes).await, [0, 60, 120]);
    assert_eq!(said(false, minutes).await, [2, 62, 122]);
    assert_eq!(said(false, Duration::from_secs(1)).await, [0; 0], "a short wait is silent");
    assert_eq!(said(true, Duration::ZERO).await, [0; 0], "who does not wait hears only the error");
}

/// A wait over a server that fails so: its end, how often it asked and gave up, and what it said, in how many seconds.
async fn waited(
    wait: Option<Duration>,
    away: &[Option<ErrorKind>],
) -> (ErrorKind, usize, usize, Vec<String>, Duration) {
    let clock = Arc::new(Paused(tokio::time::Instant::now()));
    let service = Held::new(&clock, away);
    let client = Client::new(Arc::clone(&service) as _, Arc::clone(&clock) as _, Arc::new(KernelEntropy));
    let said = RefCell::new(Vec::new());
    let say = |message: &str| said.borrow_mut().push(message.to_owned());
    let error = announced(&*clock, true, say, &client, options(wait)).await.err().unwrap();
    let count = |counter: &AtomicUsize| counter.load(Ordering::SeqCst);
    (error.kind(), count(&service.asked), count(&service.given_up), said.into_inner(), clock.0.elapsed())
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_over_the_restart_of_its_server_and_says_so() {
    let away = [None, Some(Draining), Some(Unavailable), Some(OutcomeUnknown), Some(Unavailable), None];
    let (end, asked, given_up, said, took) = waited(Some(Duration::from_secs(30)), &away).await;
    assert_eq!(asked, 7, "until its time was over: {said:?}");
    assert_eq!(end, OutcomeUnknown, "that it is busy now does not speak for the try that was in doubt");
    assert_eq!(given_up, 1, "a late grant of the try that was in doubt holds nobody up");
    assert!(took >= Duration::from_secs(30) && took < Duration::from_secs(31), "{took:?}");
    let kinds: Vec<bool> =
        said.iter().map(|message| message.contains("asking again until there is an answer")).collect();
    assert_eq!(kinds, [true, false], "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_over_a_server_that_stays_away_ends_in_its_time_with_what_is_known() {
    let away = |kinds: &[ErrorKind]| {
        let first = [None].into_iter().chain(kinds.iter().copied().map(Some));
        first.chain(std::iter::repeat_n(Some(Unavailable), 100)).collect::<Vec<_>>()
    };
    for (kinds, end) in [(&[][..], Unavailable), (&[OutcomeUnknown][..], OutcomeUnknown)] {
        let (ended, asked, given_up, _, took) = waited(Some(Duration::from_secs(20)), &away(kinds)).await;
        assert_eq!((ended, given_up), (end, usize::from(end == OutcomeUnknown)));
        assert!((10..40).contains(&asked), "{asked} tries in 20 s");
        assert!(took >= Duration::from_secs(20) && took < Duration::from_secs(21), "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_a_server_that_was_not_there_at_first() {
    for wait in [None, Some(Duration::from_secs(9))] {
        assert_eq!(waited(wait, &[Some(Unavailable)]).await.1, 1);
        assert_eq!(waited(wait, &[Some(Draining)]).await.0, Draining);
        // What may have been granted is asked for once more.
        let (end, asked, given_up, ..) = waited(wait, &[Some(OutcomeUnknown), Some(Unavailable)]).await;
        assert_eq!((end, asked, given_up), (OutcomeUnknown, 2, 1));
    }
    // Who does not wait asks once.
    for kind in [Unavailable, Draining, OutcomeUnknown] {
        let (end, asked, given_up, ..) = waited(Some(Duration::ZERO), &[Some(kind)]).await;
        assert_eq!((end, asked, given_up), (kind, 1, usize::from(kind == OutcomeUnknown)));
    }
}
