//! How a store is copied while it is in use, and how far that has come.

/// How a backup is made: `BackupOptions::new().copy()`.
///
/// Later versions may have more fields: a program that names them ends with `..BackupOptions::default()`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BackupOptions {
    /// No file of the backup is one of the store's files under another name: the bytes are copied, or, where the file system can do
    /// that, shared until one of the two changes.
    pub copy: bool,
    /// No more bytes are copied in a second; 0 for no limit. Links cost nothing.
    pub rate_limit: u64,
}

impl BackupOptions {
    /// Hard links where they can be had, and no limit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Never hard links.
    #[must_use]
    pub fn copy(self) -> Self {
        BackupOptions { copy: true, ..self }
    }

    /// No more than so many bytes in a second.
    #[must_use]
    pub fn rate_limit(self, bytes: u64) -> Self {
        BackupOptions { rate_limit: bytes, ..self }
    }
}

/// How far a backup has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupProgress {
    /// Files of the store that the backup has, and how many there are. Those that an older backup has count at once.
    pub files: (u64, u64),
    /// The bytes of these files.
    pub bytes: (u64, u64),
    /// Bytes that were written: neither linked nor there before.
    pub copied_bytes: u64,
}
