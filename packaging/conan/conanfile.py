"""Builds filedb with CMake and cargo, which has to be there: conan create packaging/conan"""

import re
from pathlib import Path

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rm

SOURCES = ["Cargo.*", "build.rs", "CMakeLists.txt", "LICENSE-*", "README.md", "src/*", "include/*", "man/*", "cmake/*"]
SOURCES += ["benches/*", "examples/rust/*", "server/*", "cli/*", "xtask/*"]  # cargo looks for all members of the workspace


class Filedb(ConanFile):
    name = "filedb"
    description = "An embedded key-value engine after the Bitcask model, behind a C ABI"
    license = "MIT OR Apache-2.0"
    url = homepage = "https://example.com/filedb"
    topics = ("database", "key-value", "embedded", "bitcask")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "with_valkey": [True, False]}
    default_options = {"shared": False, "with_valkey": True}

    def set_version(self):
        manifest = load(self, Path(self.recipe_folder, "../../Cargo.toml"))
        self.version = re.search(r'^version = "(.+)"', manifest, re.MULTILINE).group(1)

    def export_sources(self):
        # The sources that the recipe lies in. In a registry: a source() that gets a release.
        for pattern in SOURCES:
            copy(self, pattern, Path(self.recipe_folder, "../.."), self.export_sources_folder, excludes="*/target/*")

    def configure(self):
        # It is no C++: its header for C++ has nothing compiled.
        self.settings.rm_safe("compiler.libcxx")
        self.settings.rm_safe("compiler.cppstd")

    def validate(self):
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("the C libraries are built for Linux only")

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.cache_variables["FILEDB_WITH_VALKEY"] = bool(self.options.with_valkey)
        toolchain.cache_variables["CMAKE_INSTALL_LIBDIR"] = "lib"
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()
        copy(self, "LICENSE-*", self.source_folder, Path(self.package_folder, "licenses"))
        rm(self, "libfiledb.a" if self.options.shared else "libfiledb.so*", Path(self.package_folder, "lib"))

    def package_info(self):
        self.cpp_info.libs = ["filedb"]
        self.cpp_info.set_property("cmake_file_name", "filedb")
        self.cpp_info.set_property("cmake_target_name", "filedb::filedb")
        self.cpp_info.set_property("pkg_config_name", "filedb")
        if not self.options.shared:
            self.cpp_info.system_libs = ["pthread", "dl", "m"]
