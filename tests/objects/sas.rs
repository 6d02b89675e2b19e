//! Shared access signatures, signed here: Azure's references "Create an account SAS" and "Create a service SAS".

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;

/// The account of the emulator, and its key, which everybody knows.
pub const ACCOUNT: &str = "devstoreaccount1";
pub const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

const VERSION: &str = "2020-12-06";
/// Long enough for any test.
pub const LATER: &str = "2099-01-01T00:00:00Z";
/// Past.
pub const BEFORE: &str = "2020-01-01T00:00:00Z";

fn signed(fields: &[&str], key: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(key).unwrap());
    BASE64_STANDARD.encode(hmac::sign(&key, fields.join("\n").as_bytes()))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25").replace('+', "%2B").replace('/', "%2F").replace('=', "%3D").replace(':', "%3A")
}

/// Of the account.
pub fn of_account(letters: &str, expires: &str) -> String {
    let sig = signed(&[ACCOUNT, letters, "b", "sco", "", expires, "", "https,http", VERSION, "", ""], KEY);
    let (expires, sig) = (escaped(expires), escaped(&sig));
    format!("sv={VERSION}&ss=b&srt=sco&spr=https,http&se={expires}&sp={letters}&sig={sig}")
}

/// Of one container.
pub fn of_container(container: &str, letters: &str, expires: &str) -> String {
    of_container_by(KEY, container, letters, expires)
}

/// The same, signed with this key.
pub fn of_container_by(key: &str, container: &str, letters: &str, expires: &str) -> String {
    let resource = format!("/blob/{ACCOUNT}/{container}");
    let fields = [letters, "", expires, &resource, "", "", "https,http", VERSION, "c", "", "", "", "", "", "", ""];
    let sig = signed(&fields, key);
    format!("?sv={VERSION}&sr=c&spr=https,http&se={}&sp={letters}&sig={}", escaped(expires), escaped(&sig))
}
