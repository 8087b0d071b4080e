//! The programs of other people that the tasks need, and the Debian packages they are in.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};

/// A program and the Debian package that has it.
pub struct Tool(pub &'static str, pub &'static str);

/// What building the C libraries and a program with them takes.
pub const BUILD: &[Tool] = &[
    Tool("cc", "gcc"),
    Tool("make", "make"),
    Tool("cmake", "cmake"),
    Tool("ld", "binutils"),
    Tool("objcopy", "binutils"),
];

/// What the tests take besides.
pub const TEST: &[Tool] = &[
    Tool("c++", "g++"),
    Tool("nm", "binutils"),
    Tool("readelf", "binutils"),
    Tool("ar", "binutils"),
    Tool("diff", "diffutils"),
    Tool("pkg-config", "pkg-config"),
    Tool("valgrind", "valgrind"),
];

/// Installs from the distribution what is missing when we may (root, apt-get), else says what to install.
pub fn ensure<'a>(workspace: &Workspace, tools: impl IntoIterator<Item = &'a Tool>) -> Result<()> {
    let missing: Vec<_> = tools.into_iter().filter(|tool| !is_on_path(tool.0)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<_> = missing.iter().map(|tool| tool.1).collect();
    packages.sort_unstable();
    packages.dedup();
    let names: Vec<_> = missing.iter().map(|tool| tool.0).collect();
    install(workspace, &packages).with_context(|| format!("missing: {}", names.join(", ")))?;
    match missing.iter().find(|tool| !is_on_path(tool.0)) {
        Some(Tool(name, package)) => {
            bail!("{name} is still missing after the package {package} was installed")
        }
        None => Ok(()),
    }
}

/// Installs these packages of the distribution, or says that somebody who may has to.
pub fn install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !(rustix::process::geteuid().is_root() && is_on_path("apt-get")) {
        bail!("On Debian: sudo apt-get install {list}");
    }
    // Steps that are tried side by side may want packages at the same time, and apt-get does not wait for another.
    let turn = File::create(workspace.shell.create_dir(&workspace.out)?.join("apt-get.lock"))?;
    rustix::fs::flock(&turn, rustix::fs::FlockOperation::LockExclusive)?;
    eprintln!("installing {list} with apt-get");
    let sh = &workspace.shell;
    let _noninteractive = sh.push_env("DEBIAN_FRONTEND", "noninteractive");
    quietly(cmd!(sh, "apt-get update")).context("the list of packages could not be brought up to date")?;
    // libc6-dev has the headers that gcc and g++ only recommend.
    quietly(cmd!(sh, "apt-get install -y --no-install-recommends libc6-dev {packages...}"))
}

/// The components of the Rust toolchain that rustup installs one by one.
pub fn ensure_cargo_command(workspace: &Workspace, name: &str, component: &str) -> Result<()> {
    let sh = &workspace.shell;
    if cmd!(sh, "cargo {name} --version").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        bail!("missing: cargo {name}. With rustup: rustup component add {component}");
    }
    Ok(())
}

pub fn is_on_path(name: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| is_program(&dir.join(name))))
}

/// Whether a directory has a program of this name.
pub fn is_in(directory: &str, name: &str) -> bool {
    is_program(&Path::new(directory).join(name))
}

fn is_program(path: &Path) -> bool {
    rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok() && path.is_file()
}
