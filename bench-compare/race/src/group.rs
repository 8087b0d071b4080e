//! A control group with a limit of memory, for one process of the driver.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// A group below that of this process, so that limits above it go on to hold. Removed when dropped.
pub struct ControlGroup {
    directory: PathBuf,
}

impl ControlGroup {
    /// A group whose members may together have so many bytes of memory, their files' pages included.
    pub fn new(bytes: u64) -> Result<Self> {
        let (own, limit) = own_group()?;
        let directory = own.join(format!("filedb-race-{}", std::process::id()));
        let why = || format!("{}: no control group could be made, which takes root", directory.display());
        // One of a run that was killed.
        let _ = fs::remove_dir(&directory);
        fs::create_dir(&directory).with_context(why)?;
        let group = ControlGroup { directory: directory.clone() };
        if limit == "memory.max" {
            // Version 2 refuses this where the group above has members; then the write of the limit fails.
            let _ = fs::write(own.join("cgroup.subtree_control"), "+memory");
            let _ = fs::write(directory.join("memory.swap.max"), "0");
        }
        fs::write(directory.join(limit), bytes.to_string()).with_context(why)?;
        Ok(group)
    }

    /// The file that a process writes to in order to be a member.
    pub fn members(&self) -> PathBuf {
        self.directory.join("cgroup.procs")
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        // A member that has ended is one for a moment more.
        for _ in 0..200 {
            if fs::remove_dir(&self.directory).is_ok() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        eprintln!("cannot remove {}", self.directory.display());
    }
}

/// The directory of the group that this process is in, and the name of the file with its limit of memory.
fn own_group() -> Result<(PathBuf, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup").context("/proc/self/cgroup")?;
    let lines = || {
        groups.lines().filter_map(|line| {
            let mut parts = line.splitn(3, ':');
            Some((parts.next()?, parts.next()?, parts.next()?.trim_start_matches('/')))
        })
    };
    let version_1 = lines().find(|(_, controllers, _)| controllers.split(',').any(|name| name == "memory"));
    if let Some((.., path)) = version_1 {
        return Ok((Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"));
    }
    let version_2 = lines().find(|(number, ..)| *number == "0");
    let (.., path) = version_2.context("this process is in no control group that could limit its memory")?;
    Ok((Path::new("/sys/fs/cgroup").join(path), "memory.max"))
}
