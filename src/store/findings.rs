//! What a look for damage finds: places, how bad each is, and a report in numbers.

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// No damage: what a crash may leave, or something worth knowing.
    Note = 1,
    /// Bytes are not what was written, and no key is lost with them: dead records, hints, the checkpoint.
    SpaceLost = 2,
    /// What a key held is lost, or the store does not open because of it.
    DataLost = 3,
}

/// One damaged or suspicious place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding<'a> {
    /// How bad it is.
    pub severity: Severity,
    /// The name of the file, in the store's directory.
    pub file: &'a str,
    /// Where in the file it begins, in bytes.
    pub offset: u64,
    /// How many bytes are concerned; 0 where that cannot be said.
    pub length: u64,
    /// A sentence that says what it is and what it means.
    pub message: &'a str,
    /// The key concerned, where it can be known.
    pub key: Option<&'a [u8]>,
}

/// What was looked at, and what is lost, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// Data files that were looked at.
    pub files: u64,
    /// Bytes of data files that were looked at.
    pub bytes: u64,
    /// Intact records in them, also those that are dead.
    pub records: u64,
    /// Keys that the store has; of a salvage, keys that the new store has.
    pub keys: u64,
    /// Files with damage.
    pub damaged_files: u32,
    /// Findings that are no notes.
    pub damaged_places: u64,
    /// Keys whose newest value is lost: as many as are known of. Each finding of lost data counts one at least.
    pub keys_lost: u64,
}

impl CheckReport {
    /// Whether nothing but notes was found.
    pub fn is_sound(&self) -> bool {
        self.damaged_places == 0
    }
}

/// How far a check or a salvage has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckProgress {
    /// Bytes of data files that were read.
    pub bytes: u64,
    /// About how many there are to read.
    pub of: u64,
}
