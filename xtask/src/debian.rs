//! The step `debian`: packages are made as Debian makes them, lintian reads them, and a program is built and run with what they hold.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use xshell::cmd;

use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

const TOOLS: &[Tool] = &[
    Tool("dh", "debhelper"),
    Tool("dpkg-buildpackage", "dpkg-dev"),
    Tool("lintian", "lintian"),
    Tool("man", "man-db"),
];

/// What belongs in each package.
const HOLD: &[(&str, &[&str])] = &[
    ("libfiledb0", &["libfiledb.so.0"]),
    (
        "libfiledb-dev",
        &[
            "include/filedb.h",
            "include/filedb.hpp",
            "libfiledb.so",
            "libfiledb.a",
            "filedb.pc",
            "filedb-config.cmake",
            "filedb_put.3.gz",
        ],
    ),
    (
        "filedb-tools",
        &["bin/filedb", "bin/filedb-server", "filedb.1.gz", "filedb-server.1.gz", "filedb-server.service"],
    ),
];

pub fn packages(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(TOOLS))?;
    let sh = &workspace.shell;
    let changes = sh.read_file("debian/changelog")?;
    let version = workspace.version()?;
    ensure!(
        changes.starts_with(&format!("filedb ({version})")),
        "debian/changelog does not begin with {version}"
    );

    // dpkg-buildpackage puts what it makes beside the sources.
    let out = workspace.fresh_dir("debian")?;
    let source = out.join("filedb");
    sh.create_dir(&source)?;
    let files = cmd!(sh, "git ls-files --cached --others --exclude-standard -z").quiet().output()?.stdout;
    let archive = out.join("sources.tar");
    quietly(cmd!(sh, "tar -cf {archive} --null --files-from=-").stdin(files))?;
    quietly(cmd!(sh, "tar -xf {archive} -C {source}"))?;
    {
        let _in_source = sh.push_dir(&source);
        // Not the cargo of a package, which would be asked for otherwise.
        let _no_target = sh.push_env("CARGO_TARGET_DIR", "target");
        quietly(cmd!(sh, "dpkg-buildpackage --build=binary --no-sign --no-check-builddeps"))?;
    }
    let made = sh.read_dir(&out)?;
    let changes = made.iter().find(|file| file.extension().is_some_and(|end| end == "changes"));
    let changes = changes.context("dpkg-buildpackage made no .changes")?;
    let said = cmd!(sh, "lintian --allow-root --fail-on error,warning --tag-display-limit 0 {changes}")
        .quiet()
        .ignore_status()
        .output()?;
    ensure!(said.status.success(), "lintian says:\n{}", String::from_utf8_lossy(&said.stdout));

    let root = out.join("root");
    for (package, hold) in HOLD {
        let file = made
            .iter()
            .find(|file| is_package(file, package))
            .with_context(|| format!("no {package}.deb"))?;
        let list = cmd!(sh, "dpkg-deb --contents {file}").quiet().read()?;
        for name in *hold {
            let ends = |line: &str| {
                line.split(" -> ").next().is_some_and(|path| path.ends_with(&format!("/{name}")))
            };
            ensure!(list.lines().any(ends), "{package} has no {name}:\n{list}");
        }
        quietly(cmd!(sh, "dpkg-deb --extract {file} {root}"))?;
    }
    let triplet = cmd!(sh, "dpkg-architecture -qDEB_HOST_MULTIARCH").quiet().read()?;
    let lib = root.join("usr/lib").join(triplet);
    let store = tempfile::tempdir()?;
    let store = store.path().join("store");
    let (program, main) = (out.join("program"), workspace.path("cmake/tests/consumer/main.c"));
    quietly(cmd!(sh, "cc {main} -I{root}/usr/include -L{lib} -lfiledb -Wl,-rpath,{lib} -o {program}"))?;
    let said = cmd!(sh, "{program} {store}").quiet().read()?;
    ensure!(said == version, "a program that is built with the packages says version {said}");
    let said = cmd!(sh, "{root}/usr/bin/filedb get {store} key").quiet().read()?;
    ensure!(said == "value", "filedb of the package reads '{said}'");
    Ok(())
}

fn is_package(file: &Path, name: &str) -> bool {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    file.starts_with(&format!("{name}_")) && file.ends_with(".deb")
}
