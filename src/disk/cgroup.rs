//! How much memory the control groups of this process allow it, in versions 1 and 2 (the kernel's cgroup-v1/memory.rst and
//! cgroup-v2.rst).
//!
//! A limit holds for a group and all groups below it: so the smallest one on the way from the process's group up to the root
//! counts. What else lives in these groups is not looked at.

use std::path::{Component, Path, PathBuf};

use crate::sync::thread::NotCancelled;

/// The names of the files that hold a limit. Above `memory.high` the kernel slows a process down, which is as bad.
const VERSION_1: &[&str] = &["memory.limit_in_bytes"];
const VERSION_2: &[&str] = &["memory.max", "memory.high"];

/// The smallest limit of memory, in bytes, that applies to this process; `None` where none does, or none can be read.
pub(super) fn memory_limit() -> Option<u64> {
    // Calls that come from C in a hurry ask for this too.
    let _not_cancelled = NotCancelled::begin();
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    smallest(&limit_files(&groups, &mounts))
}

/// The smallest number in these files. Those that are not there, or hold no number, count for nothing.
fn smallest(files: &[PathBuf]) -> Option<u64> {
    files.iter().filter_map(|file| limit(&std::fs::read_to_string(file).ok()?)).min()
}

/// What a file says: a number of bytes, or `max`.
fn limit(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// All files that may hold a limit of memory for a process, whose `/proc/self/cgroup` and `/proc/self/mountinfo` say this.
fn limit_files(groups: &str, mounts: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for mount in mounts.lines().filter_map(Mount::parse) {
        let Some(group) = groups.lines().find_map(|line| mount.group(line)) else { continue };
        for directory in mount.directories(group) {
            files.extend(mount.names.iter().map(|name| directory.join(name)));
        }
    }
    files
}

/// One place where a hierarchy of control groups can be seen.
struct Mount {
    /// The group that is seen there.
    root: PathBuf,
    /// Where.
    point: PathBuf,
    names: &'static [&'static str],
}

impl Mount {
    /// A line of `mountinfo`: number, parent, device, root, mount point, options, optional fields, `-`, type, source, options.
    fn parse(line: &str) -> Option<Mount> {
        let (place, kind) = line.split_once(" - ")?;
        let mut kind = kind.split(' ');
        let names = match (kind.next()?, kind.next_back()?) {
            ("cgroup", options) if options.split(',').any(|option| option == "memory") => VERSION_1,
            ("cgroup2", _) => VERSION_2,
            _ => return None,
        };
        let mut place = place.split(' ').skip(3);
        Some(Mount { root: unescape(place.next()?), point: unescape(place.next()?), names })
    }

    /// The process's group in this hierarchy, if a line of `/proc/self/cgroup` (number, controllers, group) is about that.
    fn group<'a>(&self, line: &'a str) -> Option<&'a Path> {
        let (number, rest) = line.split_once(':')?;
        let (controllers, group) = rest.split_once(':')?;
        let is_its = match self.names {
            VERSION_1 => controllers.split(',').any(|controller| controller == "memory"),
            _ => number == "0" && controllers.is_empty(),
        };
        is_its.then(|| Path::new(group))
    }

    /// The directories of the group and of all above it that can be seen here. A group outside of what is mounted, as it is
    /// told inside a container that shares its host's names, leaves the top alone.
    fn directories(&self, group: &Path) -> impl Iterator<Item = PathBuf> {
        let below = group.strip_prefix(&self.root).ok();
        let is_plain = |path: &&Path| path.components().all(|part| !matches!(part, Component::ParentDir));
        let below = below.filter(is_plain).unwrap_or(Path::new("")).to_path_buf();
        let ancestors: Vec<_> = below.ancestors().map(|directory| self.point.join(directory)).collect();
        ancestors.into_iter()
    }
}

/// A path as `mountinfo` writes it: blanks, tabs, ends of lines and backslashes as three octal digits.
fn unescape(text: &str) -> PathBuf {
    let mut path = text.to_string();
    for (escaped, character) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        path = path.replace(escaped, character);
    }
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(groups: &str, mounts: &str) -> Vec<String> {
        limit_files(groups, mounts).iter().map(|file| file.display().to_string()).collect()
    }

    #[test]
    fn the_limits_of_all_groups_above_are_found_in_version_1() {
        let groups = "5:cpu,cpuacct:/user\n4:memory:/user/job 1\n0::/user\n";
        let mounts = "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n\
                      35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n\
                      36 31 0:33 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";
        let wanted = ["user/job 1", "user", ""].map(|group| {
            Path::new("/sys/fs/cgroup/memory").join(group).join("memory.limit_in_bytes").display().to_string()
        });
        assert_eq!(files(groups, mounts), wanted);
    }

    #[test]
    fn both_limits_of_all_groups_above_are_found_in_version_2() {
        let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n";
        assert_eq!(
            files("0::/system.slice/a.service\n", mounts),
            [
                "/sys/fs/cgroup/system.slice/a.service/memory.max",
                "/sys/fs/cgroup/system.slice/a.service/memory.high",
                "/sys/fs/cgroup/system.slice/memory.max",
                "/sys/fs/cgroup/system.slice/memory.high",
                "/sys/fs/cgroup/memory.max",
                "/sys/fs/cgroup/memory.high",
            ]
        );
    }

    #[test]
    fn a_container_sees_its_own_group_at_the_top() {
        // With the host's names, version 1: what is mounted is the container's group.
        let mounts = "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n";
        let top = "/sys/fs/cgroup/memory/memory.limit_in_bytes";
        assert_eq!(files("4:memory:/docker/abc\n", mounts), [top]);
        assert_eq!(
            files("4:memory:/docker/abc/job\n", mounts),
            ["/sys/fs/cgroup/memory/job/memory.limit_in_bytes", top]
        );
        // Moved to a group outside of its name space, or told by a path that has nothing to do with the mount.
        for group in ["4:memory:/../elsewhere\n", "4:memory:/other\n"] {
            assert_eq!(files(group, mounts), [top], "{group}");
        }
        let mounts = "30 23 0:26 / /sys/fs/cgroup\\040x rw - cgroup2 cgroup2 rw\n";
        assert_eq!(files("0::/../..\n", mounts)[0], "/sys/fs/cgroup x/memory.max");
    }

    #[test]
    fn what_is_no_limit_counts_for_nothing() {
        for (text, wanted) in [
            ("max\n", None),
            ("", None),
            ("-1\n", None),
            ("12 MB", None),
            ("314572800\n", Some(314_572_800)),
            ("9223372036854771712\n", Some(9_223_372_036_854_771_712)),
        ] {
            assert_eq!(limit(text), wanted, "{text:?}");
        }
        for text in ["", "\n", "0:", "nonsense", "1 2 3 - cgroup", "a - b", "0 0 0 / / rw - cgroup2"] {
            assert_eq!(files(text, text), Vec::<String>::new(), "{text:?}");
        }
    }

    #[test]
    fn the_smallest_limit_on_the_way_up_counts() {
        let directory = tempfile::tempdir().unwrap();
        let job = directory.path().join("slice/job");
        std::fs::create_dir_all(&job).unwrap();
        let mounts = format!("30 23 0:26 / {} rw - cgroup2 cgroup2 rw\n", directory.path().display());
        let told = || smallest(&limit_files("0::/slice/job\n", &mounts));
        assert_eq!(told(), None);
        std::fs::write(job.join("memory.max"), "300\n").unwrap();
        std::fs::write(job.join("memory.high"), "max\n").unwrap();
        assert_eq!(told(), Some(300));
        std::fs::write(directory.path().join("slice/memory.max"), "200\n").unwrap();
        assert_eq!(told(), Some(200));
        std::fs::write(job.join("memory.high"), "100\n").unwrap();
        assert_eq!(told(), Some(100));
    }
}
