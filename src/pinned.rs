//! A value that stays readable for as long as somebody holds it.

use std::ffi::c_void;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::log::file::DataFile;

/// A value, without a copy where data files are mapped. It outlives the [`crate::Db`] that it came from; while it lives,
/// the data file that it stands in stays on disk.
#[derive(Clone)]
pub struct Pinned {
    data: *const u8,
    len: usize,
    keeper: Keeper,
}

#[derive(Clone)]
enum Keeper {
    /// The bytes are in the file's mapping.
    File(Arc<DataFile>),
    /// The bytes were read into memory of their own.
    Buffer(Arc<Vec<u8>>),
}

// SAFETY: the bytes behind `data` never change, and the keeper, which is Send and Sync, keeps them where they are.
unsafe impl Send for Pinned {}
// SAFETY: as above.
unsafe impl Sync for Pinned {}

/// The lowest bit of a raw pin tells a buffer from a file: both are allocated with a larger alignment.
const BUFFER_TAG: usize = 1;

impl Pinned {
    /// A value that lies in the mapping of `file`.
    pub(crate) fn in_file(file: Arc<DataFile>, value: &[u8]) -> Self {
        Pinned { data: value.as_ptr(), len: value.len(), keeper: Keeper::File(file) }
    }

    /// A copy of `value`.
    pub(crate) fn copied(value: &[u8]) -> Result<Self> {
        let mut buffer = Vec::new();
        let no_memory = |_| Error::NoMemory { bytes: value.len() as u64 };
        buffer.try_reserve_exact(value.len()).map_err(no_memory)?;
        buffer.extend_from_slice(value);
        let buffer = Arc::new(buffer);
        Ok(Pinned { data: buffer.as_ptr(), len: buffer.len(), keeper: Keeper::Buffer(buffer) })
    }

    /// The parts of the value for the C API: where it is, how long it is, and a pin that must be given to
    /// [`Pinned::drop_raw`] once.
    pub fn into_raw(self) -> (*const u8, usize, *mut c_void) {
        let pin = match self.keeper {
            Keeper::File(file) => Arc::into_raw(file).cast::<c_void>().cast_mut(),
            Keeper::Buffer(buffer) => {
                Arc::into_raw(buffer).cast::<c_void>().cast_mut().map_addr(|address| address | BUFFER_TAG)
            }
        };
        (self.data, self.len, pin)
    }

    /// Lets go of a pin.
    ///
    /// # Safety
    /// `pin` came from [`Pinned::into_raw`], is given back for the first time, and the value is not read after this.
    pub unsafe fn drop_raw(pin: *mut c_void) {
        if pin.addr() & BUFFER_TAG == 0 {
            // SAFETY: `into_raw` made it from an Arc of this type.
            drop(unsafe { Arc::from_raw(pin.cast_const().cast::<DataFile>()) });
        } else {
            let buffer = pin.map_addr(|address| address & !BUFFER_TAG);
            // SAFETY: as above.
            drop(unsafe { Arc::from_raw(buffer.cast_const().cast::<Vec<u8>>()) });
        }
    }
}

impl Deref for Pinned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the keeper keeps these bytes mapped or allocated, and nobody changes them.
        unsafe { std::slice::from_raw_parts(self.data, self.len) }
    }
}

impl AsRef<[u8]> for Pinned {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({} bytes)", self.len)
    }
}
