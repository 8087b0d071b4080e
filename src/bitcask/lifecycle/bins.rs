//! Records on their way into an index that is being rebuilt. They are held in bins, by the part of the index that they go to, and put
//! into it many at a time.

use super::expiring::Expiring;
use super::rebuild::Rebuild;
use crate::disk::process;
use crate::format::ALIGNMENT;
use crate::format::frame::Kind;
use crate::format::manifest::FileState;
use crate::index::{Absorber, Entry, Index, KeyHash, KeyHasher, Location, SizeClass, Version};
use crate::log::append::weight;
use crate::log::file::{DataFile, Frame};
use crate::store::error::Result;
use crate::store::memory;
use crate::sync::lock::Mutex;
use crate::sync::parallel::on_all_cores;

/// One record of a file, from its hint or its frame.
pub struct Found {
    /// The hash of the record's key.
    pub hash: KeyHash,
    /// Where the record's frame begins and how long it is, in units of 8 bytes.
    pub units: (u32, u32),
    /// The sequence number of the record.
    pub seq: u64,
    /// When the record expires.
    pub expiry_ms: Option<u64>,
    /// What the record does.
    pub kind: Kind,
}

impl Found {
    /// What the frame of a record says.
    pub fn of(frame: &Frame<'_>, hasher: &KeyHasher) -> Self {
        Found {
            hash: hasher.hash(frame.key()),
            units: ((frame.offset / ALIGNMENT) as u32, (frame.header.frame_size() / ALIGNMENT) as u32),
            seq: frame.header.seq,
            expiry_ms: frame.header.expiry_ms,
            kind: frame.header.kind,
        }
    }
}

/// The bytes of records that are held before the index takes them, at most. The more there are, the less often is it written.
const HELD: u64 = 192 << 20;
/// The part of the memory that records take which are held.
const HELD_SHARE: u64 = 8;

/// Records on their way into the index, by the first byte of their hashes: those of one byte go to the same memory.
pub(super) struct Bins<'a> {
    rebuild: &'a Rebuild<'a>,
    absorber: Absorber<'a>,
    pub bins: Vec<Vec<Version>>,
    /// How many records a bin holds before they are put into the index.
    most: usize,
    pub expiring: Expiring,
}

impl<'a> Bins<'a> {
    fn new(rebuild: &'a Rebuild<'a>, index: &'a Index, threads: usize) -> Result<Self> {
        let roots = usize::from(u8::MAX) + 1;
        let held = process::memory_share(HELD_SHARE, 0..=HELD) as usize / size_of::<Version>();
        Ok(Bins {
            rebuild,
            absorber: index.absorber(),
            bins: memory::vec_of(Vec::new(), roots)?,
            // A power of two, so that the vectors do not grow past it.
            most: 1 << (held / roots / threads).max(1).ilog2(),
            expiring: Expiring::default(),
        })
    }

    /// Takes a record of a file.
    fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        let size = weight(found.kind, u64::from(found.units.1));
        let entry = Entry {
            location: Location { slot: file.slot, units: found.units.0 },
            size: if found.kind == Kind::Tombstone { SizeClass::TOMBSTONE } else { size },
        };
        if let Some(expiry_ms) = found.expiry_ms {
            self.expiring.push(found.hash, entry, expiry_ms)?;
        }
        let root = found.hash.root;
        let bin = &mut self.bins[usize::from(root)];
        memory::push(bin, Version::new(found.hash, entry, found.seq))?;
        if bin.len() >= self.most {
            self.rebuild.absorb(&mut self.absorber, root, bin)?;
        }
        if self.expiring.is_full() { self.sweep() } else { Ok(()) }
    }

    /// Forgets which records expire that are not the newest of their keys.
    #[cold]
    fn sweep(&mut self) -> Result<()> {
        for (root, bin) in (0..=u8::MAX).zip(&mut self.bins) {
            self.rebuild.absorb(&mut self.absorber, root, bin)?;
        }
        self.expiring.sweep(&self.rebuild.index);
        Ok(())
    }
}

/// The records of keys, and those of elements.
pub(super) struct Both<'a> {
    pub keys: Bins<'a>,
    pub elements: Option<Bins<'a>>,
}

impl<'a> Both<'a> {
    pub fn new(rebuild: &'a Rebuild<'a>, threads: usize) -> Result<Self> {
        let elements = rebuild.elements.as_ref().map(|index| Bins::new(rebuild, index, threads));
        Ok(Both { keys: Bins::new(rebuild, &rebuild.index, threads)?, elements: elements.transpose()? })
    }

    pub fn push(&mut self, file: &DataFile, found: &Found) -> Result<()> {
        if matches!(found.kind, Kind::Range | Kind::Gone) {
            let what = "there is a record of another engine";
            return Err(file.corrupt(u64::from(found.units.0) * ALIGNMENT, what));
        }
        match &mut self.elements {
            Some(elements) if found.kind == Kind::Element => elements.push(file, found),
            None if matches!(found.kind, Kind::Element | Kind::Head) => {
                let what = "there is a collection, and the manifest does not say so";
                Err(file.corrupt(u64::from(found.units.0) * ALIGNMENT, what))
            }
            _ => self.keys.push(file, found),
        }
    }
}

impl Rebuild<'_> {
    /// Puts into an index what is left in bins.
    pub fn absorb_rest(&self, index: &Index, left: &[Mutex<Vec<Vec<Version>>>]) -> Result<()> {
        let absorbed = on_all_cores(usize::from(u8::MAX) + 1, self.bytes(), |roots| {
            let mut absorber = index.absorber();
            for root in roots {
                let mut versions = Vec::new();
                for bins in left {
                    let mut some = std::mem::take(&mut bins.lock()[root]);
                    memory::reserve(&mut versions, some.len())?;
                    versions.append(&mut some);
                }
                self.absorb(&mut absorber, root as u8, &mut versions)?;
            }
            Ok(())
        });
        absorbed.into_iter().collect::<Result<()>>()
    }

    fn absorb(&self, absorber: &mut Absorber<'_>, root: u8, versions: &mut Vec<Version>) -> Result<()> {
        absorber.absorb(root, versions, |version, other| self.is_newer(version, other))
    }

    fn is_newer(&self, version: &Version, other: Entry) -> Result<bool> {
        let file = |entry: Entry| self.by_slot.get(usize::from(entry.location.slot)).and_then(Option::as_ref);
        let (Some(own), Some((state, other_file))) = (version.entry().and_then(file), file(other)) else {
            return Ok(true);
        };
        if *state == FileState::Sealed && other_file.id != own.1.id {
            let (min, max) = other_file.seqs();
            if version.seq > max || version.seq < min {
                return Ok(version.seq > max);
            }
        }
        Ok(version.seq > other_file.seq_at(u64::from(other.location.units) * ALIGNMENT)?)
    }
}
