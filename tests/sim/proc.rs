//! A process: a runtime of its own, run until it has nothing to do, paused by not running it, crashed by dropping it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::runtime::{Builder, Runtime};

use super::time::Nanos;

pub struct Proc {
    runtime: Runtime,
    idle: Arc<Idle>,
    pub host: usize,
    pub paused_until: Option<Nanos>,
    /// Set by the main task of a command when it is done.
    pub done: Arc<AtomicBool>,
    /// The script that waits for this command.
    pub script: Option<usize>,
}

#[derive(Default)]
struct Idle {
    reached: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl Proc {
    pub fn new(host: usize, script: Option<usize>) -> Self {
        let idle = Arc::new(Idle::default());
        let hook = Arc::clone(&idle);
        // Called when no task of the runtime is ready: the one place where it would block the thread.
        let runtime = Builder::new_current_thread()
            .on_thread_park(move || {
                hook.reached.store(true, Ordering::Relaxed);
                if let Some(waker) = hook.waker.lock().unwrap().take() {
                    waker.wake();
                }
            })
            .build()
            .unwrap();
        Self { runtime, idle, host, paused_until: None, done: Arc::default(), script }
    }

    pub fn spawn(&self, main: impl Future<Output = ()> + Send + 'static) {
        let done = Arc::clone(&self.done);
        self.runtime.spawn(async move {
            main.await;
            done.store(true, Ordering::Relaxed);
        });
    }

    /// A task that runs as long as the process.
    pub fn spawn_worker(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(work);
    }

    /// Runs every task until none is ready.
    pub fn run(&self) {
        self.idle.reached.store(false, Ordering::Relaxed);
        self.runtime.block_on(UntilIdle(&self.idle));
    }
}

struct UntilIdle<'a>(&'a Idle);

impl Future for UntilIdle<'_> {
    type Output = ();
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.0.reached.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        *self.0.waker.lock().unwrap() = Some(cx.waker().clone());
        Poll::Pending
    }
}
