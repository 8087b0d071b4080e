//! How much space a store takes, how much of that is live, and from where on merges are to make it less.

use std::sync::Arc;

use super::Engine;
use crate::log::file::DataFile;
use crate::store::error::Result;
use crate::store::options::Options;

/// Files of a store that is overwritten should be no larger than such a part of what is live: what is dead in the file that is
/// written to cannot be merged away, and to merge a large file takes long.
const FILES: u64 = 8;

/// Files are not divided below this size, where `max_file_size` allows it: each file and each merge takes a dozen syncs.
const LEAST_PIECE: u64 = 16 << 20;

/// Merging begins at this part of the way to the target, so that a store under load settles at it and not above.
pub const MERGED_FROM: f64 = 0.8;
/// At this part of the way a new file is begun, so that what is to be merged then is not in one large file.
pub const DIVIDED_FROM: f64 = 0.4;

/// The data files of a store, in bytes. What snapshots and readers keep of files that a merge replaced does not count: no merge can
/// give it back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Space {
    /// How many files there are.
    pub files: u64,
    /// All bytes.
    pub total: u64,
    /// How many of them are live. Tombstones that merges could not drop are.
    pub live: u64,
    /// Dead ones in files that merges keep away from, because they are damaged.
    pub stuck: u64,
    /// What is reserved behind the ends of the files.
    pub reserved: u64,
    /// How much is live in the file that has most that is dead: it is merged soon, and that is written anew then.
    pub live_in_deadest: u64,
    /// The weight of tombstones that merges could not drop.
    pub kept_tombstones: u64,
}

impl Space {
    /// Bytes that merges can do something about.
    pub fn mergeable(&self) -> u64 {
        self.total.saturating_sub(self.stuck)
    }

    /// How many bytes that merges can do something about there may be at this part of the way to the target.
    pub fn at(&self, part: f64, options: &Options) -> u64 {
        let times = 1.0 + (options.merge_space_amplification - 1.0) * part;
        (self.live as f64 * times) as u64 + slack(options)
    }

    /// How large a file should be, and how much that is live a merge should take at once.
    pub fn piece(&self, options: &Options) -> u64 {
        (self.live / FILES).clamp(least_piece(options), options.max_file_size)
    }
}

impl Engine {
    /// Looks at all files.
    pub fn space(&self) -> Space {
        let (mut space, mut most_dead, now) = (Space::default(), 0, self.clock.coarse());
        self.catalog.files.for_each(|file| {
            if file.is_replaced() {
                return;
            }
            let (total, live) = (file.tail(), file.live_bytes());
            space.files += 1;
            space.total += total;
            space.live += live;
            space.reserved += file.disk_file.reserved().saturating_sub(total);
            // Those that are kept for their age cannot be helped.
            if file.tombstones_kept_until() <= now {
                space.kept_tombstones += file.kept_tombstones().1;
            }
            let dead = total.saturating_sub(live);
            if file.is_never_merged() {
                space.stuck += dead;
                return;
            }
            if dead > most_dead {
                (space.live_in_deadest, most_dead) = (live, dead);
            }
        });
        space
    }
}

/// Small stores are left alone until about a whole file could be saved.
fn slack(options: &Options) -> u64 {
    options.max_file_size.min(1 << 20)
}

/// The smallest size that files are divided at.
pub fn least_piece(options: &Options) -> u64 {
    options.max_file_size.min(LEAST_PIECE)
}

/// Whether so much of a store is tombstones that merges could not drop that it is worth to merge what keeps them.
pub fn has_many_kept_tombstones(space: &Space, options: &Options) -> bool {
    space.kept_tombstones > space.live / 8 + slack(options)
}

/// The files that a merge may take.
pub fn sealed(engine: &Engine) -> Result<Vec<Arc<DataFile>>> {
    let mut files = engine.catalog.files.all()?;
    files.retain(|file| file.is_sealed() && !file.is_replaced() && !file.is_never_merged());
    Ok(files)
}
