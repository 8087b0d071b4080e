//! The names of a store's files. A name that is not exactly one of these is left alone; so is the lock file's, which
//! belongs to `disk/`.

use super::FileId;

/// The set of live files.
pub const MANIFEST: &str = "MANIFEST";
/// The next manifest, before it takes the place of the last.
pub const MANIFEST_TMP: &str = "MANIFEST.tmp";
/// The whole index, written by a clean close.
pub const CHECKPOINT: &str = "CHECKPOINT";
/// The next checkpoint, before it takes the place of the last.
pub const CHECKPOINT_TMP: &str = "CHECKPOINT.tmp";

/// In a backup: of which store it is.
pub const BACKUP: &str = "BACKUP";
/// The next of these, before it takes the place of the last.
pub const BACKUP_TMP: &str = "BACKUP.tmp";
/// A file of a backup that is being copied.
pub const COPY_TMP: &str = "COPY.tmp";

/// Room on a full disk for deletes: content without meaning.
pub const RESERVE_FOR_DELETES: &str = "RESERVE.deletes";
/// Room on a full disk for merges: content without meaning.
pub const RESERVE_FOR_MERGES: &str = "RESERVE.merges";

/// What a name of ours stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// The manifest.
    Manifest,
    /// The checkpoint.
    Checkpoint,
    /// What a backup says of itself.
    Backup,
    /// Room for when there is none left.
    Reserve,
    /// A file that was being written when its writer died.
    Temporary,
    /// A data file.
    Data(FileId),
    /// The hint file of a data file.
    Hint(FileId),
    /// A run of the ordered engine.
    Run(FileId),
}

/// `0000000001.data`
pub fn data(id: FileId) -> String {
    format!("{id:010}.data")
}

/// `0000000001.hint`
pub fn hint(id: FileId) -> String {
    format!("{id:010}.hint")
}

/// `0000000001.run`
pub fn run(id: FileId) -> String {
    format!("{id:010}.run")
}

/// `0000000001.hint.tmp`
pub fn hint_tmp(id: FileId) -> String {
    format!("{id:010}.hint.tmp")
}

/// What `name` stands for, or `None` where it is not ours.
pub fn parse(name: &str) -> Option<Name> {
    match name {
        MANIFEST => return Some(Name::Manifest),
        CHECKPOINT => return Some(Name::Checkpoint),
        RESERVE_FOR_DELETES | RESERVE_FOR_MERGES => return Some(Name::Reserve),
        BACKUP => return Some(Name::Backup),
        MANIFEST_TMP | CHECKPOINT_TMP | BACKUP_TMP | COPY_TMP => return Some(Name::Temporary),
        _ => {}
    }
    let (digits, suffix) = name.split_at_checked(10)?;
    let id = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok())??;
    match (id, suffix) {
        (0, _) => None,
        (id, ".data") => Some(Name::Data(id)),
        (id, ".hint") => Some(Name::Hint(id)),
        (id, ".run") => Some(Name::Run(id)),
        (_, ".hint.tmp") => Some(Name::Temporary),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_foreign_names_are_left_alone() {
        assert_eq!(parse(&data(7)), Some(Name::Data(7)));
        assert_eq!(parse(&run(8)), Some(Name::Run(8)));
        assert_eq!(parse(&hint(u32::MAX)), Some(Name::Hint(u32::MAX)));
        assert_eq!(parse(&hint_tmp(7)), Some(Name::Temporary));
        for foreign in [
            "",
            "1.data",
            "00000000001.data",
            "0000000000.data",
            "4294967296.data",
            "0000000001.dat",
            "+000000001.data",
            "README",
            "éééééé",
        ] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
