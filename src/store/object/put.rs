//! One conditional write, and what became of it.

use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload, UpdateVersion};

use super::Objects;
use super::refusal::Act;
use super::verdict::{Verdict, Wanted, verdict};
use crate::error::{Error, ErrorKind};
use crate::limits::OBJECT_TRIES;
use crate::store::{Etag, Precondition, PutError};

impl Objects {
    /// Writes an object when the precondition holds. Sent once, except where the service itself asked for another try.
    pub(super) async fn put_object(
        &self,
        path: &Path,
        body: &PutPayload,
        when: &Precondition,
        limit: std::time::Duration,
    ) -> Result<Etag, PutError> {
        let (wanted, mode) = match when {
            Precondition::Absent => (Wanted::Absent, PutMode::Create),
            Precondition::Matches(etag) => {
                (Wanted::Same, PutMode::Update(UpdateVersion { e_tag: Some(etag.0.to_string()), version: None }))
            }
        };
        let mut tried = 0;
        loop {
            let options = PutOptions::from(mode.clone());
            let sending = self.clients.strict.put_opts(path, body.clone(), options);
            let (done, seen) = self.ask(Act::Write, limit, sending).await;
            let error = match done {
                Ok(put) => return put.e_tag.map(|etag| Etag(etag.into())).ok_or_else(|| PutError::Unknown(no_etag())),
                Err(error) => error,
            };
            match verdict(self.asked.service, wanted, &seen) {
                Verdict::Conflict => return Err(PutError::Conflict),
                Verdict::Failed => return Err(PutError::Failed(error)),
                // Applied, with an answer that cannot be used.
                Verdict::Unknown | Verdict::Applied => return Err(PutError::Unknown(error)),
                Verdict::Again if tried + 1 >= OBJECT_TRIES => return Err(PutError::Failed(error)),
                Verdict::Again => {}
            }
            tried += 1;
            self.pause(tried).await;
        }
    }
}

fn no_etag() -> Error {
    Error::new(ErrorKind::Config, "the store gives no ETag for what was written")
        .with_hint("lockd needs writes with If-Match; use another service")
}
