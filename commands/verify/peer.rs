//! `--peer`: two hosts run this at the same time, meet through the store, and race each other.

use lockd::store::Store;
use lockd::store::conformance::{Flaw, NOT_A_STORE, Report, Scratch, peer as meeting};
use lockd::store::disk::names;
use lockd::store::open::StoreUrl;

use super::super::{identity, text};
use super::job::{Job, Leave};

/// The namespace in which they meet.
const NAMESPACE: &str = "verify-peers";

/// Meets and races. The side that came first removes the place afterwards, when all went well; otherwise whoever notices does.
pub async fn check(job: &Job<'_>, store: &Store) -> Leave {
    const ID: &str = "peer";
    const ALONE: &str =
        "run the same command on the other host at the same time; remove what a killed one left, if need be";
    let nobody_else = match job.url {
        StoreUrl::Memory => Some("memory is in this process: nobody else can come"),
        StoreUrl::Lsm(_) => Some("one process at a time uses an lsm:// store: nobody else can come"),
        StoreUrl::Disk(_) | StoreUrl::S3 { .. } | StoreUrl::Azure { .. } => None,
    };
    if let Some(why) = nobody_else {
        job.board.add(Report::fail(ID, why, "name a store that hosts share"));
        return Leave::Remove;
    }
    let scratch = Scratch::shared(store, &*job.context.clock, &*job.context.entropy, NAMESPACE);
    let url = text::shown(&job.place.url);
    job.context.voice.note(&format!("waiting for the other host: run there `lockd verify store --peer {url}`"));
    job.board.doing("waiting for the other host");
    let name = identity::caller().host.unwrap_or_else(|| "a host without a name".to_owned());
    let mut peer = match meeting::meet(&scratch, &name).await {
        Ok(peer) => peer,
        Err(why) => {
            job.board.add(Report::from_seen(ID, Err(why), ALONE));
            return Leave::Remove;
        }
    };
    job.board.add(Report::ok(ID, format!("met {} through the store", text::shown(&peer.other))));
    match race(job, &mut peer).await {
        Ok(()) if peer.part_company().await.is_ok() && !peer.is_first() => Leave::AsItIs,
        _ => Leave::Remove,
    }
}

/// All races; the first one that is lost ends them, since the two sides are out of step then.
async fn race(job: &Job<'_>, peer: &mut meeting::Peer<'_>) -> Result<(), ()> {
    let add = |id, clause, seen: Result<String, Flaw>| {
        let lost = seen.is_err();
        job.board.add(Report::from_seen(id, seen, NOT_A_STORE).of(clause));
        if lost { Err(()) } else { Ok(()) }
    };
    job.board.doing("the other host writes, and this one looks");
    add("peer-sees", "R3", peer.sees_writes().await)?;
    if let Some(directory) = job.directory() {
        job.board.doing("both hosts make and link names");
        add("peer-names", "R2", names::with_peer(peer, &directory).await)?;
    }
    job.board.doing("both hosts race to create");
    add("peer-creates", "R2", peer.creates().await)?;
    job.board.doing("both hosts race to swap");
    add("peer-swaps", "R2", peer.swaps().await)?;
    job.board.doing("both hosts count together");
    add("peer-count", "R2", peer.counts().await)
}
