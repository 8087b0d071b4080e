//! The elements of collections: an index of their own beside that of the keys, and the collections that are gone.
//!
//! An element counts as long as the head under its collection's key names it; the log needs no tombstones for elements. A head
//! that is replaced, removed or expires is kept here, and the maintenance thread takes its elements out of the index,
//! after which merges drop them. A recovery finds out by itself which elements heads name.

use crate::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::OnceLock;

use crate::format::collection::ListHead;
use crate::index::{Index, Unavailable};
use crate::sync::lock::Mutex;

/// See the module.
pub struct Elements {
    /// Made when the first element comes.
    index: OnceLock<Index>,
    making: Mutex<()>,
    /// Heads of lists that are gone, without the elements that were taken out since.
    gone: Mutex<Vec<ListHead>>,
    /// Whether the index may have elements that nobody will take out any more.
    has_strays: AtomicBool,
    next_id: AtomicU64,
}

impl Elements {
    /// The elements that a recovery found. Collections get numbers from `next_id` on.
    pub fn new(index: Option<Index>, next_id: u64) -> Self {
        let index = index.map(OnceLock::from).unwrap_or_default();
        Elements {
            index,
            making: Mutex::default(),
            gone: Mutex::default(),
            has_strays: AtomicBool::new(false),
            next_id: AtomicU64::new(next_id),
        }
    }

    /// The index, if there ever was an element.
    #[inline]
    pub fn index(&self) -> Option<&Index> {
        self.index.get()
    }

    /// The index, which is made where there is none.
    pub fn index_or_make(&self) -> Result<&Index, Unavailable> {
        if let Some(index) = self.index.get() {
            return Ok(index);
        }
        let _one_at_a_time = self.making.lock();
        if self.index.get().is_none() {
            let made = Index::new()?;
            return Ok(self.index.get_or_init(|| made));
        }
        self.index.get().ok_or(Unavailable::NoMemory)
    }

    /// A number that no collection in the log has. The next opening goes on behind the greatest that it finds there, and behind the last
    /// sequence number.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// What [`Elements::next_id`] would give.
    pub fn next_free_id(&self) -> u64 {
        self.next_id.load(Ordering::Relaxed)
    }

    /// Notes a list that is gone.
    pub fn let_go(&self, head: ListHead) {
        let mut gone = self.gone.lock();
        match gone.try_reserve(1) {
            Ok(()) => gone.push(head),
            Err(_) => self.leave_strays(),
        }
    }

    /// Notes that elements stay in the index which no head names: they take room until the index is made anew, which the next opening
    /// does.
    pub fn leave_strays(&self) {
        self.has_strays.store(true, Ordering::Relaxed);
    }

    /// Whether there may be elements that no head names.
    pub fn has_strays(&self) -> bool {
        self.has_strays.load(Ordering::Relaxed) || !self.gone.lock().is_empty()
    }

    /// Up to `most` positions of a list that is gone, which count as taken out from now on.
    pub fn take_gone(&self, most: u64) -> Option<(ListHead, std::ops::Range<i64>)> {
        let mut gone = self.gone.lock();
        let last = gone.last_mut()?;
        let head = *last;
        let to = head.first.saturating_add(most as i64).min(head.end);
        last.first = to;
        if to == head.end {
            gone.pop();
        }
        Some((head, head.first..to))
    }
}
