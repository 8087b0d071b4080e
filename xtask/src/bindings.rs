//! The header for C++ and the bindings for Go, Zig and Python: each built and tested against the installed library, with
//! its example. Compilers come from the distribution, what is in bindings/requirements.txt from PyPI.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::clib;
use crate::shortener;
use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly};

const CXX: &[Tool] = &[Tool("g++", "g++"), Tool("clang++", "clang")];
const GO: &[Tool] = &[Tool("go", "golang-go"), Tool("gcc", "gcc"), Tool("pkg-config", "pkg-config")];
const PYTHON: &[Tool] = &[Tool("python3", "python3")];

/// bindings/api.json, and what is generated from it, are what the header says; every binding uses all of it.
pub fn description(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, PYTHON)?;
    let sh = &workspace.shell;
    cmd!(sh, "python3 -B bindings/api.py check").quiet().run()?;
    Ok(cmd!(sh, "python3 -B bindings/api.py missing").quiet().run()?)
}

/// filedb.hpp: both compilers, C++17 and C++20, with exceptions and without; and the C++ example.
pub fn cpp(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, tools::BUILD.iter().chain(CXX))?;
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let out = workspace.fresh_dir("cpp")?;
    let warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"];
    for compiler in ["g++", "clang++"] {
        for (standard, exceptions) in [("17", true), ("17", false), ("20", true), ("20", false)] {
            let no_exceptions = if exceptions { None } else { Some("-fno-exceptions") };
            let program = out.join(format!("test_hpp-{compiler}-{standard}-{exceptions}"));
            quietly(cmd!(
                sh,
                "{compiler} -std=c++{standard} {no_exceptions...} {warnings...} c_tests/test_hpp.cpp -I{prefix}/include
                 -L{prefix}/lib -lfiledb -lpthread -Wl,-rpath,{prefix}/lib -o {program}"
            ))?;
            quietly(cmd!(sh, "{program}"))?;
            println!("{compiler} -std=c++{standard} {}: ok", no_exceptions.unwrap_or(""));
        }
    }
    let build = out.join("example");
    let store = tempfile::tempdir()?;
    let path = store.path().join("store");
    quietly(cmd!(
        sh,
        "cmake -S examples/cpp -B {build} -DCMAKE_PREFIX_PATH={prefix} -DCMAKE_CXX_FLAGS=-Werror"
    ))?;
    quietly(cmd!(sh, "cmake --build {build}"))?;
    says(cmd!(sh, "{build}/quickstart {path}").quiet().read()?, &["account/bob was opened", "bob has 110"])?;
    says(cmd!(sh, "{build}/quickstart {path}").quiet().read()?, &["account/bob was there", "bob has 120"])?;
    shortener::check(&workspace.path("examples/cpp/shortener.cpp"), build.join("shortener"), &[])
}

/// The Go module, with the checks of cgo that cost too much by default and with the race detector; the job queue, which is
/// killed, with a shared and with a static libfiledb.
pub fn go(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, GO)?;
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let _environment = installed_environment(sh, prefix);
    {
        let _in_module = sh.push_dir("bindings/go");
        ensure!(
            cmd!(sh, "gofmt -l .").quiet().read()?.is_empty(),
            "gofmt would change something in bindings/go"
        );
        quietly(cmd!(sh, "go vet ./..."))?;
        cmd!(sh, "go test -count=1 ./...").quiet().run()?;
        cmd!(sh, "go test -count=1 -race ./...").quiet().run()?;
        let _all_checks = sh.push_env("GODEBUG", "cgocheck=2");
        cmd!(sh, "go test -count=1 ./...").quiet().run()?;
    }
    let out = workspace.fresh_dir("go")?;
    let store = tempfile::tempdir()?;
    let store = store.path().join("store");
    let _in_example = sh.push_dir("examples/go");
    ensure!(cmd!(sh, "gofmt -l .").quiet().read()?.is_empty(), "gofmt would change something in examples/go");
    quietly(cmd!(sh, "go vet ./..."))?;
    cmd!(sh, "go test -count=1 ./...").quiet().run()?;
    quietly(cmd!(sh, "go build -buildvcs=false -o {out}/jobqueue ."))?;
    let flags = ["-ldflags", "-extldflags \"-static\""];
    quietly(cmd!(sh, "go build -buildvcs=false {flags...} -o {out}/jobqueue-static ."))?;
    quietly(cmd!(sh, "go build -buildvcs=false {flags...} -o {out}/shortener ./shortener"))?;
    let jobs = ["wash up", "tidy"];
    quietly(cmd!(sh, "{out}/jobqueue {store} add {jobs...}"))?;
    quietly(cmd!(sh, "{out}/jobqueue {store} work"))?;
    let _no_library = sh.push_env("LD_LIBRARY_PATH", "");
    let list = cmd!(sh, "{out}/jobqueue-static {store} list").quiet().read()?;
    ensure!(!list.contains("waiting"), "jobs are left:\n{list}");
    says(list, &["done/000001: WASH UP", "done/000002: TIDY"])?;
    shortener::check(&workspace.path("examples/go/shortener/main.go"), out.join("shortener"), &[])
}

/// The Zig module and the word count.
pub fn zig(workspace: &Workspace) -> Result<()> {
    let (sh, prefix, venv) = (&workspace.shell, clib::installed(workspace)?, venv(workspace)?);
    let out = workspace.out.join("zig");
    let _cache = sh.push_env("ZIG_LOCAL_CACHE_DIR", out.join("cache"));
    let _global_cache = sh.push_env("ZIG_GLOBAL_CACHE_DIR", out.join("global-cache"));
    let python = venv.join("bin/python");
    cmd!(sh, "{python} -m ziglang fmt --check bindings/zig examples/zig")
        .quiet()
        .run()
        .context("zig fmt would change these")?;
    {
        let _in_module = sh.push_dir("bindings/zig");
        cmd!(sh, "{python} -m ziglang build test -Dprefix={prefix} --summary all").quiet().run()?;
    }
    let directory = tempfile::tempdir()?;
    let text = directory.path().join("text");
    sh.write_file(&text, "A rose is a rose is a rose.")?;
    let _in_example = sh.push_dir("examples/zig");
    quietly(cmd!(sh, "{python} -m ziglang build -Dprefix={prefix} -p {out}"))?;
    let store = directory.path().join("store");
    for (words, again) in [("counted", ""), ("was counted before", "again")] {
        let output = cmd!(sh, "{out}/bin/wordcount {store} {text}").quiet().output()?;
        says(String::from_utf8_lossy(&output.stderr).into_owned(), &[words, "3 different words", "3 rose"])
            .with_context(|| format!("wordcount {again}"))?;
    }
    Ok(())
}

/// The Python package: its types, the wheel, and the tests with what the wheel installs; the notebook.
pub fn python(workspace: &Workspace) -> Result<()> {
    let (sh, venv) = (&workspace.shell, venv(workspace)?);
    let python = install_wheel(workspace, &venv)?;
    let out = workspace.out.join("python");
    {
        let _in_package = sh.push_dir("bindings/python");
        let cache = out.join("mypy");
        cmd!(sh, "{python} -m mypy --strict --cache-dir {cache} src tests bench.py").quiet().run()?;
        cmd!(sh, "{python} -B -m pytest -q").quiet().run()?;
    }
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let notebook = workspace.path("examples/python/notebook.py");
    let run = || cmd!(sh, "{python} {notebook} {store}").quiet().read();
    says(run()?, &["505 entries in week 47", "computed", "of course:"])?;
    says(run()?, &["506 entries so far", "remembered"])?;
    let program = workspace.path("examples/python/shortener.py");
    shortener::check(&program, python, &[program.as_os_str()])
}

/// What calls cost through the bindings. No test: other programs on the machine would fail it.
pub fn speed(workspace: &Workspace) -> Result<()> {
    tools::ensure(workspace, GO)?;
    let (sh, prefix, venv) = (&workspace.shell, clib::installed(workspace)?, venv(workspace)?);
    let python = install_wheel(workspace, &venv)?;
    cmd!(sh, "{python} -B bindings/python/bench.py --check").quiet().run()?;
    let _environment = installed_environment(sh, prefix);
    let _in_module = sh.push_dir("bindings/go");
    Ok(cmd!(sh, "go test -run - -bench . -benchtime 3x ./...").quiet().run()?)
}

/// Where the compilers and the loader find the installed library.
fn installed_environment<'a>(sh: &'a Shell, prefix: &Path) -> [xshell::PushEnv<'a>; 2] {
    [
        sh.push_env("PKG_CONFIG_PATH", prefix.join("lib/pkgconfig")),
        sh.push_env("LD_LIBRARY_PATH", prefix.join("lib")),
    ]
}

/// Builds the wheel from a copy, for setuptools leaves things behind, and installs it; the Python that has it.
fn install_wheel(workspace: &Workspace, venv: &Path) -> Result<PathBuf> {
    let (sh, prefix) = (&workspace.shell, clib::installed(workspace)?);
    let out = workspace.fresh_dir("python")?;
    let (copy, wheels, python) = (out.join("source"), out.join("wheels"), venv.join("bin/python"));
    let source = workspace.path("bindings/python");
    cmd!(sh, "cp -a {source} {copy}").quiet().run()?;
    {
        let _library = sh.push_env("FILEDB_LIBRARY", prefix.join("lib/libfiledb.so"));
        quietly(cmd!(sh, "{python} -m pip wheel -q --no-deps --no-build-isolation -w {wheels} {copy}"))?;
    }
    let wheel = sh.read_dir(&wheels)?.pop().context("pip made no wheel")?;
    quietly(cmd!(sh, "{python} -m pip install -q --no-deps --force-reinstall {wheel}"))?;
    let loaded = cmd!(sh, "{python} -c 'import filedb; print(filedb.LIBRARY_PATH)'").quiet().read()?;
    ensure!(Path::new(&loaded).starts_with(venv), "the wheel does not carry the library, it loads {loaded}");
    Ok(python)
}

/// A Python environment with what bindings/requirements.txt names.
fn venv(workspace: &Workspace) -> Result<PathBuf> {
    venv_with(workspace, "venv", "bindings/requirements.txt")
}

/// A Python environment of this name, with what a file names.
pub fn venv_with(workspace: &Workspace, name: &str, requirements: &str) -> Result<PathBuf> {
    tools::ensure(workspace, PYTHON)?;
    let sh = &workspace.shell;
    let (venv, wanted) = (workspace.out.join(name), workspace.path(requirements));
    let stamp = venv.join("requirements.txt");
    let wanted_text = sh.read_file(&wanted)?;
    if sh.read_file(&stamp).is_ok_and(|text| text == wanted_text) {
        return Ok(venv);
    }
    sh.remove_path(&venv)?;
    if cmd!(sh, "python3 -m venv {venv}").quiet().ignore_stdout().ignore_stderr().run().is_err() {
        // Debian keeps that in a package of its own.
        let install = cmd!(sh, "apt-get install -y --no-install-recommends python3-venv");
        quietly(install).context("missing: python3 -m venv. On Debian: sudo apt-get install python3-venv")?;
        quietly(cmd!(sh, "python3 -m venv {venv}"))?;
    }
    let python = venv.join("bin/python");
    quietly(cmd!(sh, "{python} -m pip install -q --disable-pip-version-check -r {wanted}"))
        .with_context(|| format!("missing: what {requirements} names, from PyPI"))?;
    sh.write_file(&stamp, wanted_text)?;
    Ok(venv)
}

fn says(output: String, words: &[&str]) -> Result<()> {
    for word in words {
        ensure!(output.contains(word), "the example does not say '{word}':\n{output}");
    }
    Ok(())
}
