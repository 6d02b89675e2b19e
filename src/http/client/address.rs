//! Addresses of servers.

use std::fmt;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::SERVERS;

/// The port when a URL names none.
pub const PORT: u16 = 9341;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// `http://host:port`.
    Tcp {
        /// A name or an address, as in the URL: an IPv6 address in brackets.
        host: String,
        /// The port.
        port: u16,
    },
    /// `unix:///path`.
    Unix(PathBuf),
}

impl Address {
    /// Reads one URL.
    ///
    /// # Errors
    /// `Usage` that says what would be right.
    pub fn parse(url: &str) -> Result<Self> {
        if let Some(path) = url.strip_prefix("unix://") {
            return match path.len() > 1 && path.starts_with('/') {
                true => Ok(Self::Unix(path.into())),
                false => Err(malformed(
                    url,
                    "write unix:// and the absolute path of the socket, such as unix:///run/lockd.sock",
                )),
            };
        }
        if url.starts_with("https://") {
            return Err(malformed(
                url,
                "https:// is not offered by this version; name http:// on a network that you trust, or unix:///path",
            ));
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(malformed(url, "write http://host:port or unix:///path"));
        };
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#', '@']) || authority.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(malformed(url, "write http://host:port and nothing after it"));
        }
        // The colons of an IPv6 address stand in brackets.
        let at = authority.rfind(':').filter(|at| !authority[*at..].contains(']'));
        let (host, port) = match at {
            Some(at) => (&authority[..at], authority[at + 1..].parse().ok().filter(|port| *port > 0)),
            None => (authority, Some(PORT)),
        };
        match port {
            Some(port) if !host.is_empty() && (host.starts_with('[') || !host.contains(':')) => {
                Ok(Self::Tcp { host: host.to_owned(), port })
            }
            _ => Err(malformed(url, "write http://host:port; an IPv6 address goes into brackets")),
        }
    }

    /// Reads several, separated by commas; they are servers of one store.
    ///
    /// # Errors
    /// As [`Address::parse`]; `Usage` when there are too many.
    pub fn parse_all(urls: &str) -> Result<Vec<Self>> {
        let all = urls.split(',').map(|url| Self::parse(url.trim())).collect::<Result<Vec<_>>>()?;
        if all.len() > SERVERS {
            return Err(Error::new(
                ErrorKind::Usage,
                format!("{} servers are named, {SERVERS} are allowed", all.len()),
            ));
        }
        Ok(all)
    }

    /// What stands in the header `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

fn malformed(url: &str, hint: &str) -> Error {
    Error::new(ErrorKind::Usage, format!("{url:?} is not the address of a server")).with_hint(hint)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { .. } => write!(f, "http://{}", self.authority()),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_written() {
        for (url, shown) in [
            ("http://a:1", "http://a:1"),
            ("http://a", "http://a:9341"),
            ("http://127.0.0.1:80/", "http://127.0.0.1:80"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("http://[::1]", "http://[::1]:9341"),
            ("unix:///run/a b.sock", "unix:///run/a b.sock"),
        ] {
            assert_eq!(Address::parse(url).unwrap().to_string(), shown, "{url}");
        }
        assert_eq!(Address::parse_all("http://a, unix:///b").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_address_is_refused_with_the_way_out() {
        for (url, says) in [
            ("a:1", "http://host:port"),
            ("http://", "http://host:port"),
            ("http://:1", "http://host:port"),
            ("http://a:0", "http://host:port"),
            ("http://a:99999", "http://host:port"),
            ("http://::1", "brackets"),
            ("http://a/b", "nothing after"),
            ("http://u@a", "nothing after"),
            ("https://a", "not offered"),
            ("unix://a", "absolute"),
            ("unix:///", "absolute"),
            ("", "http://host:port"),
        ] {
            let error = Address::parse(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{url}");
            assert!(error.to_string().contains(says), "{url}: {error}");
        }
        assert!(Address::parse_all("http://a,").is_err());
        assert!(Address::parse_all(&vec!["http://a"; SERVERS + 1].join(",")).is_err());
    }
}
