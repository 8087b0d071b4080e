//! What took long, and when: the events of LATENCY. One is noted where `latency-monitor-threshold` is set and something took so long.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

use parking_lot::Mutex;

use crate::server::wall_clock;
use crate::settings::Settings;

/// How many samples of an event are kept, as in Redis.
const KEPT: usize = 160;

/// When something took long: in seconds since 1970, and for how many milliseconds.
pub type Sample = (u64, u64);

/// What is known of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The last samples, the newest last. Of each second there is the longest.
    pub samples: VecDeque<Sample>,
    /// The longest that it ever took.
    pub longest_ms: u64,
}

impl History {
    fn add(&mut self, at_s: u64, took_ms: u64) {
        self.longest_ms = self.longest_ms.max(took_ms);
        if let Some((_, last_ms)) = self.samples.back_mut().filter(|(last_s, _)| *last_s == at_s) {
            *last_ms = took_ms.max(*last_ms);
            return;
        }
        if self.samples.len() == KEPT {
            self.samples.pop_front();
        }
        self.samples.push_back((at_s, took_ms));
    }
}

/// See the module.
#[derive(Default)]
pub struct Latency {
    events: Mutex<BTreeMap<&'static str, History>>,
}

impl Latency {
    /// Something took so long, which is an event where the settings say so.
    pub fn note(&self, settings: &Settings, event: &'static str, nanos: u64) {
        let (least_ms, took_ms) = (settings.latency_ms.load(Ordering::Relaxed), nanos / 1_000_000);
        if least_ms > 0 && took_ms >= least_ms {
            self.events.lock().entry(event).or_default().add(wall_clock().as_secs(), took_ms);
        }
    }

    /// All events.
    pub fn all(&self) -> Vec<(&'static str, History)> {
        self.events.lock().iter().map(|(name, history)| (*name, history.clone())).collect()
    }

    /// The events of one kind.
    pub fn of(&self, event: &[u8]) -> Option<History> {
        let events = self.events.lock();
        events.iter().find(|(name, _)| name.as_bytes() == event).map(|(_, history)| history.clone())
    }

    /// Forgets these events, or all where none is named: how many there were.
    pub fn forget(&self, names: &[&[u8]]) -> usize {
        let mut events = self.events.lock();
        let before = events.len();
        events.retain(|event, _| !names.is_empty() && !names.contains(&event.as_bytes()));
        before - events.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_second_the_longest_time_is_kept_and_of_all_the_last() {
        let mut history = History::default();
        history.add(1, 5);
        history.add(1, 9);
        history.add(1, 7);
        history.add(2, 3);
        assert_eq!((history.samples.make_contiguous(), history.longest_ms), (&mut [(1, 9), (2, 3)][..], 9));
        (3..300).for_each(|second| history.add(second, 1));
        assert_eq!((history.samples.len(), history.samples[0], history.longest_ms), (KEPT, (140, 1), 9));
    }

    #[test]
    fn nothing_is_noted_that_is_shorter_than_the_setting_or_without_one() {
        let (latency, settings) = (Latency::default(), Settings::default());
        latency.note(&settings, "command", 1 << 40);
        settings.latency_ms.store(3, Ordering::Relaxed);
        latency.note(&settings, "command", 2_999_999);
        assert!(latency.all().is_empty());
        latency.note(&settings, "command", 3_000_000);
        latency.note(&settings, "fork", 3_000_000);
        assert_eq!(latency.of(b"command").unwrap().longest_ms, 3);
        assert_eq!(
            (latency.forget(&[b"command", b"x"]), latency.forget(&[]), latency.all().len()),
            (1, 1, 0)
        );
    }
}
