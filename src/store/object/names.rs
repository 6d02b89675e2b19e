//! How objects are called below the store's prefix.
//!
//! ```text
//! store.json                        who this store is
//! records/<namespace>=/<key>=       a record; each `/` of the key is a `=`
//! blobs/<key hash>/<token>-<random> a blob
//! ```
//!
//! Names of records can be read, so that one list gives many keys without reading any. A `=` is in no key: nothing can be
//! written two ways, no name is above another (some servers keep objects as files), and none ends in a dot.

use object_store::path::Path;

use crate::model::{BlobId, Key, KeyHash, Namespace};

/// The names of one store.
#[derive(Clone, Debug)]
pub struct Names {
    /// Empty, or ends with `/`.
    prefix: String,
}

impl Names {
    /// Below this prefix, which has no slash at either end.
    #[must_use]
    pub fn below(prefix: &str) -> Self {
        Self { prefix: if prefix.is_empty() { String::new() } else { format!("{prefix}/") } }
    }

    /// Who the store is.
    #[must_use]
    pub fn identity(&self) -> Path {
        self.path("store.json")
    }

    /// Everything that a store without an identity may not have.
    #[must_use]
    pub fn contents(&self) -> [Path; 2] {
        [self.path("records"), self.path("blobs")]
    }

    /// A key's record.
    #[must_use]
    pub fn record(&self, key: &Key) -> Path {
        self.path(&format!("records/{}=/{}=", key.namespace(), key.name().replace('/', "=")))
    }

    /// All records of a namespace.
    #[must_use]
    pub fn records(&self, namespace: &Namespace) -> Path {
        self.path(&format!("records/{namespace}="))
    }

    /// The key whose record this is; `None` when it is none of this namespace.
    #[must_use]
    pub fn key(&self, namespace: &Namespace, path: &Path) -> Option<Key> {
        let name = path.as_ref().strip_prefix(&format!("{}records/{namespace}=/", self.prefix))?.strip_suffix('=')?;
        let key = Key::new(namespace.clone(), &name.replace('=', "/")).ok()?;
        (self.record(&key) == *path).then_some(key)
    }

    /// A blob.
    #[must_use]
    pub fn blob(&self, id: &BlobId) -> Path {
        self.path(&format!("blobs/{}/{}", id.key().hex(), id.name()))
    }

    /// All blobs of a key.
    #[must_use]
    pub fn blobs(&self, key: KeyHash) -> Path {
        self.path(&format!("blobs/{}", key.hex()))
    }

    /// The blob that has this name.
    #[must_use]
    pub fn blob_id(key: KeyHash, path: &Path) -> Option<BlobId> {
        BlobId::from_name(key, path.filename()?)
    }

    /// Nothing in these names needs to be escaped: `parse` takes them as they are.
    fn path(&self, rest: &str) -> Path {
        let text = format!("{}{rest}", self.prefix);
        Path::parse(&text).unwrap_or_else(|_| Path::from(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::KernelEntropy;
    use crate::model::FencingToken;

    #[test]
    fn names_are_read_back() {
        let names = Names::below("team/locks");
        assert_eq!(names.identity().as_ref(), "team/locks/store.json");
        for (namespace, name) in [("default", "a"), ("default", "a/b.c"), ("a.", "x~:@+-_/y."), ("n", "..a/a..")] {
            let namespace = Namespace::new(namespace).unwrap();
            let key = Key::new(namespace.clone(), name).unwrap();
            let path = names.record(&key);
            assert_eq!(names.key(&namespace, &path), Some(key), "{path}");
            assert!(path.as_ref().starts_with(names.records(&namespace).as_ref()));
            assert_eq!(names.key(&Namespace::new("other").unwrap(), &path), None);
        }
        let reserved = Key::new(Namespace::reserved("fence:n"), "r").unwrap();
        assert_eq!(Names::below("").record(&reserved).as_ref(), "records/.fence:n=/r=");
        let id = BlobId::random(reserved.hash(), FencingToken(7), &KernelEntropy);
        assert_eq!(Names::blob_id(reserved.hash(), &names.blob(&id)), Some(id));
        for foreign in ["records/default=/a", "records/default=/a==", "records/default/a=", "store.json"] {
            assert_eq!(Names::below("").key(&Namespace::default(), &Path::parse(foreign).unwrap()), None, "{foreign}");
        }
    }
}
