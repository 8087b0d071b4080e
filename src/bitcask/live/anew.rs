//! Making the index anew where the log cannot be followed: from the files that the manifest lists now, as an opening does. What is
//! different from what the index had is then taken over like writes that were made all at once, so that walks which are under way
//! still see their moment.

use std::collections::HashSet;
use std::sync::Arc;

use super::Follower;
use super::adopt::Adopted;
use super::open::make_index;
use crate::bitcask::engine::Inside;
use crate::bitcask::engine::apply::Newer;
use crate::bitcask::lifecycle::rebuild::Rebuilt;
use crate::bitcask::shared::Shared;
use crate::format::features::{KEPT_DELETES, Needs};
use crate::format::manifest::Manifest;
use crate::format::{ALIGNMENT, FileId};
use crate::index::{Cursor, Entry, Index, KeyHash};
use crate::log::file::DataFile;
use crate::log::live::files::open_files;
use crate::log::live::follower::{Come, Place};
use crate::log::live::ground::{Attempts, CALLS_WAIT, Ground, is_another_store};
use crate::log::opening::manifest::load_manifest;
use crate::store::error::{Error, Result};
use crate::store::events::LogLevel;

/// Makes the index anew, up to some place that is not before where the log ended when this was called, or that the log can be
/// followed from.
pub fn make_anew(
    shared: &Shared,
    follower: &Follower,
    engine: &Inside<'_>,
    place: &mut Place,
    adopted: &mut Adopted,
) -> Result<()> {
    let disk = engine.catalog.disk.as_ref();
    engine.catalog.events.log(LogLevel::Info, || {
        format!(
            "the index of '{}' is made anew: more was written and merged than could be followed",
            disk.path().display()
        )
    });
    // What is compared is compared with all keys.
    engine.index.take_over_all()?;
    // The files that are gone are let go of with the next manifest, or this one.
    adopted.begin_anew();
    // Attempts count in the files that are open here: nothing is followed from where this began.
    follower.begin_anew(place);
    let mut attempts = Attempts::default();
    loop {
        if shared.signal().is_stopped() {
            return Err(Error::Closed);
        }
        let told = follower.told().cloned();
        let made = attempts.make(disk, told, CALLS_WAIT, |ground| read_all(engine, ground))?;
        let Some((ground, (manifest, rebuilt))) = made else { continue };
        follower.is_told_again();
        let new = take_over(engine, &manifest, &ground, &rebuilt)?;
        follower.set_place(engine, place, new);
        // What was appended since is in the log.
        if follower.follow_log(engine, place)? == Come::UpToDate {
            return Ok(());
        }
    }
}

/// Takes over what was made anew, and gives the place in the log behind it.
fn take_over(engine: &Inside<'_>, manifest: &Manifest, ground: &Ground, rebuilt: &Rebuilt) -> Result<Place> {
    let copy = manifest.copy_with_room(0)?;
    engine.catalog.amend(|known| {
        let next_file_id = known.next_file_id.max(copy.next_file_id);
        let complete_after = match copy.needs.has(KEPT_DELETES) {
            true => copy.complete_after,
            // What merges dropped meanwhile is not known.
            false => rebuilt.max_seq,
        };
        *known = Manifest { next_file_id, complete_after, ..copy };
    });
    let place = Place::behind(&engine.catalog, manifest, ground, rebuilt.max_seq + 1)?;
    engine.clock.not_before(rebuilt.max_time_ms.max(manifest.clock_ms), rebuilt.closed);
    if let Some(told) = ground.living() {
        // What has expired for the writer has for this process.
        engine.clock.follow(told);
    }
    // What the files hold was just counted, and taking it over counts again.
    let listed: HashSet<FileId> = manifest.files.iter().map(|entry| entry.id).collect();
    let (files, others): (Vec<_>, Vec<_>) =
        engine.catalog.files.all()?.into_iter().partition(|file| listed.contains(&file.id));
    let counts = |file: &Arc<DataFile>| {
        let usage = &file.usage;
        (usage.records(), usage.weight(), usage.live_records(), usage.live_weight())
    };
    let counted: Vec<_> = files.iter().map(counts).collect();
    make_same(engine, rebuilt)?;
    // Nothing points at what stands in others: an attempt that came to nothing may have counted there.
    for file in others {
        file.usage.set(file.usage.records(), file.usage.weight(), 0, 0);
    }
    for (file, (records, weight, live_records, live_weight)) in files.iter().zip(counted) {
        file.usage.set(records, weight, live_records, live_weight);
    }
    Ok(place)
}

fn read_all(engine: &Inside<'_>, ground: &Ground) -> Result<(Manifest, Rebuilt)> {
    let disk = engine.catalog.disk.as_ref();
    let names = disk.list().map_err(|e| Error::io("list the directory", disk.path(), &e))?;
    let manifest = load_manifest(disk, &engine.options, &names, Needs::default())?;
    if manifest.store_id != engine.catalog.manifest().store_id {
        return Err(is_another_store(disk.path()));
    }
    let files = open_files(&engine.catalog, &manifest, ground, false)?;
    let rebuilt =
        make_index(&engine.catalog, &manifest, &engine.hasher, &engine.options, ground, &files, false)?;
    Ok((manifest, rebuilt))
}

/// Makes the index the same as a new one.
fn make_same(engine: &Inside<'_>, rebuilt: &Rebuilt) -> Result<()> {
    let seq = rebuilt.max_seq;
    // Elements first, then the heads that name them; what no head names any more goes last.
    if let Some(elements) = &rebuilt.elements {
        for_each(elements, |hash, entry| {
            let known = engine.elements.index().and_then(|index| index.get(hash));
            if known == Some(entry) { Ok(()) } else { engine.take_element(engine, hash, entry) }
        })?;
    }
    for_each(&rebuilt.index, |hash, entry| {
        let known = engine.index.get(hash);
        if known == Some(entry) {
            return Ok(());
        }
        let seq = seq_of(engine, entry)?;
        if let Some(known) = known
            && seq_of(engine, known)? == seq
        {
            // Only copied by a merge: no walk needs the other.
            if engine.index.lock(hash)?.replace(hash, known, entry) {
                engine.file(engine, known)?.usage.died(known.size);
            }
            return Ok(());
        }
        engine.take_newer(engine, &Newer { hash, entry, seq, expiry_ms: rebuilt.expiries.get(hash) })
    })?;
    for_each(&engine.index, |hash, _| match rebuilt.index.get(hash) {
        Some(_) => Ok(()),
        None => engine.take_away(engine, hash, seq),
    })?;
    while engine.take_out_gone(engine)? {}
    Ok(())
}

fn seq_of(engine: &Inside<'_>, entry: Entry) -> Result<u64> {
    engine.file(engine, entry)?.seq_at(u64::from(entry.location.units) * ALIGNMENT)
}

/// Shows all keys of an index to `visit`, which may change them.
fn for_each(index: &Index, mut visit: impl FnMut(KeyHash, Entry) -> Result<()>) -> Result<()> {
    let (mut cursor, mut some) = (Some(Cursor::START), Vec::new());
    while let Some(at) = cursor {
        some.clear();
        cursor = index.collect(at, &mut some)?;
        some.iter().try_for_each(|(hash, entry)| visit(*hash, *entry))?;
    }
    Ok(())
}
