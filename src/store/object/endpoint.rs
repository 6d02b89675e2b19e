//! The address of a service.

use http::Uri;

use crate::error::{Error, ErrorKind, Result};

/// An address of a service: scheme, host, maybe port and path.
#[derive(Clone, Debug)]
pub struct Endpoint {
    uri: Uri,
}

/// What the settings of one service are called, for errors.
#[derive(Debug)]
pub struct Names {
    flag: &'static str,
    allow: &'static str,
}

/// Those of S3.
pub const S3: Names = Names { flag: "--s3-endpoint", allow: "--s3-allow-http (LOCKD_S3_ALLOW_HTTP=true)" };
/// Those of Azure.
pub const AZURE: Names = Names { flag: "--azure-endpoint", allow: "--azure-allow-http (LOCKD_AZURE_ALLOW_HTTP=true)" };

impl Endpoint {
    /// Reads an address.
    ///
    /// # Errors
    /// `Config` when it is none, has a user, a query or a fragment, or is plain HTTP that nobody asked for.
    pub fn parse(text: &str, allow_http: bool, names: &Names) -> Result<Self> {
        let wrong = |why: &str, hint: String| {
            // What stands before an `@` or after a `?` may be a secret.
            let shown = text.split(['?', '#']).next().unwrap_or_default();
            let shown = shown.rsplit_once('@').map_or(shown, |(_, host)| host);
            Error::new(ErrorKind::Config, format!("{} {shown:?}: {why}", names.flag)).with_hint(hint)
        };
        let example = || "write it like https://host or https://host:port/path".to_owned();
        let uri: Uri = text.trim_end_matches('/').parse().map_err(|_| wrong("it is not an address", example()))?;
        let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
        if uri.host().is_none_or(str::is_empty) || !plain || uri.query().is_some() || text.contains('#') {
            return Err(wrong("it is not an address of a service", example()));
        }
        match uri.scheme_str() {
            Some("https") => Ok(Self { uri }),
            Some("http") if allow_http => Ok(Self { uri }),
            Some("http") => Err(wrong(
                "plain HTTP shows states to everybody on the way",
                format!("use https://, or permit it with {}", names.allow),
            )),
            _ => Err(wrong("its scheme is not https", example())),
        }
    }

    /// Whether it is plain HTTP.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.uri.scheme_str() == Some("http")
    }

    /// The host, without the port.
    #[must_use]
    pub fn host(&self) -> String {
        self.uri.host().unwrap_or_default().to_owned()
    }

    /// The address, without a slash at its end.
    #[must_use]
    pub fn text(&self) -> String {
        self.uri.to_string().trim_end_matches('/').to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read() {
        for (text, host, back) in [
            ("https://s3.example.org/", "s3.example.org", "https://s3.example.org"),
            ("https://h:1/a/b", "h", "https://h:1/a/b"),
        ] {
            let endpoint = Endpoint::parse(text, false, &S3).unwrap();
            assert_eq!((endpoint.host().as_str(), endpoint.text().as_str()), (host, back));
        }
        assert!(Endpoint::parse("http://127.0.0.1:9000", true, &S3).unwrap().is_plain());
        for text in ["", "h", "ftp://h", "https://", "https://u:geheim@h", "https://h?sig=geheim", "https://h#geheim"] {
            let error = Endpoint::parse(text, true, &AZURE).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config, "{text}");
            assert!(!error.to_string().contains("geheim"), "{error}");
        }
        let error = Endpoint::parse("http://h", false, &S3).unwrap_err();
        assert!(error.to_string().contains("--s3-allow-http"), "{error}");
    }
}
