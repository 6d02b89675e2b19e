//! Names: keys, namespaces, ids, hashes, blobs, and as other clients write them.

use lockd::http::wire;
use lockd::limits::{ID_BYTES, NAME_BYTES, OWNER_BYTES, REASON_BYTES};
use lockd::model::{BlobId, Key, KeyHash, LeaseId, Namespace, Owner, Reason, RequestId, StateEtag, TxnId, WriteId};

/// A namespace and a newline, then a name.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (namespace, name) = text.split_once('\n').unwrap_or((Namespace::DEFAULT, text));
    keys(namespace, name);
    ids(name);
    hashes(name);
}

fn good_segment(segment: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._~:@+-".contains(c);
    !matches!(segment, "" | "." | "..") && segment.chars().all(good)
}

fn keys(namespace: &str, name: &str) {
    let good = good_segment(namespace) && namespace.len() <= NAME_BYTES && !namespace.starts_with('.');
    assert_eq!(Namespace::new(namespace).is_ok(), good, "{namespace:?}");
    let space = wire::namespace(Some(namespace));
    assert!(!good || space.as_ref().is_ok_and(|space| space.as_str() == namespace));
    let Ok(space) = space else { return };
    let good = name.len() <= NAME_BYTES && name.split('/').all(good_segment);
    let key = Key::new(space.clone(), name);
    assert_eq!(key.is_ok(), good, "{name:?}");
    let forgiven = wire::key(space.clone(), name);
    if let Ok(key) = key {
        assert_eq!(key.name(), name);
        assert_eq!(forgiven.as_ref().ok(), Some(&key), "a good name means itself");
        assert_eq!(KeyHash::from_hex(&key.hash().hex()), Some(key.hash()));
    }
    // What is forgiven once needs no forgiving.
    for made in [forgiven, wire::key_on_acquire(space.clone(), name)].into_iter().flatten() {
        assert!(name.contains(made.name()), "{:?} is not in {name:?}", made.name());
        assert_eq!(Key::new(space.clone(), made.name()).unwrap(), made);
    }
}

fn ids(text: &str) {
    let good = (1..=ID_BYTES).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    assert_eq!(LeaseId::new(text).map(|id| id.to_string()).ok(), good.then(|| text.to_owned()), "{text:?}");
    assert_eq!(RequestId::new(text).is_ok(), good);
    assert_eq!(TxnId::new(text).is_ok(), good);
    let bounded = |most| !text.is_empty() && text.len() <= most && !text.contains('\0');
    assert_eq!(Owner::new(text).is_ok(), bounded(OWNER_BYTES));
    assert_eq!(Reason::new(text).is_ok(), bounded(REASON_BYTES));
    let etag = StateEtag::from_caller(text);
    assert_eq!(StateEtag::from_caller(etag.as_str()), etag);
}

/// Each has one text only.
fn hashes(text: &str) {
    assert!(WriteId::from_hex(text).is_none_or(|id| id.hex() == text));
    assert!(KeyHash::from_hex(text).is_none_or(|hash| hash.hex() == text));
    assert!(!BlobId::try_from(text.to_owned()).is_ok_and(|id| id.to_string() != text));
    let key = Key::new(Namespace::default(), "key").unwrap().hash();
    assert!(BlobId::from_name(key, text).is_none_or(|id| id.name() == text && id.key() == key));
    let quoted = serde_json::to_string(text).unwrap();
    let read: Option<WriteId> = serde_json::from_str(&quoted).ok();
    assert_eq!(read, WriteId::from_hex(text));
}
