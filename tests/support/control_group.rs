//! A control group with a limit of memory, for a program that a test starts.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A group below that of this process, so that limits above it go on to hold. Removed when dropped.
pub struct ControlGroup {
    directory: PathBuf,
}

impl ControlGroup {
    /// A group whose members may together have so many bytes of memory, their files' pages included. An error where none can
    /// be made: that takes root, or a group that was handed over to the user.
    pub fn new(bytes: u64) -> io::Result<Self> {
        let name = format!("filedb-test-{}-{bytes}", std::process::id());
        let (own, file) = own_group()?;
        let group = ControlGroup { directory: own.join(name) };
        // One of a run that was killed.
        let _ = fs::remove_dir(&group.directory);
        fs::create_dir(&group.directory)?;
        if file == "memory.max" {
            // Version 2 refuses this where the group above has members; then there is no such file.
            let _ = fs::write(own.join("cgroup.subtree_control"), "+memory");
            let _ = fs::write(group.directory.join("memory.swap.max"), "0");
        }
        fs::write(group.directory.join(file), bytes.to_string())?;
        Ok(group)
    }

    /// The file that a process writes its number to in order to be a member.
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
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("cannot remove {}", self.directory.display());
    }
}

/// The directory of the group that this process is in, and the name of the file with its limit of memory.
fn own_group() -> io::Result<(PathBuf, &'static str)> {
    let groups = fs::read_to_string("/proc/self/cgroup")?;
    let group = |of: &dyn Fn(&str, &str) -> bool| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':');
            let (number, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
            of(number, controllers).then(|| path.trim_start_matches('/').to_string())
        })
    };
    if let Some(path) = group(&|_, controllers| controllers.split(',').any(|name| name == "memory")) {
        return Ok((Path::new("/sys/fs/cgroup/memory").join(path), "memory.limit_in_bytes"));
    }
    match group(&|number, _| number == "0") {
        Some(path) => Ok((Path::new("/sys/fs/cgroup").join(path), "memory.max")),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}
