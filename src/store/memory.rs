//! Asking for memory in such a way that a refusal is an error.
//!
//! The Rust runtime ends the process, and prints, where an allocation of its own is refused. So whatever is large, or grows with
//! what a store holds, is asked for here. What is small (a path, a handle, a name) is too much in number for that: before a call
//! makes such things it asks for [`room_for_small_things`]; and in the C libraries there is a pool for those that are refused
//! nevertheless. (A Rust program has an allocator of its own choice, and ends where that refuses something small, as every one does.)

#[cfg(any(test, feature = "c-library"))]
mod pool;

use std::alloc::{Layout, alloc};
use std::hint::black_box;
use std::io;
use std::ptr::NonNull;

/// Memory was asked for and not given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How many.
    pub bytes: usize,
}

impl From<Refused> for io::Error {
    fn from(_: Refused) -> Self {
        // Without memory of its own.
        io::Error::from_raw_os_error(libc::ENOMEM)
    }
}

/// What calls make without asking, one after the other or at once, is less than this. It is a size that the allocators of C
/// libraries keep in one piece with what is around it, to be given out in smaller ones.
const SMALL_THINGS: usize = 64 << 10;

/// An error where the process gets no memory. Where it gets some, what the caller allocates from here on in small pieces is given
/// to it, unless another thread takes it first.
pub fn room_for_small_things() -> Result<(), Refused> {
    room_for(SMALL_THINGS)
}

/// As [`room_for_small_things`], for so many bytes of them.
pub fn room_for(bytes: usize) -> Result<(), Refused> {
    // Given back at once, to an allocator that keeps it for who asks next. The compiler must not see that it is of no use.
    black_box(vec_with_room::<u8>(bytes)?);
    Ok(())
}

/// As [`room_for_small_things`], for what is done often: it asks where many small pieces were refused before.
#[inline]
pub fn room_for_more() -> Result<(), Refused> {
    #[cfg(feature = "c-library")]
    if pool::is_low() {
        return room_for_small_things();
    }
    Ok(())
}

#[cfg(feature = "c-library")]
#[global_allocator]
static ALLOCATOR: pool::Lenient = pool::Lenient;

/// An empty vector with room for `count` items.
pub fn vec_with_room<T>(count: usize) -> Result<Vec<T>, Refused> {
    let mut items = Vec::new();
    let refused = Refused { bytes: count.saturating_mul(size_of::<T>()) };
    items.try_reserve_exact(count).map_err(|_| refused)?;
    Ok(items)
}

/// A vector of so many items with this value.
pub fn vec_of<T: Clone>(value: T, count: usize) -> Result<Vec<T>, Refused> {
    let mut items = vec_with_room(count)?;
    items.resize(count, value);
    Ok(items)
}

/// A vector with copies of these items.
pub fn copy_of<T: Clone>(items: &[T]) -> Result<Vec<T>, Refused> {
    let mut copies = vec_with_room(items.len())?;
    copies.extend_from_slice(items);
    Ok(copies)
}

/// Puts copies of these items in the place of what a vector holds.
pub fn copy_to<T: Clone>(to: &mut Vec<T>, items: &[T]) -> Result<(), Refused> {
    to.clear();
    reserve(to, items.len())?;
    to.extend_from_slice(items);
    Ok(())
}

/// All items of an iterator.
pub fn collect<T>(items: impl IntoIterator<Item = T>) -> Result<Vec<T>, Refused> {
    let items = items.into_iter();
    let mut all = vec_with_room(items.size_hint().0)?;
    for item in items {
        push(&mut all, item)?;
    }
    Ok(all)
}

/// Makes room for so many more items.
#[inline]
pub fn reserve<T>(items: &mut Vec<T>, more: usize) -> Result<(), Refused> {
    let bytes = items.len().saturating_add(more).saturating_mul(size_of::<T>());
    items.try_reserve(more).map_err(|_| Refused { bytes })
}

/// Appends an item.
#[inline]
pub fn push<T>(items: &mut Vec<T>, item: T) -> Result<(), Refused> {
    reserve(items, 1)?;
    items.push(item);
    Ok(())
}

/// A value in memory of its own.
pub fn boxed<T>(value: T) -> Result<Box<T>, Refused> {
    let layout = Layout::new::<T>();
    if layout.size() == 0 {
        return Ok(Box::new(value));
    }
    // SAFETY: the layout is not empty.
    let place = NonNull::new(unsafe { alloc(layout) }).ok_or(Refused { bytes: layout.size() })?.cast::<T>();
    // SAFETY: just allocated with the layout of a `T`, as a Box would have.
    unsafe {
        place.write(value);
        Ok(Box::from_raw(place.as_ptr()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_machine_has_is_refused() {
        let all = usize::MAX;
        assert_eq!(vec_with_room::<u64>(all).unwrap_err(), Refused { bytes: all });
        // Each has half of all addresses, and the program has some.
        let halves = [vec_of(0u8, all / 2), vec_of(0u8, all / 2)];
        assert!(halves.iter().any(|half| half.is_err()));
        assert!(collect(0..all).is_err());
        assert!(reserve(&mut vec![1u8], all).is_err());
    }

    #[test]
    fn what_there_is_memory_for_is_given() {
        room_for_small_things().unwrap();
        assert_eq!(vec_of(7, 3).unwrap(), [7, 7, 7]);
        assert_eq!(copy_of(&[1, 2]).unwrap(), [1, 2]);
        let mut copy = vec![3, 4, 5];
        copy_to(&mut copy, &[6]).unwrap();
        assert_eq!(copy, [6]);
        assert_eq!(*boxed("a value").unwrap(), "a value");
        assert_eq!(*boxed(()).unwrap(), ());
        assert_eq!(collect((0..9).filter(|n| n % 3 == 0)).unwrap(), [0, 3, 6]);
        let mut items = Vec::new();
        (0..1000).for_each(|n| push(&mut items, n).unwrap());
        assert!(items.into_iter().eq(0..1000));
    }
}
