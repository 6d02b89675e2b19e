//! What a service refused, in words that name the remedy. Bodies of answers are not repeated: they may have parts of signatures.

use super::Service;
use super::http::{Seen, chain};
use super::sas::{LETTERS, Sas};
use crate::error::{Error, ErrorKind};

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Reading an object.
    Read,
    /// Writing one.
    Write,
    /// Deleting one.
    Delete,
    /// Listing.
    List,
}

/// With what the service is asked.
#[derive(Clone, Debug)]
pub enum Access {
    /// An access key of S3.
    AccessKey,
    /// A key of an Azure account.
    SharedKey,
    /// A signature of Azure.
    Sas(Sas),
    /// A role or identity that the platform gives.
    Identity,
}

/// Who is asked, for the text of errors.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The service.
    pub service: Service,
    /// Its address.
    pub endpoint: String,
    /// The host of the address.
    pub host: String,
    /// The bucket or container.
    pub bucket: String,
    /// With what.
    pub access: Access,
}

impl Asked {
    /// The error for an operation that did not succeed. `error` is the crate's own; without one, time ran out.
    #[must_use]
    pub fn refused(&self, act: Act, seen: &Seen, error: Option<&object_store::Error>) -> Error {
        if !seen.host.is_empty() && seen.host != self.host {
            return self.no_credentials(seen);
        }
        match seen.status {
            Some(status) if !(200..=299).contains(&status) => self.answered(act, status, seen),
            _ => self.unanswered(seen, error),
        }
    }

    fn unanswered(&self, seen: &Seen, error: Option<&object_store::Error>) -> Error {
        let hint = format!("look at the network, and at {}", self.endpoint_setting());
        let at = &self.endpoint;
        match (&seen.trouble, error) {
            (Some(why), _) if !seen.sent => {
                Error::new(ErrorKind::Unavailable, format!("{at} cannot be reached: {why}")).with_hint(hint)
            }
            (Some(why), _) => {
                Error::new(ErrorKind::Unavailable, format!("{at} gave no answer: {why}")).with_hint("try again")
            }
            (None, None) => {
                Error::new(ErrorKind::Unavailable, format!("{at} did not answer in time")).with_hint("try again")
            }
            (None, Some(error)) if !seen.sent => {
                Error::new(ErrorKind::Config, format!("{at} could not be asked: {}", chain(error)))
            }
            // Answered, and not as this protocol has it, or cut off.
            (None, Some(error)) => {
                Error::new(ErrorKind::Unavailable, format!("the answer of {at} cannot be used: {}", chain(error)))
                    .with_hint(hint)
            }
        }
    }

    fn answered(&self, act: Act, status: u16, seen: &Seen) -> Error {
        let (service, code) = (self.service.name(), seen.code.as_str());
        let said = if code.is_empty() { status.to_string() } else { format!("{status} {code}") };
        let error =
            |kind, what: &str| Error::new(kind, format!("{} at {}: {what} ({said})", self.bucket, self.endpoint));
        let missing = format!("create it first; lockd makes no {}", self.service.bucket());
        match (status, code) {
            (_, "NoSuchBucket" | "ContainerNotFound" | "ContainerBeingDeleted" | "ContainerDisabled") => {
                let what = format!("there is no such {}", self.service.bucket());
                error(ErrorKind::StoreMissing, &what).with_hint(missing)
            }
            (_, "RequestTimeTooSkewed") => error(ErrorKind::NotPermitted, "this host's clock is wrong")
                .with_hint("set it (timedatectl set-ntp true): requests are signed with the time"),
            (301 | 307 | 308, _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                self.elsewhere(seen, error(ErrorKind::Config, "it is in another region"))
            }
            (401 | 403, _) => self.denied(act, seen, &said),
            (507, _) | (_, "XMinioStorageFull" | "XMinioAdminBucketQuotaExceeded" | "QuotaExceeded") => {
                error(ErrorKind::StoreFull, "it has no room").with_hint("free some; nothing was lost")
            }
            (501, _) | (_, "NotImplemented") => error(ErrorKind::Config, "it does not offer what lockd needs")
                .with_hint("lockd needs writes with If-Match and If-None-Match; use another service"),
            (408 | 425 | 429 | 500..=599, _) => {
                error(ErrorKind::Unavailable, "it is busy or in trouble").with_hint("try again later")
            }
            (409, _) if service == "S3" => {
                error(ErrorKind::Unavailable, "others write the same object").with_hint("try again")
            }
            (_, "LeaseIdMissing" | "LeaseIdMismatchWithBlobOperation") => {
                error(ErrorKind::NotPermitted, "somebody put a lease of Azure's own on the blob").with_hint(
                    "break it (az storage blob lease break): lockd keeps leases in the blob, and uses none on it",
                )
            }
            (409, "BlobImmutableDueToPolicy" | "BlobImmutableDueToLegalHold")
            | (_, "InvalidRequest" | "ObjectLocked") => {
                error(ErrorKind::NotPermitted, "objects there cannot be replaced")
                    .with_hint("take away the immutability policy (object lock), or use another one")
            }
            (404, _) | (400, "InvalidUri" | "InvalidResourceName" | "InvalidQueryParameterValue") => {
                let what = format!("there is no {} {} at this address", self.service.name(), self.service.bucket());
                error(ErrorKind::Config, &what).with_hint(format!("look at {}", self.endpoint_setting()))
            }
            _ => error(ErrorKind::Io, "the request was refused").with_hint(format!(
                "if another service answers there, look at {}; else at the {service} service's own log",
                self.endpoint_setting()
            )),
        }
    }

    fn elsewhere(&self, seen: &Seen, error: Error) -> Error {
        let region = seen.region.as_deref().filter(|region| region.bytes().all(|b| b.is_ascii_graphic()));
        match region {
            Some(region) => error.with_hint(format!("set --s3-region {region} (LOCKD_S3_REGION)")),
            None => {
                error.with_hint("set its region with --s3-region (LOCKD_S3_REGION), or its address with --s3-endpoint")
            }
        }
    }

    fn denied(&self, act: Act, seen: &Seen, said: &str) -> Error {
        let at = format!("{} at {}", self.bucket, self.endpoint);
        let error = |what: String, hint: String| {
            Error::new(ErrorKind::NotPermitted, format!("{at}: {what} ({said})")).with_hint(hint)
        };
        match (&self.access, seen.code.as_str()) {
            // Azure gives a code of its own with each of them.
            (_, "" | "AccessDenied") if self.service == Service::Azure => error(
                format!("{} was refused, and not in the words of {}", act.name(), self.service.name()),
                format!("another service may answer there: look at {}", self.endpoint_setting()),
            ),
            (_, "InvalidAccessKeyId") => error(
                "the access key is not known there".to_owned(),
                format!("look at AWS_ACCESS_KEY_ID, and at {}", self.endpoint_setting()),
            ),
            (_, "SignatureDoesNotMatch") => {
                error("the secret does not belong to the access key".to_owned(), "set AWS_SECRET_ACCESS_KEY anew".to_owned())
            }
            (_, "ExpiredToken" | "InvalidToken" | "InvalidTokenId" | "TokenRefreshRequired") => error(
                "the session has expired or is not known".to_owned(),
                "get new credentials and set AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN".to_owned(),
            ),
            (Access::SharedKey, "AuthenticationFailed" | "AuthorizationFailure" | "InvalidAuthenticationInfo") => error(
                "the account key is not the account's".to_owned(),
                "take one of the two from the portal, or `az storage account keys list`, and set LOCKD_AZURE_ACCOUNT_KEY or --azure-key-file".to_owned(),
            ),
            (Access::Sas(sas), code) => self.sas_denied(act, sas, code, seen, error),
            (Access::Identity, _) | (Access::SharedKey | Access::AccessKey, _) => {
                error(format!("{} is not permitted", act.name()), self.permission(act))
            }
        }
    }

    fn sas_denied(
        &self,
        act: Act,
        sas: &Sas,
        code: &str,
        seen: &Seen,
        error: impl Fn(String, String) -> Error,
    ) -> Error {
        const NEW: &str = "make a new one (az storage container generate-sas --permissions rwdl) and set LOCKD_AZURE_SAS_TOKEN or --azure-sas-file";
        if sas.expires.is_some_and(|end| seen.date_millis() >= Some(end)) || seen.text.contains("time frame") {
            return error("the SAS has expired, or is not good yet".to_owned(), NEW.to_owned());
        }
        if let Some(lacks) = sas.lacks() {
            return error(format!("the SAS does not permit {}: it lacks {lacks}", act.name()), NEW.to_owned());
        }
        match code {
            "AuthorizationSourceIPMismatch" | "AuthorizationProtocolMismatch" => error(
                "the SAS is not good for this host's address or protocol".to_owned(),
                format!("make one without --ip, or for it; {LETTERS} are the permissions that lockd needs"),
            ),
            "AuthenticationFailed" | "InvalidAuthenticationInfo" => error(
                "the SAS is not signed by a key of this account and for this container".to_owned(),
                format!("the key may have been rotated: {NEW}"),
            ),
            _ => error(
                format!(
                    "the SAS does not permit {}: it may be for another container, or signed by a key that was rotated",
                    act.name()
                ),
                NEW.to_owned(),
            ),
        }
    }

    fn permission(&self, act: Act) -> String {
        match (self.service, act) {
            (Service::S3, Act::Read) => {
                "its policy must allow s3:GetObject, and s3:ListBucket on the bucket: without that S3 denies keys that do not exist".to_owned()
            }
            (Service::S3, Act::Write) => {
                "its policy must allow s3:PutObject and s3:AbortMultipartUpload (with a KMS key: kms:GenerateDataKey and kms:Decrypt)".to_owned()
            }
            (Service::S3, Act::Delete) => "its policy must allow s3:DeleteObject".to_owned(),
            (Service::S3, Act::List) => "its policy must allow s3:ListBucket on the bucket".to_owned(),
            (Service::Azure, _) => {
                "give it the role Storage Blob Data Contributor on the container, and look at the account's firewall".to_owned()
            }
        }
    }

    /// The request that failed was not for the service but for a credential.
    fn no_credentials(&self, seen: &Seen) -> Error {
        let why = match (&seen.trouble, seen.status) {
            (Some(why), _) => why.clone(),
            (None, Some(status)) => format!("it answered {status} {}", seen.code).trim_end().to_owned(),
            (None, None) => "it did not answer".to_owned(),
        };
        let message = format!("no credential was given, and {} has none for this host: {why}", seen.host);
        let hint = match self.service {
            Service::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; profiles of ~/.aws are not read: `aws configure export-credentials --format env-no-export` prints one for an env-file"
            }
            Service::Azure => {
                "set LOCKD_AZURE_ACCOUNT_KEY or LOCKD_AZURE_SAS_TOKEN (--azure-key-file, --azure-sas-file), or give the host an identity"
            }
        };
        Error::new(ErrorKind::NotPermitted, message).with_hint(hint)
    }

    const fn endpoint_setting(&self) -> &'static str {
        match self.service {
            Service::S3 => "--s3-endpoint (LOCKD_S3_ENDPOINT)",
            Service::Azure => "the account in the URL and --azure-endpoint (LOCKD_AZURE_ENDPOINT)",
        }
    }
}

impl Act {
    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "reading",
            Self::Write => "writing",
            Self::Delete => "deleting",
            Self::List => "listing",
        }
    }
}
