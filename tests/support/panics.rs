//! A task that panics takes only itself along; here it must not go unseen.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Forgets an earlier panic of this thread; the first call puts the watch in place.
pub fn forget() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            LAST.with(|last| *last.borrow_mut() = Some(info.to_string()));
            usual(info);
        }));
    });
    drop(take());
}

/// The last panic of this thread.
pub fn take() -> Option<String> {
    LAST.with(|last| last.borrow_mut().take())
}
