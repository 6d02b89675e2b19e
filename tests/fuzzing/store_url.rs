//! URLs of stores, addresses of servers.

use lockd::http::client;
use lockd::http::server;
use lockd::store::open::StoreUrl;

/// In no text that lockd has by itself.
const SECRET: &str = "sig=ZmRzYWZkc2E";

pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(url) = StoreUrl::parse(text) {
        stores(&url);
    }
    // What follows a `?` may be a secret.
    if let Err(e) = StoreUrl::parse(&format!("{text}?{SECRET}")) {
        assert!(!e.to_string().contains(SECRET), "{e}");
    }
    servers(text);
}

fn stores(url: &StoreUrl) {
    let written = url.to_text();
    assert_eq!(StoreUrl::parse(&written).as_ref().ok(), Some(url), "{written}");
    let inside = url.inside("checks");
    let again = StoreUrl::parse(&inside.to_text());
    // Below the longest prefix there is no room.
    assert!(again.is_err() && url.prefix().len() > 400 || again.ok() == Some(inside), "{written}");
}

fn servers(text: &str) {
    if let Ok(all) = client::Address::parse_all(text) {
        let written: Vec<String> = all.iter().map(ToString::to_string).collect();
        // A path may have a comma in it, which separates addresses.
        let again: Vec<_> = written.iter().map(|url| client::Address::parse(url).unwrap()).collect();
        assert_eq!(again, all);
        assert!(all.iter().all(|address| http::HeaderValue::from_str(&address.authority()).is_ok()), "{all:?}");
    }
    // Names would be looked up.
    if text.contains('/')
        && let Ok(address) = server::address::Address::parse(text)
    {
        assert_eq!(server::address::Address::parse(&address.to_string()).unwrap(), address);
        assert!(address.is_local());
    }
}
