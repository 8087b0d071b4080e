//! How a reader follows the log of a writer in another process.
//!
//! The writer tells where the log ends (`log/published.rs`). A call that finds that to be where it was, goes on with what the reader
//! has: that is one load. Any other first takes over what was appended since, one call at a time; so it sees each write that had
//! returned before it began. The sequence numbers in the log grow by one from record to record: so it is certain that nothing was left
//! out. Where the log cannot be followed, because too much was written and merged meanwhile, the reader begins anew, as its engine does.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::ground::{BETWEEN_ATTEMPTS, Ground, find_told, is_another_store};
use crate::disk::Disk;
use crate::format::file_header::FILE_HEADER_SIZE;
use crate::format::manifest::{FileState, Manifest};
use crate::format::names;
use crate::log::Position;
use crate::log::append::Log;
use crate::log::catalog::Catalog;
use crate::log::file::DataFile;
use crate::log::opening::read_whole;
use crate::log::published::Told;
use crate::store::error::{Error, Result};
use crate::sync::lock::{Mutex, MutexGuard};
use crate::sync::thread;

/// A writer begins to tell within this time, or has died meanwhile.
const BEGINS_WITHIN: Duration = Duration::from_millis(200);

/// How often a writer that tells nothing is looked at again before it is believed that it tells nothing.
const LOOKED_AGAIN: u32 = 5;

/// What stands for no place and for no number of sessions: no log is that long, and no store was opened that often.
const NOWHERE: u64 = u64::MAX;

/// What each engine does itself to follow a log.
pub trait Reader {
    /// The set of files.
    fn catalog(&self) -> &Catalog;

    /// The log.
    fn log(&self) -> &Log;

    /// From now on the time is not before that of the writer, who tells it: what has expired for that has for this process.
    fn follow_time(&self, told: &Arc<Told>);

    /// Brings what the engine has from a place of a file of the log to its new end, and the place with it. False where that is not how the
    /// log goes on.
    fn take_over(&self, file: &Arc<DataFile>, place: &mut Place, end: u64) -> Result<bool>;
}

/// How far a reader has come in the log of the writer.
pub struct Place {
    /// The file of the log; `None` where that is not known.
    pub file: Option<Arc<DataFile>>,
    /// Where in it the next frame is.
    pub offset: u64,
    /// The number of the next record.
    pub next_seq: u64,
    /// The session of the writer that was followed last; 0 if none ever was.
    session: u64,
    /// Where none was followed: how many sessions had begun when the log was read. There is something new when there are more.
    begun: u64,
    /// Nothing can be followed from here.
    is_lost: bool,
}

impl Place {
    /// Behind all that the files of a manifest hold, which are open.
    pub fn behind(catalog: &Catalog, manifest: &Manifest, ground: &Ground, next_seq: u64) -> Result<Self> {
        let is_open = |file: &Arc<DataFile>| {
            manifest.files.iter().any(|entry| entry.id == file.id && entry.state == FileState::Open)
        };
        // Others were made ahead.
        let told = ground.living();
        let is_in_log =
            |file: &Arc<DataFile>| told.is_none_or(|told| manifest.clean || told.extent(file.id).is_some());
        let open = catalog.files.all()?.into_iter().filter(is_open);
        let file = open.filter(is_in_log).max_by_key(|file| file.id);
        let session = if ground.is_live { ground.session } else { 0 };
        let offset = file.as_ref().map_or(0, |file| file.tail());
        Ok(Place { file, offset, next_seq, session, begun: ground.begun, is_lost: false })
    }

    /// Nothing is followed from here any more.
    fn give_up(&mut self) {
        self.is_lost = true;
    }

    /// Whether a writer was followed, at any time.
    pub fn has_writer(&self) -> bool {
        self.session != 0
    }
}

/// Where a reader is after it followed the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Come {
    /// Where the log ended when it began.
    UpToDate,
    /// The log goes on in what is not there any more.
    Lost,
}

/// See the module. `A` is what the engine knows of the manifests that it took over.
pub struct Follower<A> {
    told: OnceLock<Arc<Told>>,
    /// The tail up to which the reader has everything, of the session that is followed; [`NOWHERE`] where none is.
    seen: AtomicU64,
    /// How many sessions had begun when the log was read and nobody wrote. As long as there are no more, nobody has written. The tail on
    /// the page cannot say that: without a writer it may be of any time.
    idle: AtomicU64,
    /// A program has the store open for writing that does not tell on the page what it writes.
    is_untold: AtomicBool,
    /// What was seen last while nobody wrote: how many sessions had begun, and the bytes of the manifest.
    looked: Mutex<Option<(u64, Option<Vec<u8>>)>>,
    place: Mutex<Place>,
    /// Held by who takes over the manifest. To be locked before the place.
    pub adopted: Mutex<A>,
    /// Somebody had to follow since this was asked last.
    asked: AtomicBool,
    /// How often a part of what was read was found not to be in the log any more.
    histories: AtomicU64,
    /// How often it was begun to make anew what the reader has.
    makings: AtomicU64,
}

impl<A> Follower<A> {
    /// For a store that was just opened.
    pub fn new(ground: &Ground, place: Place, adopted: A) -> Self {
        Follower {
            told: ground.told.clone().filter(|told| told.is_begun()).map(OnceLock::from).unwrap_or_default(),
            seen: AtomicU64::new(NOWHERE),
            idle: AtomicU64::new(NOWHERE),
            is_untold: AtomicBool::new(false),
            looked: Mutex::new((!ground.is_live).then(|| (ground.begun, ground.manifest.clone()))),
            place: Mutex::new(place),
            adopted: Mutex::new(adopted),
            asked: AtomicBool::new(false),
            histories: AtomicU64::new(0),
            makings: AtomicU64::new(0),
        }
    }

    /// Whether the reader has all that was written when this was called.
    #[inline(always)]
    pub fn is_up_to_date(&self) -> bool {
        // In this order: where somebody follows meanwhile, what it says is newer.
        self.told.get().is_some_and(|told| {
            let (tail, seen) = (told.tail().0, self.seen.load(Ordering::Acquire));
            (tail == seen && seen != NOWHERE) || self.is_idle(told)
        })
    }

    #[inline]
    fn is_idle(&self, told: &Told) -> bool {
        let (begun, idle) = (told.begun(), self.idle.load(Ordering::Acquire));
        begun == idle && idle != NOWHERE
    }

    /// The reader has everything up to this tail, or, without one, nothing is known.
    pub fn set_seen(&self, tail: Option<Position>) {
        self.seen.store(tail.map_or(NOWHERE, |tail| tail.0), Ordering::Release);
        self.idle.store(NOWHERE, Ordering::Release);
    }

    /// Notices a writer that tells nothing: one of an older version, or one that had no room for the page. What it writes cannot
    /// be followed. Called from time to time.
    pub fn look_for_others(&self, disk: &dyn Disk) {
        let mut is_untold = self.is_untold_now(disk);
        // Who comes or goes has the one lock and not the other for a moment.
        for _ in 0..LOOKED_AGAIN {
            if !is_untold {
                return;
            }
            thread::sleep(BETWEEN_ATTEMPTS);
            is_untold = self.is_untold_now(disk);
        }
        if is_untold {
            let _place = self.place.lock();
            self.is_untold.store(true, Ordering::Relaxed);
            self.set_seen(None);
            *self.looked.lock() = None;
        }
    }

    fn is_untold_now(&self, disk: &dyn Disk) -> bool {
        let told = self.told().cloned().or_else(|| find_told(disk).ok().flatten());
        let has_writer = || told.as_ref().is_some_and(|told| told.has_writer());
        if has_writer() {
            *self.looked.lock() = None;
            return false;
        }
        if disk.is_locked_by_a_writer() {
            return !has_writer();
        }
        // One may have come and gone: it leaves another manifest.
        let begun = told.as_ref().map_or(0, |told| told.begun());
        // Where it cannot be read, or the directory was removed, no writer is noticed by that.
        let Ok(manifest) = read_whole(disk, names::MANIFEST).map(Some) else { return false };
        if has_writer() || disk.is_locked_by_a_writer() {
            return false;
        }
        let mut looked = self.looked.lock();
        let is_changed = matches!(&*looked, Some((then, of_then)) if *then == begun && *of_then != manifest);
        if !is_changed {
            *looked = Some((begun, manifest));
        }
        is_changed
    }

    /// The reader has read everything again: what a writer did that told nothing is in it.
    pub fn is_told_again(&self) {
        self.is_untold.store(false, Ordering::Relaxed);
    }

    /// What the writer tells, where it ever told something.
    pub fn told(&self) -> Option<&Arc<Told>> {
        self.told.get()
    }

    /// Whether somebody had to follow since this was asked last.
    pub fn was_asked(&self) -> bool {
        self.asked.swap(false, Ordering::Relaxed)
    }

    /// As long as this is what it was, the log goes on behind what was read of it.
    pub fn histories(&self) -> u64 {
        self.histories.load(Ordering::Acquire)
    }

    /// As long as this is what it was, no file of the log that is open here was closed to be opened anew. To be asked before
    /// [`Follower::is_up_to_date`].
    pub fn makings(&self) -> u64 {
        self.makings.load(Ordering::Acquire)
    }

    /// What the reader has is about to be made anew: nothing is followed from where this began.
    pub fn begin_anew(&self, place: &mut Place) {
        place.give_up();
        self.set_seen(None);
        self.makings.fetch_add(1, Ordering::AcqRel);
    }

    /// Calls `then` when the reader has all that was written when this was called, and before anything newer is taken over. `make_anew` is for
    /// where the log cannot be followed; it is called with both locked, and brings the place to where the log ends.
    pub fn follow<E: Reader, R>(
        &self,
        engine: &E,
        make_anew: impl FnOnce(&mut Place, &mut A) -> Result<()>,
        then: impl FnOnce() -> R,
    ) -> Result<R> {
        self.asked.store(true, Ordering::Relaxed);
        let mut place = self.place.lock();
        if self.follow_log(engine, &mut place)? == Come::UpToDate {
            return Ok(then());
        }
        drop(place);
        let mut adopted = self.adopted.lock();
        let mut place = self.place.lock();
        // Somebody else may have been here first.
        if self.follow_log(engine, &mut place)? == Come::Lost {
            make_anew(&mut place, &mut adopted)?;
        }
        Ok(then())
    }

    /// Nothing is taken over as long as this is held.
    #[cfg(any(test, feature = "testing"))]
    pub fn hold(&self) -> (MutexGuard<'_, A>, MutexGuard<'_, Place>) {
        (self.adopted.lock(), self.place.lock())
    }

    /// Held by who follows.
    pub fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock()
    }

    /// Takes over what was appended to the log.
    pub fn follow_log(&self, engine: &impl Reader, place: &mut Place) -> Result<Come> {
        if place.is_lost || self.is_untold.load(Ordering::Relaxed) {
            return Ok(Come::Lost);
        }
        let told = match self.told.get() {
            Some(told) => told,
            // Each call looks: the first writer that tells makes the page, and begins a session on it before it writes.
            None => match find_told(engine.catalog().disk.as_ref())?.filter(|told| told.is_begun()) {
                Some(told) => self.told.get_or_init(|| told),
                None => return Ok(Come::UpToDate),
            },
        };
        let begun = Instant::now();
        loop {
            let session = told.session();
            if place.session == 0 && told.begun() == place.begun {
                // Nobody has written anything since the log was read.
                self.set_seen(None);
                self.idle.store(place.begun, Ordering::Release);
                return Ok(Come::UpToDate);
            }
            if told.is_changing() {
                if begun.elapsed() > BEGINS_WITHIN {
                    return Ok(Come::Lost);
                }
                thread::yield_now();
                continue;
            }
            if session != 0 && session != place.session {
                self.meet(engine, told, place)?;
                if place.is_lost {
                    return Ok(Come::Lost);
                }
                continue;
            }
            if place.session == 0 {
                if told.session() != session {
                    continue;
                }
                // Somebody came and went, and now another one comes.
                return Ok(Come::Lost);
            }
            let Some(file) = place.file.clone() else { return Ok(Come::Lost) };
            let Some((end, next)) = told.extent(file.id) else {
                // The page may have changed between two loads.
                if told.session() != session || told.is_changing() {
                    continue;
                }
                return Ok(Come::Lost);
            };
            if end < place.offset {
                return Ok(Come::Lost);
            }
            if end > place.offset && !engine.take_over(&file, place, end)? {
                return Ok(Come::Lost);
            }
            let Some(next) = next else {
                self.set_seen(Some(Position::new(file.id, end)));
                return Ok(Come::UpToDate);
            };
            let Some(next) = (match engine.catalog().find(next)? {
                Some(file) => Some(file),
                None => engine.catalog().follow_file(next)?,
            }) else {
                return Ok(Come::Lost);
            };
            // A backup copies what the log is in, also where there is no frame in that yet.
            engine.log().follow(&next, place.next_seq, 0);
            place.file = Some(next);
            place.offset = FILE_HEADER_SIZE;
        }
    }

    /// Looks at a new session: whether it is of the same store, and whether the log still has all that was read of it.
    fn meet(&self, engine: &impl Reader, told: &Arc<Told>, place: &mut Place) -> Result<()> {
        let header = told.header().map_err(|what| {
            let path = engine.catalog().disk.path().join(crate::disk::page::FILE_NAME);
            Error::Corrupt { path, file_id: 0, offset: 0, what }
        })?;
        // It may have changed again.
        let Some(header) = header else { return Ok(()) };
        if header.store_id != engine.catalog().manifest().store_id {
            return Err(is_another_store(engine.catalog().disk.path()));
        }
        place.session = header.session;
        // What was read of a log whose end the disk has lost is not a part of it any more.
        let is_other =
            place.file.as_ref().is_some_and(|file| told.began_at() < Position::new(file.id, place.offset));
        if is_other {
            place.is_lost = true;
            self.histories.fetch_add(1, Ordering::Release);
        }
        engine.follow_time(told);
        Ok(())
    }

    /// What the reader has was made anew, up to this place.
    pub fn set_place(&self, engine: &impl Reader, place: &mut Place, new: Place) {
        *place = new;
        self.set_seen(None);
        if let Some(file) = &place.file {
            engine.log().follow(file, place.next_seq, 0);
        }
    }
}
