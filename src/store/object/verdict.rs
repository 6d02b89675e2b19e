//! What an answer to a conditional write means: the three outcomes, and "try again". Where the two services use one status for
//! opposite things, the service decides.

use super::Service;
use super::http::Seen;

/// What a put asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That there is nothing.
    Absent,
    /// That there is this value.
    Same,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Applied.
    Applied,
    /// The precondition did not hold.
    Conflict,
    /// Nothing was decided, certainly not applied: the service asks for another try.
    Again,
    /// It may have been applied, or may yet be.
    Unknown,
    /// Certainly not applied.
    Failed,
}

/// Reads an answer. Sources: the services' references for `PutObject` (AWS, conditional writes: 412, 409
/// `ConditionalRequestConflict` "retry", 404 for a match on a missing key) and `Put Blob` (Azure: 409 `BlobAlreadyExists` or 412 on
/// create). A 5xx or 429 proves nothing: gateways answer for services that have applied.
#[must_use]
pub fn verdict(service: Service, wanted: Wanted, seen: &Seen) -> Verdict {
    let Some(status) = seen.status else {
        return if seen.sent { Verdict::Unknown } else { Verdict::Failed };
    };
    let code = seen.code.as_str();
    match (service, status) {
        (_, 200..=299) => Verdict::Applied,
        (Service::S3, 304 | 412) => Verdict::Conflict,
        (Service::S3, 404) if wanted == Wanted::Same && code == "NoSuchKey" => Verdict::Conflict,
        (Service::S3, 409) if ["", "ConditionalRequestConflict", "OperationAborted"].contains(&code) => Verdict::Again,
        (Service::Azure, 412)
            if ["", "ConditionNotMet", "TargetConditionNotMet", "BlobAlreadyExists"].contains(&code) =>
        {
            Verdict::Conflict
        }
        (Service::Azure, 404) if wanted == Wanted::Same && code == "BlobNotFound" => Verdict::Conflict,
        (Service::Azure, 409) if wanted == Wanted::Absent && ["", "BlobAlreadyExists"].contains(&code) => {
            Verdict::Conflict
        }
        (_, 501) => Verdict::Failed,
        (_, 408 | 425 | 429 | 500..=599) => Verdict::Unknown,
        _ => Verdict::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(status: u16, code: &str) -> Seen {
        Seen { sent: true, status: Some(status), code: code.to_owned(), ..Seen::default() }
    }

    #[test]
    fn answers_mean_what_the_services_say() {
        use Service::{Azure, S3};
        use Verdict::{Again, Applied, Conflict, Failed, Unknown};
        use Wanted::{Absent, Same};
        for (service, wanted, status, code, means) in [
            (S3, Absent, 200, "", Applied),
            (Azure, Absent, 201, "", Applied),
            (S3, Absent, 412, "PreconditionFailed", Conflict),
            (S3, Same, 412, "PreconditionFailed", Conflict),
            (S3, Same, 404, "NoSuchKey", Conflict),
            (S3, Same, 404, "NoSuchBucket", Failed),
            (S3, Absent, 404, "NoSuchBucket", Failed),
            // A 404 that no S3 wrote: the endpoint is something else.
            (S3, Same, 404, "", Failed),
            (S3, Absent, 409, "ConditionalRequestConflict", Again),
            (S3, Same, 409, "ConditionalRequestConflict", Again),
            (S3, Absent, 409, "BucketAlreadyExists", Failed),
            (Azure, Absent, 409, "BlobAlreadyExists", Conflict),
            (Azure, Absent, 412, "ConditionNotMet", Conflict),
            (Azure, Same, 412, "ConditionNotMet", Conflict),
            (Azure, Same, 404, "BlobNotFound", Conflict),
            (Azure, Same, 409, "BlobAlreadyExists", Failed),
            (Azure, Absent, 409, "ContainerBeingDeleted", Failed),
            (Azure, Absent, 404, "ContainerNotFound", Failed),
            // Somebody put a lease of Azure's own on the blob.
            (Azure, Same, 412, "LeaseIdMissing", Failed),
            (S3, Same, 403, "AccessDenied", Failed),
            (S3, Same, 400, "", Failed),
            (S3, Same, 307, "", Failed),
            (S3, Same, 501, "NotImplemented", Failed),
            (S3, Absent, 500, "InternalError", Unknown),
            (S3, Same, 503, "SlowDown", Unknown),
            (Azure, Same, 500, "OperationTimedOut", Unknown),
            (Azure, Same, 503, "ServerBusy", Unknown),
            (S3, Same, 504, "", Unknown),
            (S3, Same, 429, "", Unknown),
            (S3, Same, 408, "", Unknown),
        ] {
            assert_eq!(verdict(service, wanted, &seen(status, code)), means, "{service:?} {wanted:?} {status} {code}");
        }
        assert_eq!(verdict(S3, Same, &Seen { sent: true, ..Seen::default() }), Unknown);
        assert_eq!(verdict(S3, Same, &Seen::default()), Failed);
    }
}
