//! What `acquire` prints: a lease in one of several forms, and code that takes an earlier one back.

use lockd::client::Lease;
use lockd::clock::{Clock, UnixMillis};
use lockd::error::Result;
use lockd::model::StateEtag;
use serde::{Deserialize, Serialize};

use super::super::context::usage;
use super::super::output::{self, Format};
use super::super::target::{Kind, Place};
use super::super::text;
use super::super::variables::{Listed, OF_A_LEASE};

/// Forms in which a lease is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Code for POSIX shells.
    Sh,
    /// Code for fish.
    Fish,
    /// Lines of an env-file.
    Dotenv,
    /// JSON or YAML.
    Document(Format),
}

/// A lease that was taken, as it is printed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Taken {
    /// Its key.
    pub key: String,
    namespace: String,
    lease_id: String,
    fencing_token: u64,
    owner: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    server: Option<String>,
    /// When it ends, unless somebody renews it.
    pub expires: String,
    /// The same from now, in milliseconds.
    pub expires_in_ms: u64,
    ttl_ms: u64,
    version: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    etag: Option<String>,
    /// The process that renews it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    keeper_pid: Option<u32>,
}

impl Taken {
    /// A lease at a place, as it is now.
    pub fn of(lease: &Lease, place: &Place, clock: &dyn Clock) -> Self {
        let left = lease.deadline().since(clock.boot());
        let expires_in_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        Self {
            key: lease.key.name().to_owned(),
            namespace: lease.key.namespace().to_string(),
            lease_id: lease.id.to_string(),
            fencing_token: lease.token.0,
            owner: lease.owner.to_string(),
            store: (place.kind == Kind::Store).then(|| place.url.clone()),
            server: (place.kind == Kind::Servers).then(|| place.url.clone()),
            expires: text::rfc3339(UnixMillis(clock.wall().0.saturating_add(expires_in_ms))),
            expires_in_ms,
            ttl_ms: lease.ttl.millis(),
            version: lease.version.0,
            etag: lease.etag.as_ref().map(StateEtag::to_string),
            keeper_pid: None,
        }
    }

    /// The same with the process that renews it.
    pub const fn with_keeper(mut self, pid: u32) -> Self {
        self.keeper_pid = Some(pid);
        self
    }

    fn variables(&self) -> Vec<(&'static str, String)> {
        let place = [("LOCKD_STORE", &self.store), ("LOCKD_SERVER", &self.server)];
        let place = place.into_iter().filter_map(|(name, url)| Some((name, url.clone()?)));
        let mut variables = vec![
            ("LOCKD_KEY", self.key.clone()),
            ("LOCKD_LEASE_ID", self.lease_id.clone()),
            ("LOCKD_FENCING_TOKEN", self.fencing_token.to_string()),
            ("LOCKD_OWNER", self.owner.clone()),
            ("LOCKD_NAMESPACE", self.namespace.clone()),
            ("LOCKD_LEASE_EXPIRES", self.expires.clone()),
        ];
        variables.extend(place);
        variables
    }

    /// The lease in this form; in code also what is left of the `LOCKD_LEASES` of commands around.
    ///
    /// # Errors
    /// `Internal` when a document cannot be written.
    pub fn printed(&self, form: Form, around: &[Listed]) -> Result<String> {
        let mut variables = self.variables();
        // Plain data: it can be written.
        let leases = (!around.is_empty()).then(|| serde_json::to_string(around).unwrap_or_default());
        let none = leases.is_none();
        let other = if self.server.is_none() { "LOCKD_SERVER" } else { "LOCKD_STORE" };
        variables.extend(leases.map(|leases| ("LOCKD_LEASES", leases)));
        let lines =
            |line: &dyn Fn(&str, &str) -> String| variables.iter().map(|(name, value)| line(name, value)).collect();
        Ok(match form {
            Form::Sh => {
                let exports: String = lines(&|name, value| format!("export {name}={}\n", text::sh_quoted(value)));
                format!("{exports}unset {other}{}\n", if none { " LOCKD_LEASES" } else { "" })
            }
            Form::Fish => {
                let exports: String = lines(&|name, value| format!("set -gx {name} {}\n", text::fish_quoted(value)));
                // In fish, to erase what is not set fails, and to set something does not change the status.
                let leases = if none { "set -e LOCKD_LEASES\n" } else { "" };
                format!("{exports}set -e {other}\n{leases}true\n")
            }
            Form::Dotenv => lines(&|name, value| format!("{name}={}\n", text::dotenv_quoted(value))),
            Form::Document(format) => output::document(format, self)?,
        })
    }
}

/// The form by its name.
///
/// # Errors
/// `Usage`.
pub fn form(name: Option<&str>) -> Result<Form> {
    Ok(match name {
        None | Some("sh") => Form::Sh,
        Some("fish") => Form::Fish,
        Some("dotenv") => Form::Dotenv,
        Some("json") => Form::Document(Format::Json),
        Some("yaml") => Form::Document(Format::Yaml),
        Some(other) => {
            let why = format!("{other:?} is no form of a lease; there are sh, fish, dotenv, json and yaml");
            return Err(usage("--output", &why));
        }
    })
}

/// Code that takes back an earlier lease and ends as the command did. When that was asked to be no failure, it ends the script:
/// nothing may go on as if there were a lease.
fn code(form: Form, exit: u8) -> String {
    match form {
        Form::Sh if exit == 0 => format!("unset {}; exit 0\n", OF_A_LEASE.join(" ")),
        Form::Sh => format!("unset {}; (exit {exit})\n", OF_A_LEASE.join(" ")),
        Form::Fish => {
            let end = if exit == 0 { "; exit 0" } else { "; false" };
            OF_A_LEASE.map(|name| format!("set -e {name}")).join("; ") + end + "\n"
        }
        // These are read and not run.
        Form::Dotenv | Form::Document(_) => String::new(),
    }
}

/// Prints such code.
pub fn print_code(form: Form, exit: u8) {
    // The exit code says the same to who does not read.
    let _unread = output::write(code(form, exit));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failing_code_takes_the_lease_back_and_no_setting() {
        assert_eq!(
            code(Form::Sh, 75),
            "unset LOCKD_KEY LOCKD_LEASE_ID LOCKD_FENCING_TOKEN LOCKD_LEASE_EXPIRES; (exit 75)\n"
        );
        assert!(code(Form::Fish, 75).ends_with("; false\n"));
        assert_eq!(code(Form::Dotenv, 75), "");
        // Without a lease and without a failure the script is over.
        assert!(code(Form::Sh, 0).ends_with("; exit 0\n") && code(Form::Fish, 0).ends_with("; exit 0\n"));
    }
}
