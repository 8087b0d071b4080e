//! How a power cut treats what was not synced, and the random numbers that decide it.
//!
//! The numbers come from a seed and nothing else, so that every image can be made again.

/// The page of the simulated page cache: what a kernel writes back as one.
pub const PAGE: u64 = 4096;
/// The sector of the simulated disk: what a good disk writes as one.
pub const SECTOR: u64 = 512;

/// What a power cut leaves of the data, the sizes and the names that were not synced.
///
/// The numbers are the size of the unit that is written whole: [`PAGE`], [`SECTOR`], or 1 for a disk that promises
/// nothing. Data, sizes and names are lost independently of each other, as the weakest file systems do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerCut {
    /// Nothing that was not synced is there.
    LosesAll,
    /// Everything is there: the cache had just been written back.
    KeepsAll,
    /// Names and sizes are there, data is not: new files are empty or full of zeros.
    KeepsNames,
    /// Data and sizes are there, names are not.
    KeepsData,
    /// Each file keeps its changes up to a random one in the order they were made, and that one is torn at a unit.
    /// Names likewise.
    Torn(u64),
    /// Each unit of each file holds any of the versions it had since the last sync, and sizes and names are any mix.
    Scattered(u64),
    /// The units that were written last are there, those written before them are not.
    NewestFirst(u64),
    /// Each file suffers one of the fates above.
    Mixed,
}

impl PowerCut {
    /// Every policy, with every unit.
    pub const ALL: [PowerCut; 14] = [
        PowerCut::LosesAll,
        PowerCut::KeepsAll,
        PowerCut::KeepsNames,
        PowerCut::KeepsData,
        PowerCut::Torn(1),
        PowerCut::Torn(SECTOR),
        PowerCut::Torn(PAGE),
        PowerCut::Scattered(1),
        PowerCut::Scattered(64),
        PowerCut::Scattered(SECTOR),
        PowerCut::Scattered(PAGE),
        PowerCut::NewestFirst(1),
        PowerCut::NewestFirst(SECTOR),
        PowerCut::Mixed,
    ];

    /// What happens to one file, or to the names, under this policy.
    pub(super) fn fate(self, random: &mut Random) -> PowerCut {
        match self {
            PowerCut::Mixed => PowerCut::ALL[random.below(PowerCut::ALL.len() as u64 - 1) as usize],
            fixed => fixed,
        }
    }
}

/// A small random number generator (SplitMix64): the same seed, the same numbers, on every machine.
#[derive(Clone, Debug, Default)]
pub struct Random(u64);

impl Random {
    /// A generator that gives the numbers of this seed.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `limit` - 1; 0 where `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(limit)) >> 64) as u64
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}
