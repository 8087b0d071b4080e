//! Taking over a new manifest: what a merge has copied is read where it is now, and the files that it came from are let go of.
//!
//! The manifest is read first and the log followed after that. So the index has all that is in the files that the manifest lists, and
//! each record of it that stands in a file which is gone was copied by a merge, with its number, or had expired.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::Follower;
use super::anew::make_anew;
use crate::bitcask::engine::Inside;
use crate::bitcask::lifecycle::bins::Found;
use crate::bitcask::lifecycle::hints;
use crate::bitcask::shared::Shared;
use crate::disk::Access;
use crate::format::features::KEPT_DELETES;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::frame::Kind;
use crate::format::manifest::{FileState, Manifest};
use crate::format::{ALIGNMENT, FileId, names};
use crate::index::{Entry, Location, SizeClass};
use crate::log::append::weight;
use crate::log::file::DataFile;
use crate::log::live::follower::Come;
use crate::log::opening::read_whole;
use crate::log::scan::{End, scan};
use crate::store::error::{Error, Result};
use crate::store::memory;

/// How often the manifest is read again when the writer replaced it meanwhile. After that it is left to the next look.
const MOST_ATTEMPTS: u32 = 16;

/// What was taken over of manifests.
#[derive(Default)]
pub struct Adopted {
    /// What the writer told last when that was done: see [`Told::changes`](crate::log::published::Told::changes).
    pub changes: u64,
    /// Files that are open here, and were not looked through: the manifest was replaced before.
    left: Vec<Arc<DataFile>>,
}

impl Adopted {
    /// The index was made anew, from all files: what the manifest lists is to be looked at again for what can be let go of.
    pub fn begin_anew(&mut self) {
        *self = Adopted::default();
    }
}

impl Follower {
    /// Takes over the manifest, if the writer tells of a new one. Called from outside the gate.
    pub fn adopt(&self, shared: &Shared) -> Result<()> {
        let Some(told) = self.told() else { return Ok(()) };
        let mut adopted = self.adopted.lock();
        let changes = told.changes();
        if adopted.changes != changes && told.session() != 0 {
            let Some(engine) = shared.inside() else { return Ok(()) };
            memory::room_for_small_things()?;
            // Keys are moved, and what is alive is counted.
            engine.index.take_over_all()?;
            if self.adopt_manifest(shared, &engine, &mut adopted)? {
                adopted.changes = changes;
            }
        }
        let_go_of_unused(shared);
        Ok(())
    }

    /// False where it is to be tried again.
    fn adopt_manifest(&self, shared: &Shared, engine: &Inside<'_>, adopted: &mut Adopted) -> Result<bool> {
        let catalog = &engine.catalog;
        for _ in 0..MOST_ATTEMPTS {
            let Ok(Ok(manifest)) =
                read_whole(catalog.disk.as_ref(), names::MANIFEST).map(|bytes| Manifest::decode(&bytes))
            else {
                continue;
            };
            let open = {
                let mut place = self.place();
                if self.follow_log(engine, &mut place)? == Come::Lost {
                    make_anew(shared, self, engine, &mut place, adopted)?;
                    continue;
                }
                if !place.has_writer() {
                    return Ok(true);
                }
                catalog.files.all()?
            };
            // A file is listed before the log goes on in it: so of those that are open now this manifest lists all that are not gone.
            let is_newest = self.told().is_none_or(|told| told.generation() <= manifest.generation);
            if !is_newest || manifest.store_id != catalog.manifest().store_id {
                continue;
            }
            let is_there = open_new(engine, &manifest, &mut adopted.left)?;
            if !is_there {
                continue;
            }
            let copies = std::mem::take(&mut adopted.left);
            return take_over(shared, engine, &manifest, open, copies);
        }
        Ok(false)
    }
}

/// Opens the files of a manifest that are complete and not open here, and appends them to `new`; false where one is not there any more.
fn open_new(engine: &Inside<'_>, manifest: &Manifest, new: &mut Vec<Arc<DataFile>>) -> Result<bool> {
    let catalog = &engine.catalog;
    let open: HashMap<FileId, Arc<DataFile>> =
        catalog.files.all()?.into_iter().map(|file| (file.id, file)).collect();
    // No file in the table has a larger number than this says.
    catalog.amend(|known| known.next_file_id = known.next_file_id.max(manifest.next_file_id));
    for entry in manifest.files.iter().filter(|entry| entry.state == FileState::Sealed) {
        match open.get(&entry.id) {
            Some(file) if file.is_sealed() => {}
            Some(file) => {
                // A plain one would be opened again by its name, which a merge takes away.
                let is_complete = || !file.is_mapped() || file.disk_file.seal().is_ok();
                if file.tail() == entry.length && is_complete() {
                    file.set_sealed();
                }
            }
            None => match catalog.open_file(entry, Access::Follow { grows: false }, None) {
                Ok(file) => {
                    if file.tail() != entry.length {
                        let what = "the file does not have the length that the manifest gives";
                        return Err(file.corrupt(file.tail().min(entry.length), what));
                    }
                    file.include_seqs(entry.min_seq, entry.max_seq);
                    new.push(file);
                }
                Err(Error::Corrupt { .. }) if is_replaced(engine, manifest) => return Ok(false),
                Err(error) => return Err(error),
            },
        }
    }
    Ok(true)
}

fn is_replaced(engine: &Inside<'_>, manifest: &Manifest) -> bool {
    read_whole(engine.catalog.disk.as_ref(), names::MANIFEST)
        .is_ok_and(|bytes| Manifest::decode(&bytes).is_ok_and(|now| now.generation != manifest.generation))
}

/// Points the index at the copies in these files, and lets go of what is gone. False where that was ended before.
fn take_over(
    shared: &Shared,
    engine: &Inside<'_>,
    manifest: &Manifest,
    mut gone: Vec<Arc<DataFile>>,
    copies: Vec<Arc<DataFile>>,
) -> Result<bool> {
    let listed: HashSet<FileId> = manifest.files.iter().map(|entry| entry.id).collect();
    gone.retain(|file| !listed.contains(&file.id) && !file.is_replaced());
    // A delete that is not there any more stood in one of these.
    let dropped = gone.iter().map(|file| file.seqs().1).max().unwrap_or(0);
    let by_slot: HashMap<u16, Arc<DataFile>> = gone.iter().map(|file| (file.slot, file.clone())).collect();
    // What had expired was not copied.
    engine.purge_expired(engine);
    while engine.take_out_gone(engine)? {}
    for copy in &copies {
        if !move_to(shared, engine, copy, &by_slot, &manifest.store_id)? {
            return Ok(false);
        }
    }
    let listed = manifest.copy_with_room(0)?;
    // What is not moved stays where it is, and so does its file.
    gone.retain(|file| file.usage.live_records() == 0);
    engine.snapshots.make_room_to_pin(gone.len())?;
    gone.iter().for_each(|file| file.set_replaced());
    engine.snapshots.pin(gone.into_iter());
    engine.catalog.amend(|known| {
        let next_file_id = known.next_file_id.max(listed.next_file_id);
        let complete_after = match listed.needs.has(KEPT_DELETES) {
            true => listed.complete_after,
            // The writer knows it better, and does not say it.
            false => known.complete_after.max(dropped),
        };
        *known = Manifest { next_file_id, complete_after, ..listed };
    });
    Ok(true)
}

/// Points the index at the records of a file that a merge has written, where it has the same in files that are gone.
fn move_to(
    shared: &Shared,
    engine: &Inside<'_>,
    copy: &Arc<DataFile>,
    gone: &HashMap<u16, Arc<DataFile>>,
    store_id: &[u8; 16],
) -> Result<bool> {
    let mut visited = 0u32;
    let mut visit = |found: &Found| {
        visited += 1;
        if visited.is_multiple_of(4096) && shared.signal().is_stopped() {
            return Err(Error::Closed);
        }
        let size = weight(found.kind, u64::from(found.units.1));
        copy.usage.wrote(size);
        let moved = found.kind != Kind::Tombstone && move_one(engine, copy, gone, found, size)?;
        if !moved {
            copy.usage.died(size);
        }
        Ok(())
    };
    let walked = match hints::load(&engine.catalog, copy, store_id, &mut visit) {
        Ok(Some(_)) => Ok(End::Complete),
        Ok(None) => scan(copy, FILE_HEADER_SIZE, copy.tail(), &mut |frame| {
            if frame.header.kind.is_record() { visit(&Found::of(frame, &engine.hasher)) } else { Ok(()) }
        })
        .map(|(_, end)| end),
        Err(error) => Err(error),
    };
    match walked {
        Err(Error::Closed) => Ok(false),
        Err(error) => Err(error),
        Ok(End::Damaged { offset, what }) => Err(copy.corrupt(offset, what)),
        Ok(End::Complete) => Ok(true),
    }
}

fn move_one(
    engine: &Inside<'_>,
    copy: &DataFile,
    gone: &HashMap<u16, Arc<DataFile>>,
    found: &Found,
    size: SizeClass,
) -> Result<bool> {
    let Some(index) = engine.index_of(found.kind) else { return Ok(false) };
    let in_gone = |entry: &Entry| gone.contains_key(&entry.location.slot);
    if index.get(found.hash).filter(in_gone).is_none() {
        return Ok(false);
    }
    let mut locked = index.lock(found.hash)?;
    let Some(old) = locked.get(found.hash) else { return Ok(false) };
    let Some(file) = gone.get(&old.location.slot) else { return Ok(false) };
    if file.seq_at(u64::from(old.location.units) * ALIGNMENT)? != found.seq {
        return Ok(false);
    }
    let location = Location { slot: copy.slot, units: found.units.0 };
    let moved = locked.replace(found.hash, old, Entry { location, size });
    if moved {
        file.usage.died(old.size);
    }
    Ok(moved)
}

/// Closes the files that nobody needs any more, as far as nobody can be reading them. Their names are the writer's affair.
fn let_go_of_unused(shared: &Shared) {
    let catalog = {
        let Some(engine) = shared.inside() else { return };
        engine.snapshots.let_go(|file| engine.catalog.files.retire(usize::from(file.slot), shared.gated()));
        engine.catalog.clone()
    };
    while catalog.files.next_unused(shared.gated()).is_some() {}
}
