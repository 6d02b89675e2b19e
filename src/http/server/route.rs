//! The calls: paths, methods, lanes.

use hyper::Method;

use crate::http::wire::paths;

/// A call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Takes a lease.
    Acquire,
    /// Takes one for update.
    AcquireForUpdate,
    /// Extends one.
    Keepalive,
    /// Gives one back.
    Release,
    /// The state.
    Get,
    /// Replaces the state.
    Update,
    /// Removes it.
    Remove,
    /// Edits it.
    Mutate,
    /// What is known of a key.
    Describe,
    /// The keys of a namespace.
    List,
    /// The events of a key.
    Watch,
    /// Ends a lease by force.
    Break,
    /// Admits an effect.
    FenceAdmit,
    /// What it would be compared with.
    FenceCheck,
    /// Whether the process is alive.
    Health,
    /// Whether it can serve.
    Ready,
    /// Metrics.
    Metrics,
}

/// Which permits a call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// None.
    Free,
    /// Those of renewals and releases.
    Priority,
    /// Those of short calls.
    General,
    /// Those of calls that wait.
    Waiting,
    /// Those of transfers of states.
    Bulk,
}

/// Path, call, name in logs and metrics, whether POST and GET are taken, lane.
const CALLS: [(&str, Call, &str, bool, bool, Lane); 17] = [
    (paths::ACQUIRE, Call::Acquire, "acquire", true, false, Lane::Waiting),
    (paths::ACQUIRE_FOR_UPDATE, Call::AcquireForUpdate, "acquire_for_update", true, false, Lane::Waiting),
    (paths::KEEPALIVE, Call::Keepalive, "keepalive", true, false, Lane::Priority),
    (paths::RELEASE, Call::Release, "release", true, false, Lane::Priority),
    (paths::GET, Call::Get, "get", true, true, Lane::General),
    (paths::UPDATE, Call::Update, "update", true, false, Lane::Bulk),
    (paths::REMOVE, Call::Remove, "remove", true, false, Lane::General),
    (paths::MUTATE, Call::Mutate, "mutate", true, false, Lane::Bulk),
    (paths::DESCRIBE, Call::Describe, "describe", true, true, Lane::General),
    (paths::LIST, Call::List, "list", false, true, Lane::General),
    (paths::WATCH, Call::Watch, "watch", false, true, Lane::Waiting),
    (paths::BREAK, Call::Break, "break", true, false, Lane::Waiting),
    (paths::FENCE_ADMIT, Call::FenceAdmit, "fence_admit", true, false, Lane::General),
    (paths::FENCE_CHECK, Call::FenceCheck, "fence_check", false, true, Lane::General),
    (paths::HEALTHZ, Call::Health, "healthz", false, true, Lane::Free),
    (paths::READYZ, Call::Ready, "readyz", false, true, Lane::Free),
    (paths::METRICS, Call::Metrics, "metrics", false, true, Lane::Free),
];

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// This.
    Call(Call),
    /// A call by a method that it does not take.
    WrongMethod(Call),
    /// No call.
    Unknown,
}

/// Finds the call of a request.
#[must_use]
pub fn route(method: &Method, path: &str) -> Route {
    let Some((_, call, _, post, get, _)) = CALLS.iter().find(|row| row.0 == path) else { return Route::Unknown };
    let taken = (*post && *method == Method::POST) || (*get && *method == Method::GET);
    if taken { Route::Call(*call) } else { Route::WrongMethod(*call) }
}

impl Call {
    fn row(self) -> (&'static str, bool, bool, Lane) {
        let found = CALLS.iter().find(|row| row.1 == self);
        found.map_or(("", false, false, Lane::General), |(_, _, name, post, get, lane)| (name, *post, *get, *lane))
    }

    /// Its name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The methods that it takes, as the header `Allow` has them.
    #[must_use]
    pub fn allow(self) -> &'static str {
        match self.row() {
            (_, true, true, _) => "POST, GET",
            (_, true, false, _) => "POST",
            _ => "GET",
        }
    }

    /// Its lane.
    #[must_use]
    pub fn lane(self) -> Lane {
        self.row().3
    }

    /// Whether it grants leases.
    #[must_use]
    pub fn grants(self) -> bool {
        matches!(self, Self::Acquire | Self::AcquireForUpdate)
    }

    /// Whether it looks after the server itself: answered also where there is no room for more.
    #[must_use]
    pub fn is_health(self) -> bool {
        self.lane() == Lane::Free
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_one_row_and_methods_are_told_apart() {
        for (i, (path, call, name, ..)) in CALLS.iter().enumerate() {
            assert!(CALLS[..i].iter().all(|row| row.0 != *path && row.1 != *call && row.2 != *name), "{name}");
        }
        assert_eq!(route(&Method::POST, "/v1/acquire"), Route::Call(Call::Acquire));
        assert_eq!(route(&Method::GET, "/v1/acquire"), Route::WrongMethod(Call::Acquire));
        assert_eq!(route(&Method::GET, "/v1/get"), Route::Call(Call::Get));
        assert_eq!(route(&Method::PUT, "/v1/get"), Route::WrongMethod(Call::Get));
        assert_eq!(route(&Method::GET, "/v1/acquire/"), Route::Unknown);
        assert_eq!((Call::Get.allow(), Call::Acquire.allow(), Call::List.allow()), ("POST, GET", "POST", "GET"));
    }
}
