//! What redis-benchmark does to each server, and how good filedb is to be at it.

/// How good filedb is to be, beside the best of the others in the same course.
#[derive(Clone, Copy)]
pub enum Target {
    /// At least so many times its requests per second.
    Rate(f64),
    /// At most so much of its processor time for a request, at no fewer requests per second: without pipelining redis-benchmark itself is the
    /// limit, on few processors.
    Time(f64),
}

/// Courses that the same servers do one after the other, from their start to their end.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Empty at the beginning; keys are any of ten million, so that most that are read are not there.
    Fresh,
    /// Each of a million keys is there, and keys are any of those.
    Loaded,
    /// One list, which grows and is emptied.
    Lists,
    /// Each reply waits for the disk.
    Always,
}

pub const STAGES: [Stage; 4] = [Stage::Fresh, Stage::Loaded, Stage::Lists, Stage::Always];

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Stage::Fresh => "fresh",
            Stage::Loaded => "loaded",
            Stage::Lists => "lists",
            Stage::Always => "always",
        }
    }

    /// Keys are any of so many.
    pub fn keys(self) -> u64 {
        if self == Stage::Loaded { 1_000_000 } else { 10_000_000 }
    }

    pub fn courses(self) -> impl Iterator<Item = &'static Course> {
        COURSES.iter().filter(move |course| course.stage == self)
    }
}

/// One test of redis-benchmark.
pub struct Course {
    pub name: &'static str,
    pub stage: Stage,
    pub test: &'static str,
    /// How many requests are under way on a connection.
    pub pipeline: u32,
    pub target: Target,
}

const fn course(
    name: &'static str,
    stage: Stage,
    test: &'static str,
    pipeline: u32,
    target: Target,
) -> Course {
    Course { name, stage, test, pipeline, target }
}

use Stage::{Always, Fresh, Lists, Loaded};
use Target::{Rate, Time};

pub const COURSES: &[Course] = &[
    course("set", Fresh, "set", 1, Time(0.7)),
    course("get", Fresh, "get", 1, Time(0.7)),
    course("set -P 16", Fresh, "set", 16, Rate(1.5)),
    course("get -P 16", Fresh, "get", 16, Rate(1.2)),
    course("set -P 64", Fresh, "set", 64, Rate(2.0)),
    course("get -P 64", Fresh, "get", 64, Rate(1.5)),
    course("set, keys that exist", Loaded, "set", 1, Time(0.7)),
    course("get, keys that exist", Loaded, "get", 1, Time(0.7)),
    course("set -P 16, keys that exist", Loaded, "set", 16, Rate(1.5)),
    course("get -P 16, keys that exist", Loaded, "get", 16, Rate(1.2)),
    course("set -P 64, keys that exist", Loaded, "set", 64, Rate(2.0)),
    course("get -P 64, keys that exist", Loaded, "get", 64, Rate(1.5)),
    course("lpush", Lists, "lpush", 1, Time(0.7)),
    course("lpop", Lists, "lpop", 1, Time(0.7)),
    course("lpush -P 16", Lists, "lpush", 16, Rate(1.5)),
    course("lpop -P 16", Lists, "lpop", 16, Rate(1.5)),
    course("lpush -P 64", Lists, "lpush", 64, Rate(2.0)),
    course("lpop -P 64", Lists, "lpop", 64, Rate(2.0)),
    course("set, fsync always", Always, "set", 1, Rate(1.5)),
    course("lpush, fsync always", Always, "lpush", 1, Rate(1.5)),
    course("lpop, fsync always", Always, "lpop", 1, Rate(1.5)),
];

impl Course {
    pub fn clients(&self) -> u32 {
        if self.stage == Stage::Always { 10 } else { 50 }
    }

    /// How many requests a run has, where one without pipelining has `most`: so many that it takes some seconds.
    pub fn requests(&self, most: u64) -> u64 {
        match (self.stage, self.pipeline) {
            (Stage::Always, _) => most / 10,
            (_, 1) => most,
            _ => most * 8,
        }
    }
}
