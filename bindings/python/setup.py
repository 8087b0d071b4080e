"""Packs libfiledb.so into the wheel: FILEDB_LIBRARY=/usr/local/lib/libfiledb.so pip wheel --no-deps .

Nothing is compiled, for any Python, so one wheel serves all versions of it on a platform.
"""

import os
import platform
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel


class BuildWithLibrary(build_py):
    def run(self) -> None:
        super().run()
        library = os.environ.get("FILEDB_LIBRARY")
        if self.editable_mode:
            return
        if not library:
            raise SystemExit("set FILEDB_LIBRARY to the libfiledb.so that the wheel is to carry")
        shutil.copyfile(library, Path(self.build_lib, "filedb", "libfiledb.so"))


class PlatformWheel(bdist_wheel):
    def finalize_options(self) -> None:
        super().finalize_options()
        self.root_is_pure = False

    def get_tag(self) -> "tuple[str, str, str]":
        return "py3", "none", self.plat_name.replace("-", "_") if self.plat_name_supplied else f"linux_{platform.machine()}"


setup(cmdclass={"build_py": BuildWithLibrary, "bdist_wheel": PlatformWheel})
