//! Room on the disk. A commit that finds none is a failed commit, after which the store cannot be used; and moving changes into
//! files needs room, too. So growth is refused while there is still some, and what a lease needs (renewals, releases, takeovers)
//! goes on with the rest, at last with the room that the store's reserve gives back. When that is used up everything is refused,
//! and nothing breaks.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::{LSM_ROOM, LSM_ROOM_LEAST};
use crate::store::disk::room::may_use;

/// What there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Bytes of records that may be written.
    left: u64,
    /// Whether states may grow.
    plenty: bool,
}

impl Room {
    /// With so many bytes free on the disk. Half of them are left to what else the file system needs.
    #[must_use]
    pub const fn of(free: u64) -> Self {
        Self { left: free / 2, plenty: free >= LSM_ROOM }
    }

    /// Whether the reserve may be made whole again.
    #[must_use]
    pub const fn is_plenty(self) -> bool {
        self.plenty
    }

    /// Whether it is time for the reserve.
    #[must_use]
    pub const fn is_short(self) -> bool {
        self.left < LSM_ROOM_LEAST
    }

    /// Whether a state that is not part of its record may be written.
    ///
    /// # Errors
    /// [`ErrorKind::StoreFull`] when not.
    pub fn check_growth(self) -> Result<()> {
        if self.plenty { Ok(()) } else { Err(full("a large state")) }
    }

    /// Takes room for a record in the place of one of the length `before`.
    ///
    /// # Errors
    /// [`ErrorKind::StoreFull`] when there is none for it.
    pub fn take(&mut self, record: usize, before: usize) -> Result<()> {
        let needs = record as u64;
        if needs > self.left || self.is_short() || !(self.plenty || may_use(record, before)) {
            return Err(full(format_args!("a record of {record} bytes")));
        }
        self.left -= needs;
        Ok(())
    }
}

fn full(what: impl fmt::Display) -> Error {
    Error::new(ErrorKind::StoreFull, format!("the disk is almost full: there is no room for {what}"))
        .with_hint("make room on the file system of the store")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_refused_before_what_does_not() {
        let kinds = |free: u64, record, before| Room::of(free).take(record, before).map_err(|e| e.kind());
        let full = Err(ErrorKind::StoreFull);
        assert_eq!(kinds(LSM_ROOM, 16_000, 0), Ok(()));
        assert_eq!(kinds(LSM_ROOM - 1, 16_000, 0), full);
        assert_eq!(kinds(LSM_ROOM - 1, 16_000, 15_000), Ok(()));
        assert_eq!(kinds(LSM_ROOM - 1, 1_000, 0), Ok(()));
        assert_eq!(kinds(2 * LSM_ROOM_LEAST, 1_000, 1_000), Ok(()));
        assert_eq!(kinds(2 * LSM_ROOM_LEAST - 2, 1_000, 1_000), full);
    }

    #[test]
    fn a_batch_takes_no_more_than_there_is() {
        let mut room = Room::of(2 * LSM_ROOM_LEAST + 4_000);
        assert_eq!([(); 4].map(|()| room.take(1_000, 1_000).is_ok()), [true, true, true, false]);
    }
}
