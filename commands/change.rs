//! A change under a lease: the one in the environment, or one that is taken for the moment of the change.

use lockd::error::Result;
use lockd::model::{Key, RequestId, StateEtag, Version};
use lockd::service::{ChangeRequest, Changed, Guards, LeaseService, Proof};
use serde::Serialize;

use super::acquire::{self, Asking};
use super::context::{Context, Session, usage};
use super::interrupt::{self, Either};
use super::output::{self, Format};
use super::patience::Patience;
use super::target::Need;
use super::{proof, waiting};

/// Flags of every command that changes a state.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct ChangeArgs {
    /// Change it only when its version is this one
    #[arg(long, value_name = "N", help_heading = "Compare and swap")]
    pub if_version: Option<String>,
    /// Change it only when its ETag is this one
    #[arg(long, value_name = "ETAG", help_heading = "Compare and swap")]
    pub if_etag: Option<String>,
    #[command(flatten)]
    pub patience: Patience,
    #[command(flatten)]
    pub asking: Asking,
}

#[derive(Serialize)]
struct Body<'a> {
    key: &'a str,
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    etag: Option<&'a str>,
    bytes: u64,
    changed: bool,
}

impl ChangeArgs {
    fn guards(&self) -> Result<Guards> {
        let version = self.if_version.as_deref().map(|text| {
            let wrong = || usage("--if-version", &format!("{text:?} is not a version; `lockd status` shows it"));
            let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse().ok()).flatten().map(Version).ok_or_else(wrong)
        });
        let etag = self.if_etag.as_deref().map(StateEtag::from_caller);
        if etag.as_ref().is_some_and(|etag| etag.as_str().is_empty()) {
            return Err(usage("--if-etag", "it is empty; `lockd status` shows the ETag"));
        }
        Ok(Guards { version: version.transpose()?, etag })
    }
}

/// Makes a change and prints what came of it. `long` keeps a lease taken here alive while the change goes on.
///
/// # Errors
/// Why it was not made.
pub fn run(
    context: &Context,
    key: &Key,
    args: &ChangeArgs,
    long: bool,
    change: impl AsyncFnOnce(&dyn LeaseService, ChangeRequest) -> Result<Changed>,
) -> Result<u8> {
    let format = context.format()?;
    let guards = args.guards()?;
    let mut options = acquire::options(context, key.name(), &args.asking)?;
    options.wait = args.patience.limit()?;
    args.patience.busy_exit()?;
    let in_environment = proof::in_environment(context, key)?;
    let request = |proof: Proof| {
        let request_id = RequestId::random(&*context.entropy);
        ChangeRequest { key: key.clone(), proof, request_id, guards: guards.clone(), edits: None }
    };
    let work = async |session: &Session| {
        let service = session.client.service();
        if let Some(proof) = in_environment {
            return change(&**service, request(proof)).await;
        }
        let mut lease = waiting::acquire(context, &session.client, options.clone()).await?;
        if long {
            lease.keep_alive();
        }
        let changed = change(&**service, request(lease.proof())).await;
        let released = lease.release().await;
        if let (Ok(_), Err(e)) = (&changed, released) {
            context.voice.note(&format!("the change is made, but its lease was not given back: {e}"));
        }
        changed
    };
    let result = context.block_on(async {
        let session = context.open(Need::Moment).await?;
        let result = match interrupt::or_signal(work(&session)).await? {
            Either::Done(result) => result.map(Either::Done),
            Either::Signal(signal) => {
                session.client.abandon_in_a_hurry(key, &options.lease_id).await;
                Ok(Either::Signal(signal))
            }
        };
        session.client.service().close().await;
        result
    });
    match result {
        Ok(Either::Done(changed)) => print(format, key, &changed),
        Ok(Either::Signal(signal)) => Ok(interrupt::exit_code(signal)),
        Err(error) => acquire::settle_busy(context, &args.patience, error),
    }
}

fn print(format: Format, key: &Key, changed: &Changed) -> Result<u8> {
    if format != Format::Text {
        let body = Body {
            key: key.name(),
            version: changed.version.0,
            etag: changed.etag.as_ref().map(StateEtag::as_str),
            bytes: changed.bytes,
            changed: changed.changed,
        };
        output::print(output::document(format, &body)?)?;
    }
    Ok(0)
}
