//! Which files a merge is for, and when it is worth it.

use std::sync::Arc;

use crate::bitcask::engine::Engine;
use crate::bitcask::engine::space::{least_piece, live_bytes, sealed, slack, space};
use crate::log::file::DataFile;
use crate::store::options::Options;

/// Whether something in it is dead.
pub fn has_dead(file: &DataFile) -> bool {
    file.usage.live_records() < file.usage.records()
}

/// The files that hold tombstones that were kept, and all those that keep merges from dropping them. `None` where it
/// would not help, because a file that cannot be merged keeps them too.
pub fn unblock_tombstones(engine: &Engine) -> Option<Vec<Arc<DataFile>>> {
    let mut files = sealed(engine);
    let newest = files.iter().filter(|file| file.kept_tombstones().1 > 0).map(|file| file.seqs().1).max()?;
    let is_in_the_way = |file: &Arc<DataFile>| {
        !file.is_replaced() && has_dead(file) && (1..newest).contains(&file.deaths_after())
    };
    let is_mergeable = |file: &Arc<DataFile>| files.iter().any(|sealed| sealed.id == file.id);
    if engine.catalog.files.all().iter().any(|file| is_in_the_way(file) && !is_mergeable(file)) {
        return None;
    }
    files.retain(|file| file.kept_tombstones().1 > 0 || is_in_the_way(file));
    Some(files)
}

/// The weight of the tombstones that merges could not drop.
pub fn kept_tombstones(engine: &Engine) -> u64 {
    engine.catalog.files.all().iter().map(|file| file.kept_tombstones().1).sum()
}

/// Files of a store that is overwritten should be no larger than such a part of it: what is dead in the file that is written
/// to cannot be merged away, and to merge a large file takes long.
const FILES: u64 = 8;

/// A file of less than such a part of a piece is small. So many small ones are kept, more are merged into one.
const SMALL: u64 = 8;
const MOST_SMALL: usize = 16;
/// Of a file of which no more than this part is dead it is not worth to copy the rest.
const LEAST_DEAD: f64 = 0.05;
/// So many files are chosen at once.
const MOST_AT_ONCE: usize = 64;

/// How large a file may be where so many bytes are alive.
fn piece(options: &Options, live: u64) -> u64 {
    (live / FILES).clamp(least_piece(options), options.max_file_size)
}

/// Merging begins at this part of the way to the target, so that a store under load settles at it and not above.
const MERGED_FROM: f64 = 0.8;
/// And a new file at this part, so that what is to be merged then is not in one large file.
const DIVIDED_FROM: f64 = 0.4;

/// Whether the store takes as much space as this part of the way to the target. What no merge can give back does not count.
fn is_beyond(engine: &Engine, part: f64, (total, live): (u64, u64)) -> bool {
    let bound = 1.0 + (engine.options.merge_space_amplification - 1.0) * part;
    let stuck = engine.catalog.files.all().into_iter().filter(|file| file.is_never_merged());
    let stuck: u64 = stuck.map(|file| file.tail().saturating_sub(live_bytes(&file))).sum();
    total.saturating_sub(stuck) as f64 > live as f64 * bound + slack(&engine.options) as f64
}

/// Whether merges will be due soon.
pub fn is_near(engine: &Engine) -> bool {
    is_beyond(engine, DIVIDED_FROM, space(engine))
}

/// Whether merges will be due soon, and the file that is written to is large enough for one.
pub fn wants_new_file(engine: &Engine) -> bool {
    let (total, live) = space(engine);
    is_beyond(engine, DIVIDED_FROM, (total, live)) && engine.log.active_size() > piece(&engine.options, live)
}

/// The files whose merge gives back the most for the least, if the store takes more space than it should.
pub fn choose(engine: &Engine) -> Option<Vec<Arc<DataFile>>> {
    let (total, live) = space(engine);
    if kept_tombstones(engine) > live / 8 + slack(&engine.options)
        && let Some(inputs) = unblock_tombstones(engine)
    {
        return Some(inputs);
    }
    if !is_beyond(engine, MERGED_FROM, (total, live)) {
        return None;
    }
    let files = sealed(engine);
    let joined = joined(engine, &files);
    // Once for each file: writers change it while they are sorted. Many small files come first, whatever is dead in them.
    let worth = files.into_iter().map(|file| (if joined(&file) { 1.0 } else { dead_share(&file) }, file));
    let mut files: Vec<_> = worth.filter(|(worth, _)| *worth > LEAST_DEAD).collect();
    files.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let (most, mut weight) = (piece(&engine.options, live), 0);
    let enough = files.into_iter().map(|(_, file)| file).take_while(|file| {
        let before = weight;
        weight += live_bytes(file);
        before < most
    });
    let enough: Vec<_> = enough.take(MOST_AT_ONCE).collect();
    if enough.is_empty() { None } else { Some(enough) }
}

/// The files that it makes sense to merge: those that have something dead in them, and small ones where there are many.
pub fn mergeable(engine: &Engine) -> Vec<Arc<DataFile>> {
    let mut files = sealed(engine);
    let joined = joined(engine, &files);
    files.retain(|file| has_dead(file) || joined(file));
    files
}

/// Tells which files are small, where so many of these are. Merges leave them behind when little was alive in what they took.
fn joined(engine: &Engine, files: &[Arc<DataFile>]) -> impl Fn(&DataFile) -> bool + use<> {
    let small = least_piece(&engine.options) / SMALL;
    let are_many = files.iter().filter(|file| file.tail() < small).count() > MOST_SMALL;
    move |file| are_many && file.tail() < small
}

fn dead_share(file: &DataFile) -> f64 {
    1.0 - live_bytes(file) as f64 / file.tail().max(1) as f64
}
