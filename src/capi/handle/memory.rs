//! Where answers go: the caller's out-parameters and buffers, and blocks of memory that become the caller's.

use super::Call;
use super::sized::Versioned;
use crate::Error;
use crate::capi::changes::filedb_change;
use crate::capi::check::filedb_check_report;
use crate::capi::error::Failure;
use crate::capi::pinned::filedb_pinned;
use crate::capi::put_options::filedb_put_options;
use crate::capi::range::filedb_range;
use crate::capi::slice::filedb_slice;
use crate::capi::stats::filedb_store_stats;
use crate::db::Copying;
use std::ffi::c_void;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Plain C data: any bytes are a value of it, zeroes too, and there is nothing to drop.
///
/// # Safety
/// That has to be true.
pub(in crate::capi) unsafe trait Plain: Copy {}
// SAFETY: integers, and pointers, which are not followed before they were checked.
unsafe impl Plain for i32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above.
unsafe impl Plain for i64 {}
// SAFETY: as above.
unsafe impl Plain for usize {}
// SAFETY: as above.
unsafe impl<T> Plain for *mut T {}
// SAFETY: as above.
unsafe impl<T> Plain for *const T {}
// SAFETY: a struct of the above.
unsafe impl Plain for filedb_slice {}
// SAFETY: a struct of the above.
unsafe impl Plain for filedb_pinned {}
// SAFETY: a struct of integers, without gaps.
unsafe impl Plain for filedb_put_options {}
// SAFETY: it begins with its size, and 4, 4 and 8 bytes leave no gap.
unsafe impl Versioned for filedb_put_options {
    const FIRST_VERSION: usize = 16;
}
// SAFETY: a struct of integers and of slices, as above, without gaps.
unsafe impl Plain for filedb_range {}
// SAFETY: it begins with its size; two of 4 bytes before those of 8, or of 4, leave no gap.
unsafe impl Versioned for filedb_range {
    const FIRST_VERSION: usize = size_of::<filedb_range>();
}
// SAFETY: a struct of integers, without gaps.
unsafe impl Plain for filedb_store_stats {}
// SAFETY: it begins with its size, and two of 4 bytes before those of 8 leave no gap.
unsafe impl Versioned for filedb_store_stats {
    const FIRST_VERSION: usize = 104;
}

// SAFETY: a struct of integers, without gaps.
unsafe impl Plain for filedb_check_report {}
// SAFETY: it begins with its size, and two of 4 bytes before those of 8 leave no gap.
unsafe impl Versioned for filedb_check_report {
    const FIRST_VERSION: usize = 56;
}

// SAFETY: a struct of integers and of slices, as above, without gaps.
unsafe impl Plain for filedb_change {}
// SAFETY: it begins with its size, and two of 4 bytes before those of 8, or of 4, leave no gap.
unsafe impl Versioned for filedb_change {
    const FIRST_VERSION: usize = size_of::<filedb_change>();
}

/// Where the caller wants one or more answers. Zeroed when it was made.
pub(in crate::capi) struct Out<'call, T> {
    place: NonNull<T>,
    count: usize,
    _call: PhantomData<&'call Call>,
}

impl<T: Plain> Out<'_, T> {
    /// Zeroes `count` answers at `place`, which the caller of this has checked: aligned and writable.
    pub(super) fn zeroed(place: NonNull<T>, count: usize) -> Self {
        // SAFETY: the header's contract says so, and `Call::outs` checked what can be. Zeroes are a `Plain`.
        unsafe { place.as_ptr().write_bytes(0, count) };
        Out { place, count, _call: PhantomData }
    }

    /// Sets the only answer.
    pub(in crate::capi) fn set(&self, answer: T) {
        self.set_at(0, answer);
    }

    /// Sets answer `index`; one that there is no room for is dropped.
    pub(in crate::capi) fn set_at(&self, index: usize, answer: T) {
        if index < self.count {
            // SAFETY: `zeroed` wrote here before, and `index` is within it.
            unsafe { self.place.as_ptr().add(index).write(answer) };
        }
    }

    /// Sets every answer.
    pub(in crate::capi) fn fill(&self, answer: T) {
        (0..self.count).for_each(|index| self.set_at(index, answer));
    }
}

/// Memory of the caller's that an answer may be copied to. Left as it is until then.
pub(in crate::capi) struct Buffer<'call> {
    data: *mut u8,
    capacity: usize,
    /// How many bytes have been copied.
    filled: usize,
    _call: PhantomData<&'call Call>,
}

impl Buffer<'_> {
    /// `data` is NULL only where `capacity` is 0.
    pub(super) fn new(data: *mut c_void, capacity: usize) -> Self {
        Buffer { data: data.cast(), capacity, filled: 0, _call: PhantomData }
    }

    /// Copies all the bytes, or none where there is no room for all.
    pub(in crate::capi) fn fill(&mut self, what: &'static str, bytes: &[u8]) -> Result<(), Failure> {
        self.check_room(what, bytes.len())?;
        self.copy(bytes);
        Ok(())
    }

    /// `Err` where so many bytes do not fit.
    pub(in crate::capi) fn check_room(&self, what: &'static str, size: usize) -> Result<(), Failure> {
        match self.capacity {
            capacity if size > capacity => Err(Failure::BufferTooSmall { what, size, capacity }),
            _ => Ok(()),
        }
    }
}

impl Copying for Buffer<'_> {
    fn begin(&mut self, len: usize) -> bool {
        len <= self.capacity
    }

    /// # Panics
    /// Where they do not fit, which would be a wrong sum of ours.
    fn copy(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.capacity - self.filled, "an answer does not fit its buffer");
        if !bytes.is_empty() {
            // SAFETY: the header's contract: `capacity` writable bytes, which do not overlap with memory of ours, and these fit.
            unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), self.data.add(self.filled), bytes.len()) };
            self.filled += bytes.len();
        }
    }
}

/// Memory from the C library, to be handed out and given back with filedb_free(). Dropped before that, it is freed.
pub(in crate::capi) struct Block {
    data: NonNull<u8>,
    len: usize,
}

impl Block {
    pub(in crate::capi) fn new(len: usize) -> Result<Block, Failure> {
        // SAFETY: malloc has no conditions. One byte at least, so that NULL can only mean that there is no memory.
        let data = unsafe { libc::malloc(len.max(1)) };
        match NonNull::new(data.cast::<u8>()) {
            Some(data) => Ok(Block { data, len }),
            None => Err(Error::NoMemory { bytes: len as u64 }.into()),
        }
    }

    /// Copies `bytes` to `offset`, and returns where that is.
    ///
    /// # Panics
    /// Where they do not fit, which would be a wrong sum of ours.
    pub(in crate::capi) fn copy(&self, offset: usize, bytes: &[u8]) -> *const c_void {
        assert!(offset <= self.len && bytes.len() <= self.len - offset, "an answer does not fit its block");
        // SAFETY: within the block, by the assertion; `bytes` are elsewhere, nobody has seen this block yet.
        unsafe {
            let place = self.data.as_ptr().add(offset);
            ptr::copy_nonoverlapping(bytes.as_ptr(), place, bytes.len());
            place.cast_const().cast()
        }
    }

    /// The beginning of the block as an array of `count` plain structs, zeroed.
    ///
    /// # Panics
    /// Where they do not fit.
    pub(in crate::capi) fn array<T: Plain>(&self, count: usize) -> Out<'_, T> {
        let fits = count.checked_mul(size_of::<T>()).is_some_and(|size| size <= self.len);
        assert!(fits && self.data.cast::<T>().is_aligned(), "an answer does not fit its block");
        Out::zeroed(self.data.cast(), count)
    }

    /// The memory, which is the caller's from here on.
    pub(in crate::capi) fn hand_out<T>(self) -> *mut T {
        let data = self.data.as_ptr().cast();
        std::mem::forget(self);
        data
    }
}

/// A block that is as large as what is copied to it.
#[derive(Default)]
pub(in crate::capi) struct CopiedBlock {
    block: Option<Block>,
    filled: usize,
}

impl CopiedBlock {
    /// The block, for an answer of so many bytes; `Err` where there was no memory for it.
    pub(in crate::capi) fn finish(self, size: usize) -> Result<Block, Failure> {
        self.block.ok_or_else(|| Error::NoMemory { bytes: size as u64 }.into())
    }
}

impl Copying for CopiedBlock {
    fn begin(&mut self, len: usize) -> bool {
        // What was copied by an attempt that failed does not count.
        (self.block, self.filled) = (Block::new(len).ok(), 0);
        self.block.is_some()
    }

    fn copy(&mut self, bytes: &[u8]) {
        if let Some(block) = &self.block {
            block.copy(self.filled, bytes);
            self.filled += bytes.len();
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: it came from malloc, and was not handed out.
        unsafe { libc::free(self.data.as_ptr().cast()) }
    }
}
