//! Small file systems of a test's own. Mounting takes the rights of root; without them there is none.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system, until it is dropped.
pub struct Mount {
    home: tempfile::TempDir,
    /// How it is mounted, but for the place.
    options: Vec<String>,
    what: PathBuf,
}

impl Mount {
    /// ext4 of so many bytes in an image, with blocks of 4 KiB. `None`, and a word about it, where that cannot be had.
    pub fn ext4(bytes: u64) -> Option<Mount> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let image = home.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(bytes).expect("the size of the image");
        let made = does("mkfs.ext4", &["-q", "-b", "4096"], &[&image]);
        Self::mounted(home, made, &["-o", "loop"], &image)
    }

    /// XFS, of the least size that it can have.
    pub fn xfs() -> Option<Mount> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let image = home.path().join("image");
        let file = std::fs::File::create(&image).expect("an image");
        file.set_len(320 << 20).expect("the size of the image");
        let made = does("mkfs.xfs", &["-q"], &[&image]);
        Self::mounted(home, made, &["-o", "loop"], &image)
    }

    /// tmpfs of so many bytes.
    pub fn tmpfs(bytes: u64) -> Option<Mount> {
        let home = tempfile::tempdir().expect("a temporary directory");
        let size = format!("size={bytes}");
        Self::mounted(home, true, &["-t", "tmpfs", "-o", &size], Path::new("none"))
    }

    fn mounted(home: tempfile::TempDir, is_made: bool, options: &[&str], what: &Path) -> Option<Mount> {
        let place = home.path().join("mounted");
        std::fs::create_dir(&place).expect("a place to mount at");
        if is_made && does("mount", options, &[what, &place]) {
            let options = options.iter().map(ToString::to_string).collect();
            return Some(Mount { home, options, what: what.to_path_buf() });
        }
        eprintln!("NOT RUN: this test needs a file system of its own, and may not mount one");
        None
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.home.path().join("mounted")
    }

    /// Cuts the power: what was not synced before this call began may be gone, and nothing more can be written.
    pub fn cut_power(&self) {
        /// `_IOR('X', 125, u32)`.
        const SHUTDOWN: libc::c_ulong = 2 << 30 | 4 << 16 | (b'X' as libc::c_ulong) << 8 | 125;
        const WITHOUT_LOG: u32 = 2;
        let root = std::fs::File::open(self.path()).expect("the root of the file system");
        // SAFETY: the descriptor is open, and the pointer is valid for the call.
        let done = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(&root), SHUTDOWN, &WITHOUT_LOG) };
        assert_eq!(done, 0, "the file system does not shut down: {}", std::io::Error::last_os_error());
    }

    /// The file system meets an error, and lets nobody write any more. False where it cannot be made to.
    pub fn abort(&self) -> bool {
        does("mount", &["-o", "remount,abort"], &[&self.path()])
    }

    /// Mounts it for reading only, or for writing again. False where somebody has a file open for writing.
    pub fn set_read_only(&self, is_so: bool) -> bool {
        does("mount", &["-o", if is_so { "remount,ro" } else { "remount,rw" }], &[&self.path()])
    }

    /// Mounts it anew. Nobody may have a file open in it.
    pub fn remount(&self) {
        // The memory of a process that was killed is given back a moment after its parent hears of its end.
        let is_unmounted = (0..600).any(|turn| {
            std::thread::sleep(std::time::Duration::from_millis(turn.min(50)));
            does("umount", &[], &[&self.path()])
        });
        assert!(is_unmounted, "{} cannot be unmounted", self.path().display());
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        assert!(does("mount", &options, &[&self.what, &self.path()]), "it cannot be mounted again");
    }

    /// Takes all the room that is left with a file of no use; removing that gives it back.
    pub fn fill(&self) -> PathBuf {
        use std::io::Write;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        for size in [1 << 20, 4096, 1] {
            while file.write_all(&vec![1; size]).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        does("umount", &["-l"], &[&self.path()]);
    }
}

fn does(program: &str, options: &[&str], paths: &[&Path]) -> bool {
    let status = Command::new(program).args(options).args(paths).output();
    status.is_ok_and(|done| done.status.success())
}
