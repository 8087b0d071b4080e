//! Complete plain files share a bounded number of descriptors: a store may have more files than its process may have open.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Weak};

use crate::sync::lock::{Mutex, RwLock};
use crate::sync::thread::NotCancelled;

use super::directory::Directory;
use super::own_file::OwnFile;
use super::readahead;

/// A quarter of what the process may have open, within reason.
const LEAST: u64 = 16;
const MOST: u64 = 4096;

/// The complete files that are open now, in the order in which they were opened.
pub(super) struct Descriptors {
    most: usize,
    open: Mutex<VecDeque<Weak<Reopened>>>,
}

impl Descriptors {
    pub(super) fn new() -> Self {
        let most = (super::limits::descriptor_limit() / 4).clamp(LEAST, MOST) as usize;
        Descriptors { most, open: Mutex::default() }
    }

    /// Counts a file that was opened, and closes the one that has been open for longest where they are too many.
    fn admit(&self, file: &Arc<Reopened>) {
        let evicted = {
            let mut open = self.open.lock();
            // Without memory to remember it by it is closed at once.
            let is_remembered = open.try_reserve(1).is_ok();
            if is_remembered {
                open.push_back(Arc::downgrade(file));
            }
            if open.len() > self.most {
                // Files that are gone take no descriptor.
                open.retain(|file| file.strong_count() > 0);
            }
            match is_remembered {
                true if open.len() > self.most => open.pop_front(),
                true => None,
                false => Some(Arc::downgrade(file)),
            }
        };
        if let Some(evicted) = evicted.and_then(|file| file.upgrade()) {
            evicted.file.write().take();
        }
    }
}

/// A file that is open, and stays so.
pub(super) struct InUse {
    // In this order: it may be this that closes it.
    file: Arc<OwnFile>,
    _not_cancelled: NotCancelled,
}

impl std::ops::Deref for InUse {
    type Target = OwnFile;

    fn deref(&self) -> &OwnFile {
        &self.file
    }
}

/// A file that may be closed at any time and is opened again, for reading, when it is used.
pub(super) struct Reopened {
    directory: Arc<Directory>,
    name: String,
    file: RwLock<Option<Arc<OwnFile>>>,
    descriptors: Arc<Descriptors>,
}

impl Reopened {
    /// Takes a file that is open and has this name in the directory. It stays open until [`Reopened::let_go`].
    pub(super) fn new(
        directory: Arc<Directory>,
        name: &str,
        file: OwnFile,
        descriptors: Arc<Descriptors>,
    ) -> Arc<Self> {
        Arc::new(Reopened {
            directory,
            name: name.to_string(),
            file: RwLock::new(Some(Arc::new(file))),
            descriptors,
        })
    }

    /// Lets the file be closed from now on, when the descriptor is needed for another one.
    pub(super) fn let_go(self: &Arc<Self>) {
        self.descriptors.admit(self);
    }

    /// The file, open for as long as the result is held.
    pub(super) fn get(self: &Arc<Self>) -> io::Result<InUse> {
        let not_cancelled = NotCancelled::begin();
        Ok(InUse { file: self.open()?, _not_cancelled: not_cancelled })
    }

    fn open(self: &Arc<Self>) -> io::Result<Arc<OwnFile>> {
        if let Some(file) = self.file.read().as_ref() {
            return Ok(file.clone());
        }
        let (file, was_closed) = {
            let mut slot = self.file.write();
            match slot.as_ref() {
                Some(file) => (file.clone(), false),
                None => {
                    let file = self.directory.open_file(&self.name, false)?;
                    readahead::only_what_is_asked_for(&file);
                    (slot.insert(Arc::new(file)).clone(), true)
                }
            }
        };
        if was_closed {
            self.descriptors.admit(self);
        }
        Ok(file)
    }
}
