//! The elements of collections: an index of their own beside that of the keys, and the collections that are gone.
//!
//! An element counts as long as the head under its collection's key names it; the log needs no tombstones for elements. A head
//! that is replaced, removed or expires is kept here, and the maintenance thread takes its elements out of the index,
//! after which merges drop them. A recovery finds out by itself which elements heads name.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

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
    next_id: AtomicU64,
}

impl Elements {
    /// The elements that a recovery found. Collections get numbers from `next_id` on.
    pub fn new(index: Option<Index>, next_id: u64) -> Self {
        let index = index.map(OnceLock::from).unwrap_or_default();
        Elements { index, making: Mutex::default(), gone: Mutex::default(), next_id: AtomicU64::new(next_id) }
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

    /// A number that no collection of this store ever had. Each that is used goes into the log with two sequence numbers at least, and
    /// the next opening begins at the next of those.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Notes a list that is gone.
    pub fn let_go(&self, head: ListHead) {
        self.gone.lock().push(head);
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
