//! What the index keeps for a key: where its record is, and about how large it is, in 56 bits.

/// Where a record is: the slot of its file in the table of files, and the offset in units of 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Location {
    /// The file's place in the table of files.
    pub slot: u16,
    /// The offset of the frame, in units of 8 bytes. Never 0: a file begins with its header.
    pub units: u32,
}

/// A record's place and size class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is.
    pub location: Location,
    /// About how large its frame is.
    pub size: SizeClass,
}

/// The size of a frame in one byte: exact up to 248 bytes, then in eight steps per doubling, rounded up.
///
/// It tells how many bytes die with an overwritten record without reading it, and how much to read at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SizeClass(u8);

/// The classes of heads of collections: powers of two from 64 bytes on. No other frame has one of these classes, of which the largest is
/// that of 4 GiB and a key.
const FIRST_HEAD: u8 = 240;
const SMALLEST_HEAD: u64 = 64;

const EXACT: u64 = 32;
const STEPS: u64 = 8;

impl SizeClass {
    /// Marks a tombstone while the index is being rebuilt.
    pub const TOMBSTONE: SizeClass = SizeClass(0);

    /// The class of a frame of this many units of 8 bytes.
    pub fn of_units(units: u64) -> Self {
        if units < EXACT {
            return SizeClass(units.max(1) as u8);
        }
        // units - 1 lies in [2^e, 2^(e+1)), e >= 4 after rounding up to a multiple of 2^e / 8.
        let exponent = (units - 1).ilog2() as u64;
        let step = 1u64 << (exponent - 3);
        let steps = (units - (1 << exponent)).div_ceil(step);
        SizeClass((EXACT + (exponent - 4) * STEPS + steps - 1).min(255) as u8)
    }

    /// The class of the head of a collection of this many units of 8 bytes: the index knows heads from values.
    pub fn of_head(units: u64) -> Self {
        let doublings = (units * 8).max(SMALLEST_HEAD).next_power_of_two().ilog2() - SMALLEST_HEAD.ilog2();
        SizeClass(FIRST_HEAD + doublings.min(u32::from(u8::MAX - FIRST_HEAD)) as u8)
    }

    /// Whether it is the class of a head.
    #[inline]
    pub fn is_head(self) -> bool {
        self.0 >= FIRST_HEAD
    }

    /// The largest size of this class in bytes.
    pub fn bytes(self) -> u64 {
        if self.is_head() {
            return SMALLEST_HEAD << (self.0 - FIRST_HEAD);
        }
        let class = u64::from(self.0);
        if class < EXACT {
            return class * 8;
        }
        let (exponent, steps) = ((class - EXACT) / STEPS + 4, (class - EXACT) % STEPS + 1);
        ((1 << exponent) + steps * (1 << (exponent - 3))) * 8
    }
}

const LOCATION_MASK: u64 = (1 << 48) - 1;

impl Entry {
    /// The entry in the low 56 bits of a word whose high 8 bits are the fingerprint.
    #[inline]
    pub(super) fn pack(self, fingerprint: u8) -> u64 {
        u64::from(fingerprint) << 56
            | u64::from(self.size.0) << 48
            | u64::from(self.location.slot) << 32
            | u64::from(self.location.units)
    }

    /// A number that is in the order of files and places, for sorting many entries, and back.
    pub fn place(self) -> u64 {
        let packed = self.pack(0);
        packed << 16 >> 8 | packed >> 48
    }

    /// The entry that [`Entry::place`] made the number from; `None` where it did not.
    pub fn from_place(place: u64) -> Option<Self> {
        Self::unpack(place >> 8 | place << 56 >> 8)
    }

    /// The entry of a word; `None` for an empty slot.
    #[inline]
    pub(super) fn unpack(word: u64) -> Option<Self> {
        if word & LOCATION_MASK == 0 {
            return None;
        }
        Some(Entry {
            location: Location { slot: (word >> 32) as u16, units: word as u32 },
            size: SizeClass((word >> 48) as u8),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_class_is_never_too_small_and_at_most_an_eighth_too_large() {
        for units in (1..5_000).chain((12..29).flat_map(|e| (1 << e) - 2..(1 << e) + 3)) {
            let class = SizeClass::of_units(units);
            assert!(class.bytes() >= units * 8, "{units} units: {} bytes", class.bytes());
            assert!(class.bytes() <= units * 9, "{units} units: {} bytes", class.bytes());
            if units < EXACT {
                assert_eq!(class.bytes(), units * 8);
            }
        }
        let largest = (1u64 << 32) + 65_600;
        assert!(SizeClass::of_units(largest / 8).bytes() >= largest);
        assert!(!SizeClass::of_units(largest / 8).is_head());
        for units in 1..10_000 {
            let class = SizeClass::of_head(units);
            assert!(class.is_head() && class.bytes() >= units * 8, "{units} units: {} bytes", class.bytes());
        }
    }

    #[test]
    fn an_entry_is_unpacked_as_it_was_packed() {
        let entry = Entry { location: Location { slot: 0xABCD, units: 0x1234_5678 }, size: SizeClass(0x5A) };
        assert_eq!(Entry::unpack(entry.pack(0xFE)), Some(entry));
        assert_eq!(Entry::unpack(0), None);
    }
}
