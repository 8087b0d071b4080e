"""Packs libfiledb.so into the wheel. cargo builds it, from the sources that are beside this file in an sdist (crate/) and two
directories up in the repository; or FILEDB_BUILD_LIBRARY names one that is built already.

No Python headers are used, so one wheel serves all versions of Python on a platform.
"""

import os
import platform
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

HERE = Path(__file__).resolve().parent
#: The sources of the library, as an sdist has them, and as the repository does.
CARRIED, REPOSITORY = HERE / "crate", HERE.parent.parent


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return  # nothing is copied then: the library of the system is loaded, or the one that FILEDB_LIBRARY names
        target = Path(self.get_finalized_command("build").build_temp).resolve() / "cargo"
        library = os.environ.get("FILEDB_BUILD_LIBRARY") or build_library(target)
        shutil.copyfile(library, Path(self.build_lib, "filedb", "libfiledb.so"))


def build_library(target: Path) -> Path:
    """The library, built by cargo below `target`."""
    cargo = shutil.which("cargo")
    source = CARRIED if CARRIED.is_dir() else REPOSITORY
    if not (source / "Cargo.toml").is_file():
        raise SystemExit(
            f"the sources of libfiledb are not in {source}: set FILEDB_BUILD_LIBRARY to a libfiledb.so that is built already"
        )
    if cargo is None:
        raise SystemExit(
            "cargo is missing, which builds libfiledb: install Rust 1.88 or later (rustup, trixie-backports, Debian 14), "
            "or set FILEDB_BUILD_LIBRARY to a libfiledb.so that is built already"
        )
    # The machine is named so that the result lies where it is looked for, whatever cargo's configuration says.
    about = subprocess.run([cargo, "--version", "--verbose"], check=True, capture_output=True, text=True, cwd=source)
    (machine,) = re.findall(r"^host: (\S+)$", about.stdout, re.MULTILINE)
    arguments = ["--package", "filedb", "--lib", "--crate-type", "cdylib", "--profile", "dist", "--features", "c-library"]
    arguments += ["--locked", "--target", machine, "--target-dir", str(target), "--", "-C", "strip=symbols"]
    subprocess.run([cargo, "rustc", *arguments], check=True, cwd=source)
    return target / machine / "dist" / "libfiledb.so"


class SourcesWithCrate(sdist):
    """An sdist has the package for crates.io in it, so that it builds anywhere."""

    def make_release_tree(self, base_dir: str, files: "list[str]") -> None:
        super().make_release_tree(base_dir, files)
        into = Path(base_dir, "crate")
        if CARRIED.is_dir():
            shutil.copytree(CARRIED, into)
            return
        target = Path(self.get_finalized_command("build").build_temp).resolve() / "crate"
        arguments = ["--package", "filedb", "--no-verify", "--allow-dirty", "--locked", "--target-dir", str(target)]
        subprocess.run(["cargo", "package", *arguments], check=True, cwd=REPOSITORY)
        (crate,) = (target / "package").glob("filedb-*.crate")
        with tarfile.open(crate) as archive:
            archive.extractall(target / "unpacked")
        shutil.move(target / "unpacked" / crate.stem, into)
        shutil.rmtree(target)


class PlatformWheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> "tuple[str, str, str]":
        return "py3", "none", platform_of(Path(self.bdist_dir, "filedb", "libfiledb.so"))


class WithLibrary(Distribution):
    def has_ext_modules(self) -> bool:
        return True


def platform_of(library: Path) -> str:
    """The systems that the library runs on: those whose glibc has the newest version that it asks for (PEP 600)."""
    asked = re.findall(rb"GLIBC_(\d+)\.(\d+)", library.read_bytes())
    machine = platform.machine()
    if not asked:
        return f"linux_{machine}"
    major, minor = max((int(major), int(minor)) for major, minor in asked)
    return f"manylinux_{major}_{minor}_{machine}"


setup(
    distclass=WithLibrary,
    cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel, "sdist": SourcesWithCrate},
)
