//! What a store tells whoever wants to know: one line per event, to a function of the caller's. Nothing is printed.

use std::fmt;
use std::sync::Arc;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Something failed that the caller may not see otherwise.
    Error = 1,
    /// Something is not as it should be, and was dealt with.
    Warn = 2,
    /// What the store does by itself: recovery, merges.
    Info = 3,
    /// Every step of that.
    Debug = 4,
}

/// Where events go: nowhere, unless [`LogSink::new`] says where.
#[derive(Clone, Default)]
pub struct LogSink(Option<Arc<Receiver>>);

type Receiver = dyn Fn(LogLevel, &str) + Send + Sync;

impl LogSink {
    /// Events go to `receive`. It is called from any thread, also from the maintenance thread and inside other calls: it
    /// must be quick, and must not call the store.
    pub fn new(receive: impl Fn(LogLevel, &str) + Send + Sync + 'static) -> Self {
        LogSink(Some(Arc::new(receive)))
    }
}

impl fmt::Debug for LogSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "LogSink(set)" } else { "LogSink(none)" })
    }
}

impl PartialEq for LogSink {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (a, b) => a.is_none() && b.is_none(),
        }
    }
}

/// The events of one store.
#[derive(Clone, Debug)]
pub struct Events {
    sink: LogSink,
    level: LogLevel,
}

impl Events {
    /// Events up to `level` go to `sink`.
    pub fn new(sink: LogSink, level: LogLevel) -> Self {
        Events { sink, level }
    }

    /// Reports an event; the message is made only if somebody wants it.
    pub fn log<M: fmt::Display>(&self, level: LogLevel, message: impl FnOnce() -> M) {
        if level <= self.level
            && let Some(receive) = &self.sink.0
        {
            receive(level, &message().to_string());
        }
    }
}
