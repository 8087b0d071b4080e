//! Structs that begin with their own size, as programs lay them out that know another version of the header.

use super::{Call, Plain, present};
use crate::Error;
use crate::capi::error::Failure;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::slice;

/// A struct whose first member is an `u32`, its size.
///
/// # Safety
/// That has to be true, and it has no gaps between its members.
pub(in crate::capi) unsafe trait Versioned: Plain {
    /// The size that the struct had in version 0.1.0. It is meant by a size of 0, so that `= {0}` begins such a struct.
    const FIRST_VERSION: usize;
    /// A smaller size was never set. Between this and the first version, members at the end are left out.
    const LEAST: usize = 16;
}

/// No version is as large as this: such a size was never set.
const ABSURD: usize = 4096;

/// The size that the caller's struct says it has.
fn size_of_callers<T: Versioned>(what: &str, place: NonNull<T>) -> Result<usize, Failure> {
    // SAFETY: the header's contract: there is at least the first member, which is an `u32`.
    let size = unsafe { place.cast::<u32>().read() } as usize;
    if size == 0 {
        return Ok(T::FIRST_VERSION);
    }
    if (T::LEAST..ABSURD).contains(&size) {
        return Ok(size);
    }
    Err(Failure::invalid(format!(
        "the struct_size of '{what}' is {size}; set it to the sizeof of the struct"
    )))
}

impl Call {
    /// A copy of the caller's struct. One that is longer than ours is taken where it asks for nothing new.
    pub(in crate::capi) fn sized<T: Versioned>(&self, what: &str, place: *const T) -> Result<T, Failure> {
        let place = present(what, place.cast_mut())?;
        let size = size_of_callers(what, place)?;
        // SAFETY: the header's contract: so many bytes are there, as the struct itself says.
        let bytes = unsafe { slice::from_raw_parts(place.as_ptr().cast::<u8>(), size) };
        let (known, unknown) = bytes.split_at(size.min(size_of::<T>()));
        if unknown.iter().any(|byte| *byte != 0) {
            let message = format!("'{what}' asks for something that this version of filedb does not know");
            return Err(Error::Unsupported { message }.into());
        }
        let mut copy = MaybeUninit::<T>::zeroed();
        // SAFETY: `known` is no longer than a `T`, any bytes of which are a `Plain`, zeroes too.
        unsafe {
            ptr::copy_nonoverlapping(known.as_ptr(), copy.as_mut_ptr().cast::<u8>(), known.len());
            Ok(copy.assume_init())
        }
    }

    /// The place for an answer, zeroed now but for its size, and set at the end.
    pub(in crate::capi) fn sized_out<T: Versioned>(
        &self,
        what: &str,
        place: *mut T,
    ) -> Result<SizedOut<'_, T>, Failure> {
        let place = present(what, place)?;
        let size = size_of_callers(what, place)?;
        // SAFETY: the header's contract: so many bytes are there, as the struct itself says.
        unsafe { place.as_ptr().cast::<u8>().add(size_of::<u32>()).write_bytes(0, size - size_of::<u32>()) };
        Ok(SizedOut { place, size, _call: PhantomData })
    }
}

/// Where the caller wants an answer that may be longer or shorter than ours.
pub(in crate::capi) struct SizedOut<'call, T> {
    place: NonNull<T>,
    size: usize,
    _call: PhantomData<&'call Call>,
}

impl<T: Versioned> SizedOut<'_, T> {
    /// Sets what both have. The size stays the caller's.
    pub(in crate::capi) fn set(&self, answer: T) {
        const FIRST: usize = size_of::<u32>();
        let size = self.size.min(size_of::<T>());
        // SAFETY: both have `size` bytes, and `answer` is ours, so they do not overlap.
        unsafe {
            let from = ptr::from_ref(&answer).cast::<u8>().add(FIRST);
            ptr::copy_nonoverlapping(from, self.place.as_ptr().cast::<u8>().add(FIRST), size - FIRST);
        }
    }
}
