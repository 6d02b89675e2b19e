//! Names as other clients write them, made into ours. The command line takes a name as written; the wire forgives more.

use crate::error::Result;
use crate::model::{Key, Namespace};

/// A namespace: trimmed of blanks, `default` when there is none.
///
/// # Errors
/// `InvalidKey`, also for reserved ones.
pub fn namespace(text: Option<&str>) -> Result<Namespace> {
    match text.map(str::trim) {
        None | Some("") => Ok(Namespace::default()),
        Some(text) => Namespace::new(text),
    }
}

/// A key: trimmed of blanks, one leading `/` dropped.
///
/// # Errors
/// `InvalidKey`.
pub fn key(namespace: Namespace, text: &str) -> Result<Key> {
    let text = text.trim();
    Key::new(namespace, text.strip_prefix('/').unwrap_or(text))
}

/// The key of an acquire: as [`key`], and one that begins with `<namespace>/` loses that once. The answer has the key as
/// it is used from then on.
///
/// # Errors
/// `InvalidKey`.
pub fn key_on_acquire(namespace: Namespace, text: &str) -> Result<Key> {
    let text = text.trim();
    let text = text.strip_prefix('/').unwrap_or(text);
    let own = text.strip_prefix(namespace.as_str()).and_then(|rest| rest.strip_prefix('/'));
    let name = own.unwrap_or(text).to_owned();
    Key::new(namespace, &name)
}

/// A key for an acquire, so that [`key_on_acquire`] makes this very key of it.
#[must_use]
pub fn named_on_acquire(key: &Key) -> String {
    let (namespace, name) = (key.namespace(), key.name());
    let own = name.strip_prefix(namespace.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if own { format!("{namespace}/{name}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn names_of_others_are_made_ours() {
        let ns = || namespace(Some(" prod ")).unwrap();
        assert_eq!(ns().as_str(), "prod");
        assert_eq!(namespace(Some("  ")).unwrap(), Namespace::default());
        assert_eq!(key(ns(), " /a/b ").unwrap().name(), "a/b");
        assert_eq!(key(ns(), "prod/a").unwrap().name(), "prod/a");
        assert_eq!(key_on_acquire(ns(), "prod/a").unwrap().name(), "a");
        assert_eq!(key_on_acquire(ns(), "/prod/prod/a").unwrap().name(), "prod/a");
        assert_eq!(key_on_acquire(ns(), "production").unwrap().name(), "production");
        for name in ["a", "prod", "production", "prod/a", "prod/prod/a"] {
            let key = key(ns(), name).unwrap();
            assert_eq!(key_on_acquire(ns(), &named_on_acquire(&key)).unwrap(), key, "the acquire of another key");
        }
        for bad in ["//a", "a//b", "", "/", "a/../b", "a b"] {
            assert_eq!(key(ns(), bad).unwrap_err().kind(), ErrorKind::InvalidKey, "{bad:?}");
        }
        assert_eq!(namespace(Some(".lockd")).unwrap_err().kind(), ErrorKind::InvalidKey);
    }
}
