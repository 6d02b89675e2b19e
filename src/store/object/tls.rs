//! Whom to trust: the system's certificates, and those that were given.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::error::{Error, ErrorKind, Result};

/// The configuration of TLS, with ring. With `plain` nobody is trusted: no certificate has to be read.
///
/// # Errors
/// `Config` when `ca` has no certificate, or nobody is left to trust.
pub fn config(ca: Option<&[u8]>, plain: bool) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::new(ErrorKind::Internal, format!("set up TLS: {e}")))?;
    let roots = if plain { RootCertStore::empty() } else { roots(ca)? };
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

fn roots(ca: Option<&[u8]>) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    // What cannot be read of the system's is as if it were not there.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(pem) = ca {
        let mut given = 0;
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|e| bad_ca(&e.to_string()))?;
            roots.add(certificate).map_err(|e| bad_ca(&e.to_string()))?;
            given += 1;
        }
        if given == 0 {
            return Err(bad_ca("there is none in it"));
        }
    }
    if roots.is_empty() {
        return Err(Error::new(ErrorKind::Config, "there are no certificates to trust on this host")
            .with_hint("install ca-certificates, or name a file with --ca-file"));
    }
    Ok(roots)
}

fn bad_ca(why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("the certificates to trust: {why}"))
        .with_hint("--ca-file names a file with one or more certificates in PEM")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        for pem in [&b""[..], b"x", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
            assert_eq!(config(Some(pem), false).unwrap_err().kind(), ErrorKind::Config);
        }
        config(None, true).unwrap();
    }
}
