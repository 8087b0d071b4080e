//! Where things are, and how other programs are run.

use std::cell::OnceCell;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use xshell::{Cmd, Shell};

pub struct Workspace {
    /// The repository.
    pub root: PathBuf,
    /// Everything the tasks make lies in here: `target/c`.
    pub out: PathBuf,
    /// Runs programs, in `root`.
    pub shell: Shell,
    /// Where the library was installed for this run, once it was.
    pub(crate) installed: OnceCell<PathBuf>,
}

impl Workspace {
    pub fn new() -> Result<Self> {
        // As cargo says when it runs this: two checkouts that share a target directory share this program.
        let xtask =
            std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&xtask).parent().context("xtask lies in the workspace")?.to_owned();
        forget_cargo();
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| "target".into(), PathBuf::from);
        let shell = Shell::new()?;
        shell.change_dir(&root);
        Ok(Workspace { out: root.join(target).join("c"), root, shell, installed: OnceCell::new() })
    }

    /// A file or directory of the repository.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// The directory `name` among what the tasks make, empty.
    pub fn fresh_dir(&self, name: &str) -> Result<PathBuf> {
        let directory = self.out.join(name);
        self.shell.remove_path(&directory)?;
        Ok(self.shell.create_dir(&directory)?)
    }

    /// The version of filedb in Cargo.toml.
    pub fn version(&self) -> Result<String> {
        let manifest = self.shell.read_file("Cargo.toml")?;
        let line = manifest.lines().find_map(|line| line.strip_prefix("version = \""));
        Ok(line.context("Cargo.toml has no version")?.trim_end_matches('"').to_owned())
    }
}

/// Takes out of the environment what cargo says about this program to it. Other cargos are run from here, and crates with C in them (ring)
/// look at these names, and would be built anew each time that somebody runs cargo with them and without.
fn forget_cargo() {
    for (name, _) in std::env::vars_os() {
        let bytes = name.as_encoded_bytes();
        if bytes.starts_with(b"CARGO_PKG_") || bytes.starts_with(b"CARGO_MANIFEST_") {
            // SAFETY: this runs at the beginning, in the only thread.
            unsafe { std::env::remove_var(&name) };
        }
    }
}

/// Runs a command and shows what it printed only when it fails.
pub fn quietly(command: Cmd<'_>) -> Result<()> {
    let name = command.to_string();
    let output = command.quiet().ignore_status().output()?;
    if !output.status.success() {
        eprint!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        bail!("{name}: {}", output.status);
    }
    Ok(())
}

/// Runs a command that is to fail, and returns all it printed.
pub fn refused(command: Cmd<'_>) -> Result<String> {
    let name = command.to_string();
    let output = command.quiet().ignore_status().output()?;
    if output.status.success() {
        bail!("{name}: succeeded, and should have been refused");
    }
    Ok(format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}
