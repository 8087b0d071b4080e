//! Which files a merge is for, and when it is worth it.

use std::sync::Arc;

use crate::bitcask::engine::Engine;
use crate::bitcask::engine::space::{
    DIVIDED_FROM, MERGED_FROM, Space, has_many_kept_tombstones, least_piece, sealed,
};
use crate::log::file::DataFile;
use crate::store::error::Result;
use crate::store::memory;
use crate::store::options::Options;

/// The files that hold tombstones that were kept, and all those that keep merges from dropping them. `None` where it
/// would not help, because a file that cannot be merged keeps them too.
pub fn unblock_tombstones(engine: &Engine) -> Result<Option<Vec<Arc<DataFile>>>> {
    let (mut files, now) = (sealed(engine)?, engine.clock.precise());
    // Those that are kept for their age go later.
    let is_keeper = |file: &DataFile| file.kept_tombstones().1 > 0 && file.tombstones_kept_until() <= now;
    let keepers = files.iter().filter(|file| is_keeper(file));
    let Some(newest) = keepers.map(|file| file.seqs().1).max() else { return Ok(None) };
    let is_in_the_way = |file: &DataFile| {
        !file.is_replaced() && file.has_dead() && (1..newest).contains(&file.deaths_after())
    };
    let is_mergeable = |file: &DataFile| files.iter().any(|sealed| sealed.id == file.id);
    if engine.catalog.files.any(|file| is_in_the_way(file) && !is_mergeable(file)) {
        return Ok(None);
    }
    files.retain(|file| is_keeper(file) || is_in_the_way(file));
    Ok(Some(files))
}

/// A file of less than such a part of a piece is small. So many small ones are kept, more are merged into one.
const SMALL: u64 = 8;
const MOST_SMALL: usize = 16;
/// Of a file of which no more than this part is dead it is not worth to copy the rest.
const LEAST_DEAD: f64 = 0.05;
/// How many files are chosen at once, at most.
const MOST_AT_ONCE: usize = 64;

/// Whether merges will be due soon.
pub fn is_near(engine: &Engine) -> bool {
    is_beyond(&engine.space(), DIVIDED_FROM, &engine.options)
}

fn is_beyond(space: &Space, part: f64, options: &Options) -> bool {
    space.mergeable() > space.at(part, options)
}

/// How large the files of the log should become: where merges are due, or will be soon, as much as these take at once.
pub fn file_size(space: &Space, options: &Options) -> u64 {
    if is_beyond(space, DIVIDED_FROM, options) { space.piece(options) } else { options.max_file_size }
}

/// The files whose merge gives back the most for the least, if the store takes more space than it should.
pub fn choose(engine: &Engine) -> Result<Option<Vec<Arc<DataFile>>>> {
    let (space, options) = (engine.space(), &engine.options);
    if has_many_kept_tombstones(&space, options)
        && let Some(inputs) = unblock_tombstones(engine)?
    {
        return Ok(Some(inputs));
    }
    if !is_beyond(&space, MERGED_FROM, options) {
        return Ok(None);
    }
    let files = sealed(engine)?;
    let joined = joined(engine, &files);
    // Once for each file: writers change it while they are sorted. Many small files come first, whatever is dead in them.
    let worth = files.into_iter().map(|file| (if joined(&file) { 1.0 } else { dead_share(&file) }, file));
    let mut files = memory::collect(worth.filter(|(worth, _)| *worth > LEAST_DEAD))?;
    files.sort_unstable_by(|(a, _), (b, _)| b.total_cmp(a));
    let (most, mut weight) = (space.piece(options), 0);
    // What a merge writes takes space until it is done: a large file is for a merge of its own.
    let enough = files.into_iter().map(|(_, file)| file).take_while(|file| {
        let before = weight;
        weight += file.live_bytes();
        before == 0 || before < most && weight <= 2 * most
    });
    let enough = memory::collect(enough.take(MOST_AT_ONCE))?;
    Ok(if enough.is_empty() { None } else { Some(enough) })
}

/// The files that it makes sense to merge: those that have something dead in them, and small ones where there are many.
pub fn mergeable(engine: &Engine) -> Result<Vec<Arc<DataFile>>> {
    let mut files = sealed(engine)?;
    let joined = joined(engine, &files);
    files.retain(|file| file.has_dead() || joined(file));
    Ok(files)
}

/// Tells which files are small, where so many of these are. Merges leave them behind when little was alive in what they took.
fn joined(engine: &Engine, files: &[Arc<DataFile>]) -> impl Fn(&DataFile) -> bool + use<> {
    let small = least_piece(&engine.options) / SMALL;
    let are_many = files.iter().filter(|file| file.tail() < small).count() > MOST_SMALL;
    move |file| are_many && file.tail() < small
}

fn dead_share(file: &DataFile) -> f64 {
    file.dead_bytes() as f64 / file.tail().max(1) as f64
}
