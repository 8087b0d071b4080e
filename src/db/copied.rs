//! A value that is copied out of a store.

use crate::store::Copying;
use crate::store::error::{Error, Result};

/// A copy of a value.
#[derive(Default)]
pub(super) struct Copied {
    value: Vec<u8>,
    has_no_memory: bool,
}

impl Copying for Copied {
    fn begin(&mut self, len: usize) -> bool {
        // What was copied by an attempt that failed does not count.
        self.value.clear();
        self.has_no_memory = self.value.try_reserve_exact(len).is_err();
        !self.has_no_memory
    }

    fn copy(&mut self, bytes: &[u8]) {
        self.value.extend_from_slice(bytes);
    }
}

/// What `copy` copies, as a value of its own.
pub(super) fn whole(copy: impl FnOnce(&mut Copied) -> Result<Option<usize>>) -> Result<Option<Vec<u8>>> {
    let mut copied = Copied::default();
    match copy(&mut copied)? {
        Some(len) if copied.has_no_memory => Err(Error::NoMemory { bytes: len as u64 }),
        Some(_) => Ok(Some(copied.value)),
        None => Ok(None),
    }
}
