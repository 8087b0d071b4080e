//! The manifest of a store that is opened: the one that is there, or that of a new store.

use super::read_whole;
use crate::disk::Disk;
use crate::format::features::{Needs, Refusal};
use crate::format::manifest::Manifest;
use crate::format::names::{self, Name};
use crate::format::ordered::Ordered;
use crate::log::catalog::write_first_manifest;
use crate::store::error::{Error, Result};
use crate::store::options::Options;

/// Refuses a store that this version does not know all of, before it locks or changes anything in it. Whatever else may be
/// wrong is found, and told, later.
pub fn refuse_other_versions(disk: &dyn Disk) -> Result<()> {
    let begins_as_usual = || -> std::io::Result<bool> {
        let mut bytes = [0; 12];
        disk.open_plain(names::MANIFEST)?.read_at(&mut bytes, 0)?;
        Ok(Manifest::has_usual_version(&bytes))
    };
    // Two openings of the file in the rare case, and twelve bytes of it in the usual one.
    match begins_as_usual() {
        Ok(false) => match read_whole(disk, names::MANIFEST).map(|bytes| Manifest::decode(&bytes)) {
            Ok(Err(Refusal::OtherVersion(words))) => Err(other_version(disk, &words)),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn other_version(disk: &dyn Disk, words: &str) -> Error {
    Error::Unsupported {
        message: format!("the store '{}' {words}; nothing was changed", disk.path().display()),
    }
}

/// The manifest of the store, or, where there is none, that of a new one with these needs.
pub fn load_manifest(disk: &dyn Disk, options: &Options, names: &[String], needs: Needs) -> Result<Manifest> {
    let path = disk.path().join(names::MANIFEST);
    let corrupt = |what| Error::Corrupt { path: path.clone(), file_id: 0, offset: 0, what };
    let is_there = names.iter().any(|name| name == names::MANIFEST);
    if is_there && options.error_if_exists {
        return Err(Error::Exists { path: disk.path().to_path_buf() });
    }
    // A new manifest in the place of the old one empties a store at one moment: what the old one listed is debris then.
    let begins_empty = options.truncate && !options.read_only;
    if is_there && !begins_empty {
        let bytes = read_whole(disk, names::MANIFEST)?;
        return Manifest::decode(&bytes).map_err(|refusal| match refusal {
            Refusal::Damaged(what) => corrupt(what),
            Refusal::OtherVersion(words) => other_version(disk, &words),
            Refusal::NoMemory(refused) => refused.into(),
        });
    }
    // It is the last file that a backup gets.
    if !begins_empty && names.iter().any(|name| name == names::BACKUP) {
        return Err(corrupt(
            "the manifest is missing: this is a backup that was not finished, and no store; make it again",
        ));
    }
    // The manifest is the first file that a store gets.
    if !begins_empty
        && names.iter().any(|name| matches!(names::parse(name), Some(Name::Data(_) | Name::Run(_))))
    {
        return Err(corrupt("the manifest is missing, though there are data files"));
    }
    if !is_there && (options.read_only || !options.create_if_missing) {
        return Err(Error::Missing { path: disk.path().to_path_buf() });
    }
    let ids = names.iter().filter_map(|name| match names::parse(name) {
        Some(Name::Data(id) | Name::Hint(id) | Name::Run(id)) => Some(id),
        _ => None,
    });
    // Files that cannot be removed are in nobody's way.
    let next_file_id = ids.max().unwrap_or(0).saturating_add(1);
    let random = || disk.random().map_err(|e| Error::io("choose an identity for", disk.path(), &e));
    let manifest = Manifest {
        generation: 1,
        store_id: random()?,
        hash_key: random()?,
        clean: false,
        next_file_id,
        last_seq: 0,
        clock_ms: disk.now_ms(true),
        checkpoint: 0,
        needs,
        files: Vec::new(),
        ordered: Ordered::default(),
        complete_after: 0,
    };
    disk.sync_name().map_err(|e| Error::io("make durable the name of", disk.path(), &e))?;
    write_first_manifest(disk, &manifest)?;
    Ok(manifest)
}
