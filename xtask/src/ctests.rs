//! The C and C++ tests, run by CTest against the installed library, and a program with two Rust libraries in it.

use std::path::PathBuf;

use anyhow::Result;
use xshell::cmd;

use crate::clib;
use crate::workspace::{Workspace, quietly};

pub fn plain(workspace: &Workspace) -> Result<()> {
    let build = build(workspace)?;
    let sh = &workspace.shell;
    let _in_build = sh.push_dir(build);
    Ok(cmd!(sh, "ctest --parallel 2 --output-on-failure --no-tests=error --label-exclude valgrind|again")
        .quiet()
        .run()?)
}

/// Under valgrind; and without it, compiled in all ways, those that take long.
pub fn under_valgrind(workspace: &Workspace) -> Result<()> {
    let build = build(workspace)?;
    let sh = &workspace.shell;
    let _in_build = sh.push_dir(build);
    Ok(cmd!(sh, "ctest --parallel 2 --output-on-failure --no-tests=error --label-regex valgrind|again")
        .quiet()
        .run()?)
}

/// Also compiles the header alone and twice: see cmake/tests/c_tests/CMakeLists.txt.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let (source, tests) = (workspace.path("cmake/tests/c_tests"), workspace.path("c_tests"));
    let build = workspace.out.join("c_tests");
    quietly(cmd!(sh, "cmake -S {source} -B {build} -DCMAKE_PREFIX_PATH={prefix} -DC_TESTS={tests}"))?;
    quietly(cmd!(sh, "cmake --build {build} --parallel 2"))?;
    Ok(build)
}

/// libfiledb.a next to the archive of another Rust crate, a panic caught in each.
pub fn neighbours(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let source = workspace.path("cmake/tests/neighbour");
    let out = workspace.fresh_dir("neighbour")?;
    clib::install_with(workspace, &out.join("prefix"), "build-testing", &["testing"])?;
    let target = workspace.out.join("neighbour-target");
    quietly(cmd!(
        sh,
        "cargo build --release --locked --manifest-path {source}/Cargo.toml --target-dir {target}"
    ))?;
    // In both orders: of what both define, the linker keeps what it sees first.
    let filedb = out.join("prefix/lib/libfiledb.a");
    let neighbour = target.join("release/libneighbour.a");
    for (first, second) in [(&filedb, &neighbour), (&neighbour, &filedb)] {
        let program = out.join("two-libraries");
        quietly(cmd!(
            sh,
            "cc -I{out}/prefix/include {source}/main.c {first} {second} -lpthread -ldl -lm -o {program}"
        ))?;
        cmd!(sh, "{program}").quiet().run()?;
    }
    Ok(())
}
