//! `cargo xtask dist`: what is given to people who do not compile it, tried where nothing but it is: an archive with headers, libraries,
//! programs and manual pages, and a wheel for Python. All of it is linked for an old glibc, by the linker that zig brings.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::workspace::{Workspace, quietly};
use crate::{bindings, clib, tools};

/// The oldest glibc that the programs and the library run with.
const GLIBC: &str = "2.28";

/// Makes both and tries them; where they lie is printed.
pub fn make(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let venv = bindings::venv(workspace)?;
    let out = workspace.out.join("dist");
    sh.create_dir(&out)?;
    let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let linker = linker(workspace, &out, &venv)?;
    let variable = format!("CARGO_TARGET_{}_LINKER", target.to_uppercase().replace('-', "_"));
    let _linker = sh.push_env(variable, linker);
    let _cache = sh.push_env("ZIG_GLOBAL_CACHE_DIR", out.join("zig-cache"));

    let name = format!("filedb-{}-{}-linux", workspace.version()?, std::env::consts::ARCH);
    let tree = workspace.fresh_dir(&format!("dist/{name}"))?;
    clib::install_with(workspace, &tree, "dist/build", &[])?;
    let cargo = out.join("build/cargo");
    let flags = ["--profile", "dist", "--locked", "--package", "filedb-cli", "--package", "filedb-server"];
    cmd!(sh, "cargo build --quiet {flags...} --target {target} --target-dir {cargo}").quiet().run()?;
    programs(workspace, &tree, &cargo.join(target).join("dist"))?;
    needs_no_newer_glibc(workspace, &tree)?;

    let archive = out.join(format!("{name}.tar.gz"));
    {
        let _in_out = sh.push_dir(&out);
        let owner = ["--owner=0", "--group=0", "--numeric-owner", "--sort=name"];
        quietly(cmd!(sh, "tar {owner...} -czf {archive} {name}"))?;
    }
    try_archive(workspace, &archive, &name)?;
    println!("{}", archive.display());
    let wheel = wheel(workspace, &out, &venv, &tree.join("lib/libfiledb.so"))?;
    println!("{}", wheel.display());
    Ok(())
}

/// A program that links as cc does, for an old glibc.
fn linker(workspace: &Workspace, out: &Path, venv: &Path) -> Result<PathBuf> {
    let sh = &workspace.shell;
    let (path, python) = (out.join("cc"), venv.join("bin/python"));
    let target = format!("{}-linux-gnu.{GLIBC}", std::env::consts::ARCH);
    let script = format!("#!/bin/sh\nexec '{}' -m ziglang cc -target {target} \"$@\"\n", python.display());
    if sh.read_file(&path).is_ok_and(|text| text == script) {
        return Ok(path);
    }
    sh.write_file(&path, script)?;
    cmd!(sh, "chmod +x {path}").quiet().run()?;
    Ok(path)
}

/// The programs, what they say of themselves, and under which licences all of it may be used.
fn programs(workspace: &Workspace, tree: &Path, built: &Path) -> Result<()> {
    let sh = &workspace.shell;
    let (programs, documents) = (tree.join("bin"), tree.join("share/doc/filedb"));
    sh.create_dir(&programs)?;
    sh.create_dir(&documents)?;
    for program in ["filedb", "filedb-server"] {
        quietly(cmd!(sh, "objcopy --strip-unneeded {built}/{program} {programs}/{program}"))?;
    }
    for program in ["filedb", "filedb-server"] {
        let page = cmd!(sh, "{programs}/{program} man").quiet().read()?;
        sh.write_file(tree.join(format!("share/man/man1/{program}.1")), page)?;
    }
    let unit = tree.join("share/filedb-server");
    sh.create_dir(&unit)?;
    sh.copy_file("server/systemd/filedb-server.service", &unit)?;
    for file in ["README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "docs/SERVER.md"] {
        sh.copy_file(file, &documents)?;
    }
    Ok(())
}

/// Of the versions of glibc's functions that the programs and the library ask for, none is newer than [`GLIBC`].
fn needs_no_newer_glibc(workspace: &Workspace, tree: &Path) -> Result<()> {
    let sh = &workspace.shell;
    let most = version(GLIBC).context("GLIBC is a version")?;
    for file in ["bin/filedb", "bin/filedb-server", "lib/libfiledb.so"] {
        let said = cmd!(sh, "readelf --version-info --wide {tree}/{file}").quiet().read()?;
        let asked = said.split("GLIBC_").skip(1).filter_map(|rest| version(rest.split_whitespace().next()?));
        let newest = asked.max().with_context(|| format!("{file} asks for no glibc"))?;
        ensure!(newest <= most, "{file} needs glibc {}.{}, and not {GLIBC}", newest.0, newest.1);
    }
    Ok(())
}

fn version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// In an empty directory, from the archive alone: programs link in each way, and the two that it has run.
fn try_archive(workspace: &Workspace, archive: &Path, name: &str) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(tools::TEST))?;
    let sh = &workspace.shell;
    let directory = tempfile::tempdir()?;
    let (source, wanted) = (workspace.path("cmake/tests/consumer"), workspace.version()?);
    let _in_directory = sh.push_dir(directory.path());
    quietly(cmd!(sh, "tar -xzf {archive}"))?;
    quietly(cmd!(sh, "cp -a {source} consumer"))?;
    let prefix = directory.path().join(name);
    let says_version = |program: &str| -> Result<()> {
        let said = cmd!(sh, "{program} store").quiet().read()?;
        ensure!(said == wanted, "{program} says version {said}");
        Ok(())
    };

    quietly(cmd!(sh, "cmake -S consumer -B build -DCMAKE_PREFIX_PATH={prefix}"))?;
    quietly(cmd!(sh, "cmake --build build"))?;
    for program in ["build/with_shared", "build/with_static", "build/with_filedb"] {
        says_version(program)?;
    }
    let _path = sh.push_env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig"));
    let flags = cmd!(sh, "pkg-config --cflags --libs filedb").quiet().read()?;
    let flags = flags.split_whitespace();
    quietly(cmd!(sh, "cc consumer/main.c {flags...} -Wl,-rpath,{prefix}/lib -o with_pkg_config"))?;
    says_version("./with_pkg_config")?;

    let tool = prefix.join("bin/filedb");
    quietly(cmd!(sh, "{tool} put greetings hello world"))?;
    let said = cmd!(sh, "{tool} get greetings hello").quiet().read()?;
    ensure!(said == "world", "filedb get prints '{said}'");
    let said = cmd!(sh, "{prefix}/bin/filedb-server --version").quiet().read()?;
    ensure!(said.contains(&wanted), "filedb-server --version prints '{said}'");
    for page in ["man1/filedb.1", "man1/filedb-server.1", "man3/filedb_put.3"] {
        ensure!(prefix.join("share/man").join(page).is_file(), "the archive has no page {page}");
    }
    Ok(())
}

/// A wheel with that library, of which auditwheel says that it runs where its name says; it is installed in a fresh environment.
fn wheel(workspace: &Workspace, out: &Path, venv: &Path, library: &Path) -> Result<PathBuf> {
    let sh = &workspace.shell;
    let wheels = workspace.fresh_dir("dist/wheels")?;
    let (source, python) = (out.join("python"), venv.join("bin/python"));
    sh.remove_path(&source)?;
    bindings::copy_package(workspace, &source)?;
    {
        let _library = sh.push_env("FILEDB_BUILD_LIBRARY", library);
        quietly(cmd!(sh, "{python} -m pip wheel -q --no-deps --no-build-isolation -w {wheels} {source}"))?;
    }
    let wheel = sh.read_dir(&wheels)?.pop().context("pip made no wheel")?;
    let said = cmd!(sh, "{python} -m auditwheel show {wheel}").quiet().read()?;
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let tag = format!("manylinux_{}_{}", GLIBC.replace('.', "_"), std::env::consts::ARCH);
    ensure!(
        said.contains(&format!("platform tag: \"{tag}\"")) && wheel.to_string_lossy().contains(&tag),
        "auditwheel says of {}: {said}",
        wheel.display()
    );
    let fresh = out.join("fresh-venv");
    sh.remove_path(&fresh)?;
    quietly(cmd!(sh, "python3 -m venv {fresh}"))?;
    quietly(cmd!(sh, "{fresh}/bin/python -m pip install -q --no-deps --no-index {wheel}"))?;
    bindings::greets(workspace, &fresh)?;
    Ok(wheel)
}
