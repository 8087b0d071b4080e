# Installs libraries, headers, manual pages, CMake package and filedb.pc. The tree can be moved afterwards: all paths in it are relative.

set(filedb_cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/filedb)

include(CMakePackageConfigHelpers)
configure_package_config_file(cmake/filedb-config.cmake.in ${PROJECT_BINARY_DIR}/filedb-config.cmake
  INSTALL_DESTINATION ${filedb_cmake_dir}
  PATH_VARS CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR NO_CHECK_REQUIRED_COMPONENTS_MACRO NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/filedb-config-version.cmake COMPATIBILITY SameMajorVersion)

# pkg-config knows where filedb.pc lies; the rest follows from there. An absolute directory stays as it is.
file(RELATIVE_PATH filedb_pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" filedb_pc_to_prefix "${filedb_pc_to_prefix}")
set(filedb_pc_prefix "\${pcfiledir}/${filedb_pc_to_prefix}")
set(filedb_pc_libdir "\${prefix}/${CMAKE_INSTALL_LIBDIR}")
set(filedb_pc_includedir "\${prefix}/${CMAKE_INSTALL_INCLUDEDIR}")
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
  set(filedb_pc_prefix "${CMAKE_INSTALL_PREFIX}")
  set(filedb_pc_libdir "${CMAKE_INSTALL_LIBDIR}")
endif()
if(IS_ABSOLUTE "${CMAKE_INSTALL_INCLUDEDIR}")
  set(filedb_pc_includedir "${CMAKE_INSTALL_INCLUDEDIR}")
endif()
configure_file(cmake/filedb.pc.in ${PROJECT_BINARY_DIR}/filedb.pc @ONLY)

# Two install components, as distributions split a library: what programs run with, and what they are built with.
install(FILES ${filedb_lib_dir}/${filedb_shared_name} ${filedb_lib_dir}/${filedb_soname}
  DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT filedb_runtime)
install(FILES ${filedb_lib_dir}/libfiledb.so ${filedb_lib_dir}/libfiledb.a
  DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT filedb_development)
install(DIRECTORY include/
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT filedb_development FILES_MATCHING PATTERN "filedb.h*")
# `man 3 filedb_put`: each function and type has a page that sends man to the one page, which has a section for it.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS man/filedb.3)
file(STRINGS man/filedb.3 filedb_sections REGEX "^\\.SS filedb")
set(filedb_pages man/filedb.3)
foreach(section IN LISTS filedb_sections)
  string(REPLACE ".SS " "" section "${section}")
  if(NOT section STREQUAL "filedb") # the type of that name, whose page is the page itself
    file(GENERATE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/man3/${section}.3 CONTENT ".so man3/filedb.3\n")
    list(APPEND filedb_pages ${CMAKE_CURRENT_BINARY_DIR}/man3/${section}.3)
  endif()
endforeach()
install(FILES ${filedb_pages}
  DESTINATION ${CMAKE_INSTALL_MANDIR}/man3 COMPONENT filedb_development)
install(FILES ${PROJECT_BINARY_DIR}/filedb.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT filedb_development)
install(
  FILES ${PROJECT_BINARY_DIR}/filedb-config.cmake ${PROJECT_BINARY_DIR}/filedb-config-version.cmake
    cmake/filedb-targets.cmake
  DESTINATION ${filedb_cmake_dir} COMPONENT filedb_development)
