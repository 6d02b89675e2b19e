//! Switches that break one rule of the code at a time, so that the simulation can show that it would notice. Compiled to
//! `false` without the feature `mutants`, which no build that is used has; with it, off until a test turns one on, for its
//! own thread.

macro_rules! mutants {
    (
        $($(#[doc = $doc:literal])* $name:ident,)*
        ; $($(#[doc = $dir_doc:literal])* $dir_name:ident,)*
        ; $($(#[doc = $lsm_doc:literal])* $lsm_name:ident,)*
        ; $($(#[doc = $served_doc:literal])* $served_name:ident,)*
    ) => {
        /// A rule that is broken, named by how.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Mutant {
            $($(#[doc = $doc])* $name,)*
            $($(#[doc = $dir_doc])* $dir_name,)*
            $($(#[doc = $lsm_doc])* $lsm_name,)*
            $($(#[doc = $served_doc])* $served_name,)*
        }

        impl Mutant {
            /// Those of the engine and the client, on whatever store.
            pub const ENGINE: &[Self] = &[$(Self::$name,)*];
            /// Those of the directory store.
            pub const DIRECTORY: &[Self] = &[$(Self::$dir_name,)*];
            /// Those of the `lsm` store.
            pub const LSM: &[Self] = &[$(Self::$lsm_name,)*];
            /// Those of servers, with the engine behind them, and of their clients.
            pub const SERVER: &[Self] = &[$(Self::$served_name,)*];
        }
    };
}

mutants! {
    /// A holder counts its deadline from the answer, not from before the first send.
    DeadlineAtResponse,
    /// A contender counts the age from before its read was sent, not from after the reply.
    ObserveAtSend,
    /// A holder believes for the whole TTL, without a margin.
    HolderTakesAll,
    /// A grant that came late is worked under without a renewal.
    NoRenewalAtStart,
    /// A grant that waited is believed in before it was confirmed.
    UnconfirmedBelieved,
    /// A machine that was paused does not renew at once.
    PauseHintIgnored,
    /// A knock counts as a sign of life of the lease that it asks for.
    KnockIsSignOfLife,
    /// Whoever gives an acquire up sends nothing.
    AbandonSendsNothing,
    /// A holder goes on believing while its release is under way.
    BelieveDuringRelease,
    /// A put without an answer is called failed.
    UnknownIsFailed,
    /// What became of a put is not looked for: it is stepped again under a new write id.
    NoReadback,
    /// A put that the memory of writes does not reach back to is called not applied.
    RingOverrunIsFailed,
    /// A certain refusal of a second send is believed while the first may be under way.
    FailedAfterUnknown,
    /// A put of a silent store is called not applied.
    SilentIsFailed,
    /// After the memory of writes was overrun somebody is told that a repeat is safe.
    OverrunIsSafeToRepeat,
    /// A put found applied is stepped again instead of answered.
    FoundIsSteppedAgain,
    /// A grant found applied, but ended and forgotten since, is answered by a refusal.
    FoundForgottenIsRefused,
    /// After a put that could not be accounted for a refusal is still called a refusal.
    RefusalAfterDoubt,
    /// Every record is written under the same write id.
    WriteIdRepeats,
    /// A put that is given up is not killed.
    NoKill,
    /// A kill that lost is called a kill that won.
    KillLostIsFailed,
    /// A put is sent for a client that has gone.
    GoneClientServed,
    /// A grant whose client has gone is kept.
    ClientGoneGrantKept,
    /// A refusal is made from a cached record.
    RefusalFromCache,
    /// An update that met another version is applied all the same.
    UpdateUnbound,
    /// A stamp of another boot is believed.
    ForeignBootBelieved,
    /// The wall clock says how old a sign of life is.
    WallClockBelieved,
    /// A holder whose process is gone is taken for dead.
    DeadPidBelieved,
    /// Every write makes a lease young again, not only a sign of life.
    AgeOfAnyWrite,
    /// The store's clock is believed up to 10 s.
    StoreClockTrusted,
    /// A note about another write is believed.
    NoteOfAnyWrite,
    /// A note of another boot is believed.
    NoteOfAnyBoot,
    /// A takeover is tried at 1.0 x TTL.
    TakeoverEarly,
    /// A waiter waits for a change only, not for the time of a takeover.
    WaiterForgetsTakeover,
    /// A renewal is no sign of life.
    BeatStandsStill,
    /// A renewal keeps the stamp of the beat before.
    OldStampKept,
    /// A late renewal, update or commit is refused before anybody wrote the end of the lease.
    LateIsRefused,
    /// A renewal may shorten the TTL.
    TtlFalls,
    /// A renewal flushes the memory of requests.
    RenewalFlushesDone,
    /// A new grant has the old token.
    TokenStandsStill,
    /// A repeated acquire gets another token.
    ReplayIsNewGrant,
    /// An ended lease id is granted again.
    EndedGrantedAgain,
    /// A change is accepted whatever proof is shown.
    WriteIgnoresToken,
    /// A proof with another token is accepted.
    ForeignTokenAccepted,
    /// A proof with another transaction is accepted.
    ForeignTxnAccepted,
    /// A change past the transaction is accepted while something is staged.
    MissingTxnAccepted,
    /// A change in a transaction is committed at once.
    TransactionIgnored,
    /// A takeover commits what was staged.
    TakeoverCommitsStaged,
    /// A request id is accepted again for something else.
    ReusedIdAccepted,
    /// A repeated release is told that there was nothing to release.
    ReleaseReplayIsGone,
    /// A release deletes the record.
    DeleteOnRelease,
    /// A discarded version is given out again.
    VersionsReused,
    /// A commit whose change was dropped before is answered like any release.
    LostCommitIsSuccess,
    /// The collector deletes what is about to be published under a later lease.
    CollectorIgnoresToken,
    /// The collector deletes what is about to be published under the present lease.
    CollectorIgnoresLease,
    /// Nobody collects.
    NobodyCollects,
    /// The blob before the present one is not kept for readers.
    PreviousForgotten,
    /// What is read is not compared with its hash.
    HashUnchecked,
    /// A blob is deleted after its publication was left unknown.
    DeleteAfterUnknown,

    ; // Below: in a directory.

    /// The floor is read before the temporary file is made, not once it is durable.
    FloorReadFirst,
    /// A revision is linked although its content was not synced.
    ContentNotSynced,
    /// The directory is not synced between link and answer.
    NoSyncAfterLink,
    /// The directory is not synced after a link that failed or only says so.
    NoSyncAfterFailedLink,
    /// The link count of the temporary file is the verdict.
    LinkCountIsVerdict,
    /// After an unclear link the look comes before the right to publish is taken away.
    LookBeforeUnlink,
    /// After an unclear link the directory is not opened anew.
    OldViewTrusted,
    /// After an unclear link "absent" means "not applied", also behind the floor.
    AbsentIsNotApplied,
    /// After an unclear link the floor is read before the look.
    FloorReadBeforeLook,
    /// Another send has the temporary name of the one before.
    TempNameReused,
    /// A file that cannot be opened is taken for absent.
    ErrorIsAbsent,
    /// The last revision found is the head, whatever the floor says.
    HeadFloorUnchecked,
    /// The highest name of a listing is the head.
    ListingIsHead,
    /// A revision of link count 2 is served without a sync of the directory.
    TwoLinksServed,
    /// What a listing names and a lookup denies has vanished.
    DeniedIsVanished,
    /// What a process learned while it looked is proof that something vanished.
    SeenAfterLook,
    /// Parents are not synced on a first write.
    ParentsNotSynced,
    /// After a failed sync the store is used as before.
    DistrustForgotten,
    /// Revisions are pruned while temporary files stay.
    TempsNotPruned,
    /// A temporary file that cannot be removed does not end a prune.
    TempLeftIgnored,
    /// What a network client renamed instead of removing it counts for nothing.
    SillyIgnored,
    /// The floor is set to what a pruner reckoned, also where it stood higher.
    FloorReplaced,
    /// The floor is not synced before the prune.
    FloorNotSynced,
    /// Temporary files go, and the floor is raised, by a head that was only listed, and not made durable.
    SweepWithoutSync,
    /// Temporary files above the head are swept too.
    SweepAboveHead,
    /// A blob is linked although its content was not synced.
    BlobNotSynced,

    ; // Below: in an embedded key-value store.

    /// A put is answered before the sync of its batch.
    AnsweredBeforeSync,
    /// A conflict is told before the sync of the batch that it may be due to.
    ConflictBeforeSync,
    /// A put is checked against the tree only, not against what its batch holds already.
    BatchUnchecked,
    /// After a failed commit the store is used as before.
    FailedCommitForgotten,

    ; // Below: in servers and their clients.

    /// A server renews what its clients hold.
    ServerRenews,
    /// A waiter whose connection is gone is granted the key.
    VanishedWaiterGranted,
    /// A grant that its client never confirmed is kept.
    UnconfirmedKept,
    /// A release is answered before it is written.
    ReleaseAnsweredFirst,
    /// A client calls failed what a server may have done that gave no answer.
    DoubtForgotten,
}

/// Whether this rule is broken now.
#[cfg(not(feature = "mutants"))]
#[must_use]
pub const fn on(_: Mutant) -> bool {
    false
}

/// Work for another thread, under the mutant of this one.
#[cfg(not(feature = "mutants"))]
pub fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    work
}

#[cfg(feature = "mutants")]
pub use switch::{inherited, on, turn};

#[cfg(feature = "mutants")]
mod switch {
    use std::cell::Cell;

    use super::Mutant;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Whether this rule is broken now, in this thread.
    #[must_use]
    pub fn on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }

    /// Work for another thread, under the mutant of this one.
    pub fn inherited<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
        let mutant = ON.get();
        move || {
            let before = ON.replace(mutant);
            let done = work();
            ON.set(before);
            done
        }
    }

    /// Breaks a rule in this thread, or none.
    pub fn turn(mutant: Option<Mutant>) {
        ON.set(mutant);
    }
}
