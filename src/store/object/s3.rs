//! S3 and what speaks it.

use std::sync::Arc;

use object_store::RetryConfig;
use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};

use super::endpoint::{self, Endpoint};
use super::http::{Connector, chain};
use super::refusal::{Access, Asked};
use super::settings::{S3, Settings};
use super::{Clients, Service, patient};
use crate::error::{Error, ErrorKind, Result};

/// The clients for a bucket, and whom they ask.
///
/// # Errors
/// `Config` when the settings contradict each other.
pub fn clients(bucket: &str, settings: &Settings) -> Result<(Clients, Asked)> {
    let s3 = &settings.s3;
    let region = s3.region.as_deref().unwrap_or("us-east-1");
    let endpoint = address(bucket, region, s3)?;
    let connector = Connector::new(settings.ca.as_deref(), endpoint.is_plain())?;
    let builder = configured(bucket, region, s3, &endpoint)?.with_http_connector(connector);
    let patient = build(builder.clone().with_retry(patient()))?;
    // What gives credentials may be tried again: the record path borrows it from the client that does.
    let credentials = Arc::clone(patient.credentials());
    let once = RetryConfig { max_retries: 0, ..RetryConfig::default() };
    let strict = build(builder.with_retry(once).with_credentials(credentials))?;
    let has_key = s3.variables.iter().any(|(name, _)| name == "AWS_ACCESS_KEY_ID");
    let asked = Asked {
        service: Service::S3,
        host: endpoint.host(),
        endpoint: endpoint.text(),
        bucket: bucket.to_owned(),
        access: if has_key { Access::AccessKey } else { Access::Identity },
    };
    Ok((Clients { strict: Arc::new(strict), patient: Arc::new(patient), azure_delete: None }, asked))
}

/// Whom to ask. Amazon's own address has the bucket in front, where it is not in the path.
fn address(bucket: &str, region: &str, s3: &S3) -> Result<Endpoint> {
    let amazon = match s3.virtual_hosted {
        true => format!("https://{bucket}.s3.{region}.amazonaws.com"),
        false => format!("https://s3.{region}.amazonaws.com"),
    };
    match &s3.endpoint {
        Some(text) => Endpoint::parse(text, s3.allow_http, &endpoint::S3),
        None => Endpoint::parse(&amazon, false, &endpoint::S3),
    }
}

fn configured(bucket: &str, region: &str, s3: &S3, endpoint: &Endpoint) -> Result<AmazonS3Builder> {
    let mut options = vec![
        ("bucket", bucket),
        ("region", region),
        // One by one: the other way is a request of its own kind, which not every service and no narrow policy allows.
        ("disable_bulk_delete", "true"),
        ("virtual_hosted_style_request", if s3.virtual_hosted { "true" } else { "false" }),
    ];
    let address = endpoint.text();
    if s3.endpoint.is_some() {
        options.push(("endpoint", &address));
    }
    options.extend(s3.encryption.as_deref().map(|kind| ("server_side_encryption", kind)));
    options.extend(s3.kms_key.as_deref().map(|key| ("sse_kms_key_id", key)));
    let known = |name: &str| S3::VARIABLES.iter().any(|(known, _)| *known == name);
    let variables: Vec<_> = s3.variables.iter().filter(|(name, _)| known(name)).collect();
    let lower: Vec<String> = variables.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    options.extend(lower.iter().zip(&variables).map(|(name, (_, value))| (name.as_str(), value.reveal())));
    let mut builder = AmazonS3Builder::new();
    for (name, value) in options {
        let key: AmazonS3ConfigKey = name.parse().map_err(|_| unknown(name))?;
        builder = builder.with_config(key, value);
    }
    Ok(builder)
}

fn build(builder: AmazonS3Builder) -> Result<AmazonS3> {
    builder.build().map_err(|e| {
        Error::new(ErrorKind::Config, format!("the settings of S3 do not fit together: {}", chain(&e)))
            .with_hint("`lockd help env` lists them")
    })
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::Internal, format!("the setting {name} of S3 is not known"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amazon_is_asked_where_nobody_else_is_named() {
        let host = |s3: &S3| address("b", "eu-1", s3).unwrap().host();
        assert_eq!(host(&S3::default()), "s3.eu-1.amazonaws.com");
        // An error from there is the service's, and not one of whoever gives credentials.
        assert_eq!(host(&S3 { virtual_hosted: true, ..S3::default() }), "b.s3.eu-1.amazonaws.com");
        let endpoint = Some("https://b.example.org".to_owned());
        assert_eq!(host(&S3 { endpoint, virtual_hosted: true, ..S3::default() }), "b.example.org");
    }
}
