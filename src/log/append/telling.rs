//! What a writer asks of others when it has written: to pause, to make room ahead, to look at the store, to wake who follows.

use crate::sync::atomic::Ordering;

use super::{Log, Writer};

/// Work that the log leaves to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// [`Log::prepare`], at once: writers come closer to the end of what is prepared.
    Prepare,
    /// A look at the store: a file was rotated out and can be sealed, or much was written.
    Look,
}

/// How much is written until that is worth a look.
pub(super) const LOOK_EVERY: u64 = 4 << 20;

/// How far, in bytes of the active file, the tail may move until room ahead is prepared again: of a small file half its
/// length, and more than this only where there is much room.
pub(super) const PREPARE_EVERY: std::ops::RangeInclusive<u64> = 32 << 10..=1 << 20;

impl Log {
    /// From now on a writer asks whether it should pause ([`Appended::may_pause`]) after so many bytes: whenever a file is rotated
    /// out, and with each write where it is 0.
    pub fn ask_after(&self, bytes: u64) {
        self.ask_every.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of frames that had been appended since the store was opened when a writer asked last. Takes no lock.
    pub fn appended_when_asked(&self) -> u64 {
        self.appended_when_asked.load(Ordering::Relaxed)
    }

    /// Asks for a look at the store: something is behind.
    pub fn ask_for_look(&self) {
        (self.ask)(Work::Look);
    }

    /// Sees to it that the next write wakes [`Log::followers`]. False where the log has gone past the number `seq`.
    pub fn await_more_than(&self, seq: u64) -> bool {
        let mut writer = self.writer.lock();
        if writer.next_seq - 1 > seq {
            return false;
        }
        if writer.awaited.is_none() {
            writer.awaited = Some(std::mem::take(&mut writer.wake_at));
        }
        true
    }

    #[inline]
    pub(super) fn note_progress(&self, writer: &mut Writer, may_pause: bool) -> bool {
        if writer.tail >= writer.wake_at && !self.woke_followers_only(writer) {
            let most = self.prepare_every.load(Ordering::Relaxed);
            let half = (writer.tail / 2).clamp(*PREPARE_EVERY.start(), most);
            writer.wake_at = writer.tail + half.min(self.max_file_size / 4);
            (self.ask)(Work::Prepare);
        }
        if writer.appended >= writer.look_at {
            // Seldom where that is little: to wake a thread takes up to 70 us where its processor sleeps.
            writer.look_at = writer.appended + LOOK_EVERY.max(writer.tail / 16);
            (self.ask)(Work::Look);
        }
        // What makes room waits for none, and leaves the pause to others.
        let may_pause = may_pause && writer.appended >= writer.pause_at;
        if may_pause {
            writer.pause_at = writer.appended + self.ask_every.load(Ordering::Relaxed);
            self.appended_when_asked.store(writer.appended, Ordering::Relaxed);
        }
        may_pause
    }

    /// Wakes those who wait for the log to go on. True where that is all that there was to do.
    #[cold]
    pub(super) fn woke_followers_only(&self, writer: &mut Writer) -> bool {
        let Some(wake_at) = writer.awaited.take() else { return false };
        self.followers.wake();
        writer.wake_at = wake_at;
        writer.tail < wake_at
    }
}
