# The sources that this port lies in. In a registry: vcpkg_from_git(OUT_SOURCE_PATH SOURCE_PATH URL ... REF ...).
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../../.." ABSOLUTE)

vcpkg_check_features(OUT_FEATURE_OPTIONS FEATURE_OPTIONS FEATURES valkey FILEDB_WITH_VALKEY)

# vcpkg gives a port a small environment; cargo is where rustup puts it.
vcpkg_cmake_configure(SOURCE_PATH "${SOURCE_PATH}" OPTIONS ${FEATURE_OPTIONS})
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH lib/cmake/filedb)
vcpkg_fixup_pkgconfig()

# A triplet wants one of the two libraries. The targets of the CMake package are those that are there.
if(VCPKG_LIBRARY_LINKAGE STREQUAL "static")
  file(GLOB unwanted "${CURRENT_PACKAGES_DIR}/lib/libfiledb.so*" "${CURRENT_PACKAGES_DIR}/debug/lib/libfiledb.so*")
else()
  set(unwanted "${CURRENT_PACKAGES_DIR}/lib/libfiledb.a" "${CURRENT_PACKAGES_DIR}/debug/lib/libfiledb.a")
endif()
file(REMOVE ${unwanted})
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/include" "${CURRENT_PACKAGES_DIR}/debug/share")

vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE-MIT" "${SOURCE_PATH}/LICENSE-APACHE")
