//! After a backup was restored: the epoch is raised, so that every token from then on is above all that were given out after the
//! copy was made. An operator's act, not a step of the protocol: everything that uses the store stands still meanwhile.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use serde_json::Value;

use super::layout::IDENTITY;
use crate::entropy::Entropy;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::NUMBER_MAX;

/// Raises the epoch of the store in a directory by one. Gives the old one and the new one. All else that the file says stays, and
/// at every moment either the old file is there or the new one.
///
/// # Errors
/// [`ErrorKind::StoreMissing`] when there is no store; those of the file system.
pub fn raise_epoch(dir: &Path, entropy: &dyn Entropy) -> Result<(u32, u32)> {
    let path = dir.join(IDENTITY);
    let text = std::fs::read(&path).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => Error::new(ErrorKind::StoreMissing, "there is no store to raise the epoch of")
            .with_hint("name the directory that has store.json in it"),
        _ => Error::io(format!("read {IDENTITY}"), &e),
    })?;
    let foreign = |why: &str| {
        Error::new(ErrorKind::StoreMissing, format!("its {IDENTITY} {why}")).with_hint("restore it from the backup")
    };
    let mut value: Value = serde_json::from_slice(&text).map_err(|e| foreign(&format!("says: {e}")))?;
    let fields = value.as_object_mut().ok_or_else(|| foreign("is not lockd's"))?;
    let old = match fields.get("epoch") {
        None => 0,
        Some(epoch) => epoch.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(|| foreign("has no epoch"))?,
    };
    // A token is at or above its epoch << 32 and must stay within NUMBER_MAX.
    let new = old.checked_add(1).filter(|new| u64::from(*new) <= NUMBER_MAX >> 32);
    let new = new.ok_or_else(|| foreign("has the highest epoch there is"))?;
    fields.insert("epoch".to_owned(), new.into());
    let temp = dir.join(format!("{IDENTITY}.{}", hex::encode(entropy.bytes::<8>())));
    let replaced = replace(&path, &temp, value.to_string() + "\n");
    let _gone = std::fs::remove_file(&temp);
    replaced.map_err(|e| Error::io(format!("replace {IDENTITY}"), &e))?;
    Ok((old, new))
}

fn replace(path: &Path, temp: &Path, text: String) -> std::io::Result<()> {
    let mode = std::fs::metadata(path)?.mode() & 0o7777;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temp)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(temp, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::KernelEntropy;

    #[test]
    fn the_epoch_rises_and_the_rest_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(IDENTITY);
        let raise = || raise_epoch(dir.path(), &KernelEntropy);
        assert_eq!(raise().unwrap_err().kind(), ErrorKind::StoreMissing);
        std::fs::write(&file, r#"{"lockd":"store","format":1,"id":"x","more":[1]}"#).unwrap();
        assert_eq!((raise().unwrap(), raise().unwrap()), ((0, 1), (1, 2)));
        let value: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
        assert_eq!(value, serde_json::json!({"lockd":"store","format":1,"id":"x","more":[1],"epoch":2}));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        let highest = format!(r#"{{"epoch":{}}}"#, NUMBER_MAX >> 32);
        for broken in ["", "[]", r#"{"epoch":-1}"#, r#"{"epoch":"1"}"#, &highest] {
            std::fs::write(&file, broken).unwrap();
            assert_eq!(raise().unwrap_err().kind(), ErrorKind::StoreMissing, "{broken}");
        }
    }
}
