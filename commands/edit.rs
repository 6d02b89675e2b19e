//! `lockd edit`: change parts of the state of a key.

use lockd::client::edit::edit;
use lockd::error::Result;
use lockd::json::edit::{Edit, is_expression};
use lockd::limits::STATE_BYTES;
use lockd::service::{ChangeRequest, LeaseService};

use super::change::{self, ChangeArgs};
use super::context::{Context, usage};
use super::{proof, text};

/// Change parts of the state of a key, atomically
#[derive(clap::Args)]
#[command(
    long_about = "Change parts of the state of a key, all or none of them, in one step that nobody comes between. All else in it stays as it \
is, byte for byte: numbers keep every digit, objects their order.

  lockd edit import/orders /done++ /last=order-4711 time:/at=NOW
  lockd edit import/orders rm:/error /hosts/-=db2 /stats/ok+=3
  lockd exec import/orders -- sh -c 'step-1 && lockd edit /step=2'

  /path=VALUE          set; VALUE is JSON where it parses, else a string
  /path++  /path--     add 1, take 1; sums are exact, however large
  /path+=N /path-=N    add, take a number, such as 0.1
  rm:/path             remove; what is not there is no error
  time:/path=NOW       set to the time, RFC 3339 in UTC

Paths are JSON pointers (RFC 6901): ~1 stands for / and ~0 for ~ in a name; 0, 1, 2 are places of an array, and - is the \
place after its last. What is missing on the way is made: an array for -, an object otherwise. A number that is missing \
counts from 0. The first = ends a path, so a name with = in it can only be removed. What does not fit, such as adding to a \
string, exits 65 and changes nothing."
)]
pub struct Args {
    /// The key, unless the first word is an expression [env: LOCKD_KEY]; then expressions
    #[arg(value_name = "[KEY] EXPR", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    change: ChangeArgs,
}

/// Runs the command.
///
/// # Errors
/// Why the state was not changed.
pub fn run(context: &Context, args: &Args) -> Result<u8> {
    let (key, expressions) = match args.words.split_first() {
        Some((first, rest)) if !is_expression(first) => (Some(first.as_str()), rest),
        _ => (None, &args.words[..]),
    };
    let key = proof::key(context, key)?;
    if expressions.is_empty() {
        return Err(usage("edit", "no expression was given").with_hint("say what to change, such as /done++"));
    }
    let edits: Vec<Edit> = expressions.iter().map(|text| Edit::parse(text)).collect::<Result<_>>()?;
    change::run(context, &key, &args.change, true, async |service: &dyn LeaseService, request: ChangeRequest| {
        let now = text::rfc3339(context.clock.wall());
        edit(service, request, &edits, &now, STATE_BYTES).await
    })
}
