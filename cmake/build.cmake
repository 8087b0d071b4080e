# Compiles with cargo, finishes both libraries in ${filedb_lib_dir}, and defines the targets that programs link to.
# What is specific to an installed filedb is in install.cmake.

find_program(FILEDB_CARGO cargo HINTS "$ENV{CARGO_HOME}/bin" "$ENV{HOME}/.cargo/bin" DOC "The Rust build tool, cargo")
if(NOT FILEDB_CARGO)
  message(FATAL_ERROR "filedb is written in Rust: install cargo (https://rustup.rs) or set FILEDB_CARGO to its path")
endif()

include(${CMAKE_CURRENT_LIST_DIR}/target.cmake)

# Debug is cargo's dev profile, all else Cargo.toml's dist profile: release with link-time optimisation. Only Debug and
# RelWithDebInfo keep debug information. A generator with several configurations builds the dist profile for all of them.
set(filedb_profile dist)
set(filedb_profile_dir dist)
set(filedb_strip --strip-unneeded)
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(filedb_profile dev)
  set(filedb_profile_dir debug)
endif()
if(CMAKE_BUILD_TYPE MATCHES "^(Debug|RelWithDebInfo)$")
  set(filedb_strip "")
endif()

set(filedb_cargo_dir ${PROJECT_BINARY_DIR}/cargo)
set(filedb_raw_dir ${filedb_cargo_dir}/${filedb_target}/${filedb_profile_dir})
set(filedb_lib_dir ${PROJECT_BINARY_DIR}/lib)
# One number for as long as old programs run with the new library: the major version, libfiledb.so.0 for all of 0.x. Statuses,
# functions and struct members are only ever appended within it (README, "Versions").
set(filedb_soname libfiledb.so.${PROJECT_VERSION_MAJOR}) # build.rs writes it into the library
set(filedb_shared_name libfiledb.so.${PROJECT_VERSION})

# What cargo builds by default is all of it.
set(filedb_features "")
if(NOT FILEDB_WITH_VALKEY)
  set(filedb_features --no-default-features)
endif()

# Cargo alone knows what a change means, so it is asked every time; when nothing changed it touches nothing, and nothing
# below runs. The crate types are named here because a crate that is also built as an rlib gets no link-time optimisation.
add_custom_target(filedb_cargo ALL
  COMMAND ${CMAKE_COMMAND} -E env FILEDB_SONAME=${filedb_soname} ${filedb_linker} ${FILEDB_CARGO} rustc --package filedb --lib --crate-type cdylib,staticlib
    --profile ${filedb_profile} --target ${filedb_target} --target-dir ${filedb_cargo_dir} --features c-library
    ${filedb_features} ${FILEDB_CARGO_FLAGS}
    ${filedb_link_flags}
  BYPRODUCTS ${filedb_raw_dir}/libfiledb.so ${filedb_raw_dir}/libfiledb.a
  WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  COMMENT "Compiling filedb with cargo"
  USES_TERMINAL VERBATIM)

file(MAKE_DIRECTORY ${filedb_lib_dir})
add_custom_command(OUTPUT ${filedb_lib_dir}/${filedb_shared_name}
  DEPENDS ${filedb_raw_dir}/libfiledb.so
  COMMAND ${CMAKE_OBJCOPY} ${filedb_strip} ${filedb_raw_dir}/libfiledb.so ${filedb_lib_dir}/${filedb_shared_name}
  COMMAND ${CMAKE_COMMAND} -E create_symlink ${filedb_shared_name} ${filedb_lib_dir}/${filedb_soname}
  COMMAND ${CMAKE_COMMAND} -E create_symlink ${filedb_soname} ${filedb_lib_dir}/libfiledb.so
  VERBATIM)
# ld takes its own processor for the one that is meant, and one for 64 bits has one for 32 bits too.
set(filedb_emulation "")
if(filedb_target MATCHES "^i[3-6]86-.*linux")
  set(filedb_emulation -m elf_i386)
endif()
add_custom_command(OUTPUT ${filedb_lib_dir}/libfiledb.a
  DEPENDS ${filedb_raw_dir}/libfiledb.a ${PROJECT_SOURCE_DIR}/cmake/seal_static_library.cmake
  COMMAND ${CMAKE_COMMAND} -D NM=${CMAKE_NM} -D LINKER=${CMAKE_LINKER} -D OBJCOPY=${CMAKE_OBJCOPY} -D AR=${CMAKE_AR}
    -D "OBJCOPY_FLAGS=${filedb_strip}" -D "LINKER_FLAGS=${filedb_emulation}" -D INPUT=${filedb_raw_dir}/libfiledb.a -D OUTPUT=${filedb_lib_dir}/libfiledb.a
    -P ${PROJECT_SOURCE_DIR}/cmake/seal_static_library.cmake
  VERBATIM)
add_custom_target(filedb_libraries ALL
  DEPENDS ${filedb_lib_dir}/${filedb_shared_name} ${filedb_lib_dir}/libfiledb.a)
add_dependencies(filedb_libraries filedb_cargo)

include(${PROJECT_SOURCE_DIR}/cmake/filedb-targets.cmake)
filedb_add_targets(${filedb_lib_dir} ${filedb_shared_name} ${filedb_soname} ${PROJECT_SOURCE_DIR}/include GLOBAL)
add_dependencies(filedb::shared filedb_libraries)
add_dependencies(filedb::static filedb_libraries)
