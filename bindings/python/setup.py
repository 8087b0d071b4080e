"""Packs libfiledb.so into the wheel: FILEDB_LIBRARY=/usr/local/lib/libfiledb.so pip wheel --no-deps .

Nothing is compiled, for any Python, so one wheel serves all versions of it on a platform.
"""

import os
import platform
import re
import shutil
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.build_py import build_py

try:
    from setuptools.command.bdist_wheel import bdist_wheel
except ImportError:  # setuptools before 70
    from wheel.bdist_wheel import bdist_wheel


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        if getattr(self, "editable_mode", False):
            return
        library = os.environ.get("FILEDB_LIBRARY")
        if not library:
            raise SystemExit("set FILEDB_LIBRARY to the libfiledb.so that the wheel is to carry")
        shutil.copyfile(library, Path(self.build_lib, "filedb", "libfiledb.so"))


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


setup(distclass=WithLibrary, cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
