//! What object stores need beside their URL: settings like all others, the variables that other programs read for the same, and
//! credentials. Those stand in variables and files; no flag takes one as its value.

use std::ffi::OsString;
use std::path::Path;

use lockd::error::{Error, ErrorKind, Result};
use lockd::store::object::connection::ConnectionString;
use lockd::store::object::secret::Secret;
use lockd::store::object::settings::{self as objects, Azure, Credential, S3};
use lockd::store::open::StoreUrl;

use super::settings::{Environment, Found, Origin, SETTINGS, Settings, Typed, sources};

/// Flags about buckets and containers.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct StorageFlags {
    /// s3://: the address of the service, such as https://minio.example.org:9000 [default: Amazon's in the region]
    #[arg(long, global = true, value_name = "URL", help_heading = "Object stores", hide_short_help = true)]
    s3_endpoint: Option<String>,
    /// s3://: the region of the bucket, such as eu-central-1
    #[arg(long, global = true, value_name = "REGION", help_heading = "Object stores", hide_short_help = true)]
    s3_region: Option<String>,
    /// s3://: permit plain HTTP, such as --s3-endpoint http://127.0.0.1:9000; it shows states to everybody on the way
    #[arg(long, global = true, help_heading = "Object stores", hide_short_help = true)]
    s3_allow_http: bool,
    /// s3://: the bucket is in the host name of the endpoint, such as https://my-bucket.example.org, and not in its path
    #[arg(long, global = true, help_heading = "Object stores", hide_short_help = true)]
    s3_virtual_hosted: bool,
    /// s3://: how the service encrypts what it keeps, such as aws:kms; or AES256, aws:kms:dsse, sse-c [default: as the bucket says]
    #[arg(long, global = true, value_name = "KIND", help_heading = "Object stores", hide_short_help = true)]
    s3_sse: Option<String>,
    /// s3://: the KMS key for --s3-sse aws:kms, such as alias/lockd [default: the service's own]
    #[arg(long, global = true, value_name = "ID", help_heading = "Object stores", hide_short_help = true)]
    s3_kms_key: Option<String>,
    /// azure://: the address of the account, such as https://blobs.example.org/account [default: https://ACCOUNT.blob.core.windows.net]
    #[arg(long, global = true, value_name = "URL", help_heading = "Object stores", hide_short_help = true)]
    azure_endpoint: Option<String>,
    /// azure://: permit plain HTTP, such as --azure-endpoint http://127.0.0.1:10000/account; it shows states to everybody on the way
    #[arg(long, global = true, help_heading = "Object stores", hide_short_help = true)]
    azure_allow_http: bool,
    /// azure://: a file with one of the account's two keys, such as /etc/lockd/azure.key [default: none]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Object stores", hide_short_help = true)]
    azure_key_file: Option<String>,
    /// azure://: a file with a shared access signature of the account or the container, such as /etc/lockd/azure.sas [default: none]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Object stores", hide_short_help = true)]
    azure_sas_file: Option<String>,
    /// Certificates (PEM) to trust beside the system's own, such as /etc/ssl/certs/internal.pem [default: none]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Object stores", hide_short_help = true)]
    ca_file: Option<String>,
}

impl StorageFlags {
    /// Adds what was typed.
    pub fn add_to(&self, typed: &mut Typed) {
        let texts = [
            ("s3-endpoint", &self.s3_endpoint),
            ("s3-region", &self.s3_region),
            ("s3-sse", &self.s3_sse),
            ("s3-kms-key", &self.s3_kms_key),
            ("azure-endpoint", &self.azure_endpoint),
            ("azure-key-file", &self.azure_key_file),
            ("azure-sas-file", &self.azure_sas_file),
            ("ca-file", &self.ca_file),
        ];
        typed.extend(texts.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        let switches = [
            ("s3-allow-http", self.s3_allow_http),
            ("s3-virtual-hosted", self.s3_virtual_hosted),
            ("azure-allow-http", self.azure_allow_http),
        ];
        typed.extend(switches.into_iter().filter(|(_, on)| *on).map(|(name, _)| (name, "true".to_owned())));
    }
}

const ACCOUNT_KEY: &str = "LOCKD_AZURE_ACCOUNT_KEY";
const SAS_TOKEN: &str = "LOCKD_AZURE_SAS_TOKEN";

/// Credentials of Azure by variable, and what each is.
const AZURE_CREDENTIALS: &[(&str, &str)] = &[
    (ACCOUNT_KEY, "Shared Key of azure:// stores: one of the account's two keys (or --azure-key-file)"),
    (SAS_TOKEN, "Shared access signature of azure:// stores (or --azure-sas-file)"),
    ("AZURE_STORAGE_CONNECTION_STRING", "azure:// when none of lockd's own is set: key or SAS, and endpoint"),
    ("AZURE_STORAGE_KEY", "The same: the account's key"),
    ("AZURE_STORAGE_ACCOUNT_KEY", "The same, as other programs call it"),
    ("AZURE_STORAGE_SAS_TOKEN", "The same: the SAS"),
    ("AZURE_STORAGE_ACCOUNT", "The account that the four above are for; the store's URL must name the same"),
];

/// Variables with credentials, or where to get them. All are secret as far as lockd is concerned: it never shows their values.
pub fn credentials() -> impl Iterator<Item = &'static (&'static str, &'static str)> {
    AZURE_CREDENTIALS.iter().chain(Azure::IDENTITY).chain(S3::VARIABLES)
}

/// Settings of object stores that were typed, as variables for commands that work in the same store.
///
/// # Errors
/// When the present directory is gone, which relative paths begin at.
pub fn typed_variables(settings: &Settings) -> Result<Vec<(&'static str, OsString)>> {
    let mut variables = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| is_of_storage(setting.name)) {
        let Some(Found { value, origin: Origin::Flag(_) }) = settings.get(setting.name) else { continue };
        let value = match setting.name.ends_with("-file") {
            true => std::path::absolute(value).map_err(|e| Error::io(format_args!("find {value}"), &e))?.into(),
            false => value.into(),
        };
        variables.push((setting.env, value));
    }
    Ok(variables)
}

fn is_of_storage(name: &str) -> bool {
    name.starts_with("s3-") || name.starts_with("azure-") || name == "ca-file"
}

/// What the store at this URL needs. For one that is in no bucket and no container nothing is looked at.
///
/// # Errors
/// When settings contradict each other, or a file that was named cannot be read.
pub fn of(url: &str, settings: &Settings, environment: &Environment) -> Result<objects::Settings> {
    let (s3, azure) = match StoreUrl::parse(url) {
        Ok(StoreUrl::S3 { .. }) => (s3(settings, environment)?, Azure::default()),
        Ok(StoreUrl::Azure { account, .. }) => (S3::default(), azure(&account, settings, environment)?),
        _ => return Ok(objects::Settings::default()),
    };
    let ca = settings.get("ca-file").map(file).transpose()?.map(String::into_bytes);
    Ok(objects::Settings { s3, azure, ca })
}

fn text(settings: &Settings, name: &str) -> Option<String> {
    settings.get(name).map(|found| found.value.clone())
}

fn file(found: &Found) -> Result<String> {
    sources::read(Path::new(&found.value)).map_err(|e| e.context(&found.origin))
}

fn s3(settings: &Settings, environment: &Environment) -> Result<S3> {
    // A key, its secret and its session belong together: they are taken from one place.
    const TOGETHER: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];
    let own = TOGETHER[..2].iter().any(|name| environment.own(name).is_some());
    let found = |name: &'static str| match own && TOGETHER.contains(&name) {
        true => environment.own(name),
        false => environment.var(name),
    };
    let variables = S3::VARIABLES.iter().filter_map(|(name, _)| Some(((*name).to_owned(), Secret::new(found(name)?))));
    Ok(S3 {
        endpoint: text(settings, "s3-endpoint"),
        region: text(settings, "s3-region"),
        allow_http: settings.is_on("s3-allow-http")?,
        virtual_hosted: settings.is_on("s3-virtual-hosted")?,
        encryption: text(settings, "s3-sse"),
        kms_key: text(settings, "s3-kms-key"),
        variables: variables.collect(),
    })
}

fn azure(account: &str, settings: &Settings, environment: &Environment) -> Result<Azure> {
    let own = own_credential(settings, environment)?;
    let usual = if own.is_none() { usual_credential(account, environment)? } else { ConnectionString::default() };
    let identity =
        Azure::IDENTITY.iter().filter_map(|(name, _)| Some(((*name).to_owned(), Secret::new(environment.var(name)?))));
    Ok(Azure {
        endpoint: text(settings, "azure-endpoint").or(usual.endpoint),
        allow_http: settings.is_on("azure-allow-http")?,
        credential: own.or(usual.credential),
        identity: identity.collect(),
    })
}

/// The credential under lockd's own names: the one of highest rank.
fn own_credential(settings: &Settings, environment: &Environment) -> Result<Option<Credential>> {
    let in_files = ["azure-key-file", "azure-sas-file"].map(|name| settings.get(name).cloned());
    let in_variables = [ACCOUNT_KEY, SAS_TOKEN].map(|name| environment.get(name));
    let mut all: Vec<(bool, bool, Found)> = Vec::new();
    for (is_file, [key, sas]) in [(true, in_files), (false, in_variables)] {
        all.extend(key.map(|found| (is_file, true, found)));
        all.extend(sas.map(|found| (is_file, false, found)));
    }
    all.sort_by_key(|(_, _, found)| found.origin.rank());
    let Some((is_file, is_key, first)) = all.first() else { return Ok(None) };
    if let Some((_, _, second)) = all.get(1).filter(|(_, _, second)| second.origin.rank() == first.origin.rank()) {
        let message = format!("{} and {} both give a credential", first.origin, second.origin);
        return Err(Error::new(first.origin.blame(), message).with_hint("give one of them"));
    }
    let value = if *is_file { file(first)? } else { first.value.clone() };
    let wrong = |what: &str| {
        let message = format!("{} {what}", first.origin);
        Err(Error::new(first.origin.blame(), message).with_hint("give the key or the SAS, and nothing else"))
    };
    match (value.trim(), is_key) {
        ("", _) => wrong("is empty"),
        (text, true) if text.contains("AccountKey=") => wrong("has a connection string, and no key"),
        (text, true) => Ok(Some(Credential::SharedKey(Secret::new(text)))),
        (text, false) => Ok(Some(sas(text))),
    }
}

/// A signature; also one that is still in the URL that the portal shows it in.
fn sas(text: &str) -> Credential {
    Credential::Sas(Secret::new(text.rsplit_once('?').map_or(text, |(_, token)| token)))
}

/// The credential under the names that Azure's own programs read.
fn usual_credential(account: &str, environment: &Environment) -> Result<ConnectionString> {
    let names = [
        "AZURE_STORAGE_CONNECTION_STRING",
        "AZURE_STORAGE_KEY",
        "AZURE_STORAGE_ACCOUNT_KEY",
        "AZURE_STORAGE_SAS_TOKEN",
    ];
    let all = names.iter().filter_map(|name| Some((*name, environment.get(name)?)));
    let Some((name, found)) = all.min_by_key(|(_, found)| found.origin.rank()) else {
        return Ok(ConnectionString::default());
    };
    let named = || environment.var("AZURE_STORAGE_ACCOUNT").map(str::to_owned);
    let of = |credential| ConnectionString { credential: Some(credential), account: named(), endpoint: None };
    let usual = match name {
        "AZURE_STORAGE_CONNECTION_STRING" => ConnectionString::parse(&found.value),
        "AZURE_STORAGE_SAS_TOKEN" => of(sas(&found.value)),
        _ => of(Credential::SharedKey(Secret::new(&found.value))),
    };
    match &usual.account {
        _ if usual.credential.is_none() => {
            let message = format!("{} has neither AccountKey nor SharedAccessSignature", found.origin);
            Err(Error::new(ErrorKind::Config, message).with_hint(
                "take it from `az storage account show-connection-string`; for an emulator write out what it stands for",
            ))
        }
        Some(other) if other != account => {
            let message = format!("{} is for the account {other:?}, and the store is in {account:?}", found.origin);
            Err(Error::new(ErrorKind::Config, message).with_hint(format!(
                "set {ACCOUNT_KEY} or {SAS_TOKEN}, which stand above it, or name the other account"
            )))
        }
        _ => Ok(usual),
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::resolve;
    use super::*;

    fn environment(own: &[(&str, &str)], file: &[(&str, &str)]) -> Environment {
        let vars = own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let overlay = file.iter().map(|(name, value)| ((*name).to_owned(), ((*value).to_owned(), "a.env".into())));
        Environment { vars, overlay: overlay.collect(), ..Environment::default() }
    }

    fn at(url: &str, own: &[(&str, &str)], file: &[(&str, &str)]) -> Result<objects::Settings> {
        let environment = environment(own, file);
        of(url, &resolve(&Typed::new(), &environment, None), &environment)
    }

    fn azure_with(own: &[(&str, &str)], file: &[(&str, &str)]) -> Result<String> {
        Ok(match at("azure://acc/c", own, file)?.azure.credential {
            Some(Credential::SharedKey(key)) => format!("key {}", key.reveal()),
            Some(Credential::Sas(token)) => format!("sas {}", token.reveal()),
            None => "none".to_owned(),
        })
    }

    #[test]
    fn the_credential_of_azure_is_the_one_of_highest_rank() {
        let (key, sas) = ((ACCOUNT_KEY, "k"), (SAS_TOKEN, "https://acc.example/c?sv=1&sig=s"));
        assert_eq!(azure_with(&[], &[]).unwrap(), "none");
        assert_eq!(azure_with(&[key], &[sas]).unwrap(), "key k");
        assert_eq!(azure_with(&[sas], &[key]).unwrap(), "sas sv=1&sig=s");
        let error = azure_with(&[key, sas], &[]).unwrap_err();
        assert!(error.message().contains("both give a credential"), "{error}");
        let usual = ("AZURE_STORAGE_KEY", "usual");
        assert_eq!(azure_with(&[usual], &[sas]).unwrap(), "sas sv=1&sig=s", "lockd's own names stand above");
        assert_eq!(azure_with(&[("AZURE_STORAGE_ACCOUNT", "acc")], &[usual]).unwrap(), "key usual");
        let error = azure_with(&[usual, ("AZURE_STORAGE_ACCOUNT", "other")], &[]).unwrap_err();
        assert!(error.message().contains("the account \"other\""), "{error}");
        let string =
            ("AZURE_STORAGE_CONNECTION_STRING", "AccountName=acc;AccountKey=geheim;BlobEndpoint=https://h/acc");
        assert_eq!(azure_with(&[], &[string]).unwrap(), "key geheim");
        assert_eq!(at("azure://acc/c", &[string], &[]).unwrap().azure.endpoint.as_deref(), Some("https://h/acc"));
        let error = azure_with(&[(string.0, "UseDevelopmentStorage=true")], &[]).unwrap_err();
        assert!(error.message().contains("neither AccountKey nor"), "{error}");
        let error = azure_with(&[(ACCOUNT_KEY, string.1)], &[]).unwrap_err();
        assert!(error.message().contains("connection string") && !error.to_string().contains("geheim"), "{error}");
    }

    #[test]
    fn a_credential_may_stand_in_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("azure.key");
        let named = path.to_str().unwrap();
        let error = azure_with(&[("LOCKD_AZURE_KEY_FILE", named)], &[]).unwrap_err();
        assert!(error.message().contains("LOCKD_AZURE_KEY_FILE") && error.message().contains(named), "{error}");
        std::fs::write(&path, "\n").unwrap();
        assert!(azure_with(&[("LOCKD_AZURE_KEY_FILE", named)], &[]).unwrap_err().message().contains("is empty"));
        std::fs::write(&path, "k\n").unwrap();
        assert_eq!(azure_with(&[("LOCKD_AZURE_KEY_FILE", named)], &[(SAS_TOKEN, "x")]).unwrap(), "key k");
        assert_eq!(azure_with(&[], &[("LOCKD_AZURE_SAS_FILE", named)]).unwrap(), "sas k");
        // A store that needs none does not look.
        std::fs::remove_file(&path).unwrap();
        at("disk:///x", &[("LOCKD_AZURE_KEY_FILE", named)], &[]).unwrap();
    }

    #[test]
    fn lockds_own_names_stand_above_the_usual_ones() {
        let usual =
            [("AWS_REGION", "usual"), ("AWS_ENDPOINT_URL", "https://all"), ("AWS_ENDPOINT_URL_S3", "https://s3")];
        let found = at("s3://b", &usual, &[]).unwrap().s3;
        assert_eq!((found.region.as_deref(), found.endpoint.as_deref()), (Some("usual"), Some("https://s3")));
        let found = at("s3://b", &usual, &[("LOCKD_S3_REGION", "own")]).unwrap().s3;
        assert_eq!(found.region.as_deref(), Some("own"));
    }

    #[test]
    fn a_key_and_its_session_come_from_one_place() {
        let own = [("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "b")];
        let file = [("AWS_ACCESS_KEY_ID", "c"), ("AWS_SECRET_ACCESS_KEY", "d"), ("AWS_SESSION_TOKEN", "e")];
        let names = |own: &[_], file: &[_]| {
            let found = at("s3://b", own, file).unwrap().s3.variables;
            found.iter().map(|(_, value)| value.reveal().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(&own, &file), ["a", "b"]);
        assert_eq!(names(&[], &file), ["c", "d", "e"]);
    }
}
