//! How far the log has come.

use std::sync::Arc;

use super::super::Position;
use super::super::file::DataFile;
use super::Log;

/// The log at one moment.
pub struct Moment {
    /// The file that is written to.
    pub active: Arc<DataFile>,
    /// Where it ended, in bytes.
    pub tail: u64,
    /// The number of the last record.
    pub last_seq: u64,
    /// The smallest number in that file; 0 where there was none.
    pub first_seq: u64,
    /// How many records it had.
    pub records: u64,
    /// The bytes that the records take, by size class.
    pub weight: u64,
}

impl Log {
    /// Where the log ends, and what is in its last file.
    pub fn moment(&self) -> Moment {
        let writer = self.writer.lock();
        let active = writer.active.clone();
        Moment {
            tail: writer.tail,
            last_seq: writer.next_seq - 1,
            first_seq: active.seqs().0,
            records: active.usage.records(),
            weight: active.usage.weight(),
            active,
        }
    }

    /// The end of each open file of the log, in their order; the log goes on in the last.
    pub fn ends(&self) -> Vec<Position> {
        let writer = self.writer.lock();
        let end = |file: &Arc<DataFile>| Position::new(file.id, file.tail());
        let mut ends: Vec<Position> = self.unsealed.lock().iter().map(end).collect();
        ends.push(end(&writer.active));
        ends.sort_unstable();
        ends
    }

    /// Another process has appended to the log, up to the end of `active` and before the number `next_seq`.
    pub fn follow(&self, active: &Arc<DataFile>, next_seq: u64, time_ms: u64) {
        let mut writer = self.writer.lock();
        writer.active = active.clone();
        writer.tail = active.tail();
        writer.next_seq = next_seq;
        writer.time_ms = writer.time_ms.max(time_ms);
    }

    /// Up to where the log is durable.
    pub fn durable(&self) -> Position {
        self.commit.durable()
    }

    /// The number of the last record that was appended.
    pub fn last_seq(&self) -> u64 {
        self.writer.lock().next_seq - 1
    }

    /// The number of the last record that was appended, and where the log ends.
    pub fn end(&self) -> (u64, Position) {
        let writer = self.writer.lock();
        (writer.next_seq - 1, Position::new(writer.active.id, writer.tail))
    }

    /// Bytes of frames that were appended since the store was opened.
    pub fn appended_bytes(&self) -> u64 {
        self.writer.lock().appended
    }

    /// Whether something was written, or may have been before the store was opened.
    pub fn was_written_to(&self) -> bool {
        self.writer.lock().unclean
    }

    /// Bytes of the file that is written to.
    pub fn active_size(&self) -> u64 {
        self.writer.lock().tail
    }
}
