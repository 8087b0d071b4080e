//! The header for C++ and the bindings for Go, Zig and Python: each built and tested against the installed library, with
//! its example. Compilers come from the distribution, what is in bindings/requirements.txt from PyPI.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use xshell::{Shell, cmd};

use crate::clib;
use crate::shortener;
use crate::tools::{self, Tool};
use crate::workspace::{Workspace, quietly, refused};

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
    go_with_iterators(workspace)?;
    go_get(workspace)?;
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

/// With Go 1.23 and later the module has a file more, of iterators. Debian's Go may be older: bindings/requirements.txt names one.
fn go_with_iterators(workspace: &Workspace) -> Result<()> {
    let (sh, venv) = (&workspace.shell, venv(workspace)?);
    let python = venv.join("bin/python");
    let package =
        cmd!(sh, "{python} -c 'import os, go; print(os.path.dirname(go.__file__))'").quiet().read()?;
    let go = Path::new(&package).join("bin/go");
    let _in_module = sh.push_dir("bindings/go");
    let _this_one = sh.push_env("GOTOOLCHAIN", "local");
    quietly(cmd!(sh, "{go} vet ./..."))?;
    let said =
        cmd!(sh, "{go} test -count=1 -v ./...").quiet().read().context("the Go module, with iterators")?;
    ensure!(
        said.contains("PASS: TestAllShowsWhatIterateShows"),
        "the test of iterators was not run:\n{said}"
    );
    println!("{}: ok, with iterators", cmd!(sh, "{go} version").quiet().read()?);
    Ok(())
}

/// `go get` brings the module by its path and version, as it would from a repository with the tag that the README names; and the program
/// in the README runs with it.
fn go_get(workspace: &Workspace) -> Result<()> {
    let sh = &workspace.shell;
    let module = sh.read_file("bindings/go/go.mod")?;
    let path =
        module.lines().find_map(|line| line.strip_prefix("module ")).context("go.mod names no module")?;
    let version = format!("v{}", workspace.version()?);
    let directory = tempfile::tempdir()?;
    let directory = directory.path();

    let (proxy, zipped) = (directory.join("proxy").join(path).join("@v"), format!("{path}@{version}"));
    sh.create_dir(&proxy)?;
    let archive = proxy.join(format!("{version}.zip"));
    let files = cmd!(sh, "git ls-files bindings/go").quiet().read()?;
    let files = files.lines();
    const ZIP: &str = "import sys, os, zipfile\nwith zipfile.ZipFile(sys.argv[1], 'w') as archive:\n  for file in sys.argv[3:]: archive.write(file, os.path.join(sys.argv[2], os.path.basename(file)))";
    quietly(cmd!(sh, "python3 -c {ZIP} {archive} {zipped} {files...}"))?;
    sh.write_file(proxy.join("list"), format!("{version}\n"))?;
    sh.write_file(proxy.join(format!("{version}.info")), format!("{{\"Version\":\"{version}\"}}"))?;
    sh.write_file(proxy.join(format!("{version}.mod")), &module)?;

    let readme = sh.read_file("README.md")?;
    let program = readme.split("```go\n").nth(1).and_then(|rest| rest.split("```").next());
    let program = program.context("README.md has no program in Go")?;
    ensure!(program.contains(&format!("\"{path}\"")), "the program in the README does not import {path}");
    sh.write_file(directory.join("program/main.go"), program)?;
    let _in_program = sh.push_dir(directory.join("program"));
    let _proxy = sh.push_env("GOPROXY", format!("file://{}/proxy", directory.display()));
    let _no_sums = sh.push_env("GONOSUMDB", "*");
    let _modules = sh.push_env("GOMODCACHE", directory.join("modules"));
    let _removable = sh.push_env("GOFLAGS", "-modcacherw");
    quietly(cmd!(sh, "go mod init program"))?;
    quietly(cmd!(sh, "go get {zipped}"))?;
    quietly(cmd!(sh, "go build -o program ."))?;
    let said = cmd!(sh, "./program").quiet().read()?;
    ensure!(said == "world <nil>", "the Go program in the README prints '{said}'");
    Ok(())
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
    copy_package(workspace, &copy)?;
    {
        let _library = sh.push_env("FILEDB_BUILD_LIBRARY", prefix.join("lib/libfiledb.so"));
        quietly(cmd!(sh, "{python} -m pip wheel -q --no-deps --no-build-isolation -w {wheels} {copy}"))?;
    }
    let wheel = sh.read_dir(&wheels)?.pop().context("pip made no wheel")?;
    let wheel_name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let said = cmd!(sh, "{python} -m auditwheel show {wheel}").quiet().read()?;
    let tag = wheel_name.rsplit('-').next().unwrap_or_default().trim_end_matches(".whl");
    ensure!(said.contains(tag), "the wheel says {tag}, and auditwheel:\n{said}");
    let files = cmd!(sh, "{python} -m zipfile --list {wheel}").quiet().read()?;
    for file in ["filedb/libfiledb.so", "filedb/py.typed", "licenses/LICENSE-MIT", "licenses/LICENSE-APACHE"]
    {
        ensure!(files.contains(file), "the wheel lacks {file}");
    }
    quietly(cmd!(sh, "{python} -m pip install -q --no-deps --force-reinstall {wheel}"))?;
    let loaded = cmd!(sh, "{python} -c 'import filedb; print(filedb.LIBRARY_PATH)'").quiet().read()?;
    ensure!(Path::new(&loaded).starts_with(venv), "the wheel does not carry the library, it loads {loaded}");
    Ok(python)
}

/// The Python package as the repository has it, without what links point to elsewhere.
pub fn copy_package(workspace: &Workspace, copy: &Path) -> Result<()> {
    let (sh, source) = (&workspace.shell, workspace.path("bindings/python"));
    cmd!(sh, "cp -aL {source} {copy}").quiet().run()?;
    for left in ["build", "dist", "src/filedb.egg-info"] {
        sh.remove_path(copy.join(left))?;
    }
    Ok(())
}

/// The source distribution has all that it takes: `pip install` builds the library from it with cargo, outside of the repository; and
/// says what is missing where there is no cargo.
pub fn source_distribution(workspace: &Workspace) -> Result<()> {
    let (sh, venv) = (&workspace.shell, venv(workspace)?);
    let (out, python) = (workspace.fresh_dir("sdist")?, venv.join("bin/python"));
    {
        let _in_package = sh.push_dir("bindings/python");
        let directories =
            ["egg_info", "-e", "{out}", "build", "-b", "{out}/build", "sdist", "-d", "{out}/dist"];
        let words = directories.map(|word| word.replace("{out}", &out.display().to_string()));
        quietly(cmd!(sh, "{python} -B setup.py -q {words...}"))?;
    }
    let archive = sh.read_dir(out.join("dist"))?.pop().context("setuptools made no source distribution")?;
    let fresh = out.join("venv");
    quietly(cmd!(sh, "python3 -m venv {fresh}"))?;
    quietly(cmd!(sh, "{fresh}/bin/python -m pip install -q --disable-pip-version-check setuptools==80.9.0"))?;
    let outside = tempfile::tempdir()?;
    let _outside = sh.push_dir(outside.path());
    let install =
        ["-m", "pip", "install", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"];
    {
        let _no_cargo = sh.push_env("PATH", "/usr/bin:/bin");
        if !tools::is_in("/usr/bin", "cargo") {
            let said = refused(cmd!(sh, "{fresh}/bin/python {install...} {archive}"))?;
            ensure!(said.contains("cargo is missing"), "without cargo pip says:\n{said}");
        }
    }
    quietly(cmd!(sh, "{fresh}/bin/python {install...} {archive}"))?;
    greets(workspace, &fresh)
}

/// The package of a Python environment has a library of its own, which works.
pub fn greets(workspace: &Workspace, venv: &Path) -> Result<()> {
    let sh = &workspace.shell;
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("store");
    let program = "import filedb, sys\nwith filedb.open(sys.argv[1]) as db:\n  db['a'] = 'b'\n  print(db['a'].decode(), filedb.LIBRARY_PATH)";
    let said = cmd!(sh, "{venv}/bin/python -c {program} {store}").quiet().read()?;
    let library = said.strip_prefix("b ").with_context(|| format!("the program prints '{said}'"))?;
    ensure!(Path::new(library).starts_with(venv), "the package loads {library}");
    Ok(())
}

/// A Python environment with what bindings/requirements.txt names.
pub fn venv(workspace: &Workspace) -> Result<PathBuf> {
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
