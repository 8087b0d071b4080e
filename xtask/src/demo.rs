//! `cargo xtask demo`: a C program stores a directory tree through the installed library, is killed half way, is started
//! again and finishes, and every byte is compared. It counts what the program had said was stored: none of it may be lost.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use xshell::cmd;

use crate::examples;
use crate::tools;
use crate::workspace::Workspace;

const DEFAULT_TREE: &str = "/usr/include";
/// A tree of fewer files shows little.
const ENOUGH_FILES: usize = 1_000;
const IO_MODES: &[&str] = &["mmap", "pread"];

/// Runs the demo for `directory`, in one io mode or in both.
pub fn run(workspace: &Workspace, directory: Option<&Path>, io: Option<&str>) -> Result<()> {
    if let Some(other) = io.filter(|io| !IO_MODES.contains(io)) {
        bail!("--io takes mmap or pread, not '{other}'");
    }
    tools::ensure(workspace, tools::BUILD)?;
    let directories = match directory {
        Some(directory) => {
            vec![fs::canonicalize(directory).with_context(|| directory.display().to_string())?]
        }
        None => default_directories(workspace)?,
    };
    let program = examples::build_import(workspace)?;
    for directory in &directories {
        for io in IO_MODES.iter().filter(|mode| io.is_none_or(|io| io == **mode)) {
            import_killed_half_way(workspace, &program, directory, io)?;
        }
    }
    Ok(())
}

/// The same on a small tree, for `cargo xtask test`.
pub fn check(workspace: &Workspace) -> Result<()> {
    let tree = tempfile::tempdir()?;
    for n in 0..ENOUGH_FILES {
        let directory = tree.path().join(format!("{:02}", n % 50));
        fs::create_dir_all(&directory)?;
        fs::write(directory.join(format!("file-{n}")), format!("{n} ").repeat(n * 7))?;
    }
    run(workspace, Some(tree.path()), None)
}

/// /usr/include, and where that holds little, the sources of the crates that were downloaded to build this.
fn default_directories(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let include = PathBuf::from(DEFAULT_TREE);
    let files = count_files(&include)?;
    if files >= ENOUGH_FILES {
        return Ok(vec![include]);
    }
    let sh = &workspace.shell;
    let sysroot = cmd!(sh, "rustc --print sysroot").quiet().read()?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let candidates =
        home.map(|home| home.join("registry/src")).into_iter().chain([Path::new(&sysroot).join("share")]);
    let other =
        candidates.into_iter().find(|directory| count_files(directory).is_ok_and(|n| n >= ENOUGH_FILES));
    let other =
        other.with_context(|| format!("{DEFAULT_TREE} has only {files} files: cargo xtask demo DIR"))?;
    println!("{DEFAULT_TREE} has only {files} files: {} is imported too", other.display());
    Ok(vec![include, other])
}

fn count_files(directory: &Path) -> Result<usize> {
    let mut files = 0;
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?; // of the entry itself: links are not followed
            files += usize::from(kind.is_file());
            if kind.is_dir() {
                directories.push(entry.path());
            }
        }
    }
    Ok(files)
}

fn import_killed_half_way(workspace: &Workspace, program: &Path, directory: &Path, io: &str) -> Result<()> {
    let sh = &workspace.shell;
    let store = workspace.fresh_dir("demo-store")?;
    let files = count_files(directory)?;
    println!("\n{} with io={io}: {files} files", directory.display());

    let acknowledged = import_until_killed(program, directory, &store, io, files / 2)?;
    println!("  killed   after {acknowledged} files were stored");

    let finished = cmd!(sh, "{program} --io {io} {directory} {store}").quiet().read()?;
    println!("  resumed  {finished}");
    let present: usize =
        number_before(&finished, " already there").context("the importer does not say what was there")?;
    ensure!(
        present >= acknowledged,
        "{acknowledged} files were stored before the kill and {present} are there after it"
    );

    let verified = cmd!(sh, "{program} --io {io} --verify {directory} {store}").quiet().read()?;
    println!("  verified {verified}");
    sh.remove_path(&store)?;
    Ok(())
}

/// Starts an import and kills it once it has said that `half` files are stored. It says so file by file, into a pipe that
/// holds few of those lines: it cannot get far ahead of us, however fast it is.
fn import_until_killed(
    program: &Path,
    directory: &Path,
    store: &Path,
    io: &str,
    half: usize,
) -> Result<usize> {
    let arguments =
        [OsStr::new("--verbose"), "--io".as_ref(), io.as_ref(), directory.as_ref(), store.as_ref()];
    let mut import =
        Command::new(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let pipe = import.stdout.take().context("the importer has a pipe")?;
    rustix::pipe::fcntl_setpipe_size(&pipe, 4096)?;
    let mut lines = BufReader::with_capacity(1024, pipe).lines();
    let mut stored = 0;
    while stored < half && lines.next().transpose()?.is_some() {
        stored += 1;
    }
    import.kill()?;
    let status = import.wait()?;
    ensure!(
        status.signal() == Some(9),
        "the importer was to be killed half way, and ended by itself ({status})"
    );
    // What it had said and we had not yet read counts too.
    Ok(stored + lines.count())
}

/// The number that stands before `words` in a line.
fn number_before(line: &str, words: &str) -> Option<usize> {
    line.split(words).next()?.rsplit(' ').next()?.parse().ok()
}
