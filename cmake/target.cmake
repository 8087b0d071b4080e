# Which machine the libraries are for: the one that the C compiler makes programs for. Sets ${filedb_target}, its name in
# Rust, and ${filedb_linker}, what cargo has to be told to link for it. What cannot be is refused here with a sentence.
#
# Cargo is always told, also on the machine itself: CARGO_BUILD_TARGET in the environment, or build.target in a
# configuration of cargo's, would have it build for another machine, and write the libraries to another place.

set(FILEDB_CARGO_TARGET "" CACHE STRING "What Rust calls the machine to build for; empty: that of the C compiler")

# What the compiler calls its machine, such as aarch64-linux-gnu, and what the processor is called in Rust.
function(filedb_machine_of_compiler machine processor)
  set(flags "")
  if(CMAKE_C_COMPILER_TARGET AND CMAKE_C_COMPILER_ID MATCHES "Clang")
    set(flags --target=${CMAKE_C_COMPILER_TARGET})
  endif()
  execute_process(COMMAND ${CMAKE_C_COMPILER} ${flags} -dumpmachine
    OUTPUT_VARIABLE answer OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  string(REGEX MATCH "^[^-]+" name "${answer}")
  filedb_processor(name "${name}")
  if(name STREQUAL "x86_64" AND CMAKE_SIZEOF_VOID_P EQUAL 4) # gcc -m32 does not say so
    set(name i686)
  endif()
  set(${machine} "${answer}" PARENT_SCOPE)
  set(${processor} "${name}" PARENT_SCOPE)
endfunction()

# One name for each processor: that of Rust.
function(filedb_processor result name)
  string(TOLOWER "${name}" name)
  if(name MATCHES "^(amd64|x64)$")
    set(name x86_64)
  elseif(name MATCHES "^(i[3-6]86|x86)$")
    set(name i686)
  elseif(name STREQUAL "arm64")
    set(name aarch64)
  elseif(name MATCHES "^(armv7.*|arm)$")
    set(name armv7)
  elseif(name STREQUAL "riscv64")
    set(name riscv64gc)
  elseif(name STREQUAL "ppc64le")
    set(name powerpc64le)
  endif()
  set(${result} "${name}" PARENT_SCOPE)
endfunction()

execute_process(COMMAND ${FILEDB_CARGO} --version --verbose WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
  OUTPUT_VARIABLE filedb_about_cargo ERROR_VARIABLE filedb_about_cargo)
if(NOT filedb_about_cargo MATCHES "host: ([^ \n]+)")
  message(FATAL_ERROR "filedb: ${FILEDB_CARGO} does not say what machine it runs on:\n${filedb_about_cargo}")
endif()
set(filedb_host ${CMAKE_MATCH_1})
string(REGEX MATCH "^[^-]+" filedb_host_processor ${filedb_host})
string(REGEX MATCH "[^-]+$" filedb_host_libc ${filedb_host})

filedb_machine_of_compiler(filedb_machine filedb_processor)
string(REGEX MATCH "[^-]+$" filedb_libc "${filedb_machine}")
if(CMAKE_CROSSCOMPILING)
  filedb_processor(filedb_wanted "${CMAKE_SYSTEM_PROCESSOR}")
  if(filedb_wanted AND filedb_processor AND NOT filedb_wanted STREQUAL filedb_processor)
    message(FATAL_ERROR "filedb: the toolchain file asks for the processor ${CMAKE_SYSTEM_PROCESSOR}, but the C compiler "
      "${CMAKE_C_COMPILER} makes programs for ${filedb_machine}: set CMAKE_C_COMPILER in the toolchain file, and with clang "
      "CMAKE_C_COMPILER_TARGET too")
  endif()
endif()

if(FILEDB_CARGO_TARGET)
  set(filedb_target ${FILEDB_CARGO_TARGET})
elseif(filedb_processor STREQUAL filedb_host_processor AND filedb_libc STREQUAL filedb_host_libc)
  set(filedb_target ${filedb_host})
elseif(filedb_machine MATCHES "-linux-(gnu|musl)[a-z]*$")
  set(filedb_target ${filedb_processor}-unknown-linux-${filedb_libc})
else()
  message(FATAL_ERROR "filedb: what Rust calls the machine '${filedb_machine}' of the C compiler ${CMAKE_C_COMPILER} is not "
    "known here: set FILEDB_CARGO_TARGET to its name in `rustc --print target-list`")
endif()

# Rust's standard library for that machine is installed separately. Asked now, for cargo says it in many words.
get_filename_component(filedb_cargo_bin ${FILEDB_CARGO} DIRECTORY)
find_program(FILEDB_RUSTC rustc HINTS ${filedb_cargo_bin} DOC "The Rust compiler that cargo calls")
mark_as_advanced(FILEDB_RUSTC)
if(FILEDB_RUSTC)
  execute_process(COMMAND ${FILEDB_RUSTC} --print target-libdir --target ${filedb_target}
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR} RESULT_VARIABLE filedb_result
    OUTPUT_VARIABLE filedb_libdir OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_VARIABLE filedb_errors)
  if(NOT filedb_result EQUAL 0)
    message(FATAL_ERROR "filedb: ${FILEDB_RUSTC} cannot compile for ${filedb_target}: ${filedb_errors}")
  endif()
  if(NOT IS_DIRECTORY "${filedb_libdir}")
    message(FATAL_ERROR "filedb: the C compiler makes programs for ${filedb_machine}, and Rust's standard library for "
      "${filedb_target} is not installed. With rustup: rustup target add ${filedb_target}")
  endif()
endif()

# The shared library is linked by the C compiler, as all of the project is. What the environment says goes first.
set(filedb_linker "")
string(TOUPPER ${filedb_target} filedb_variable)
string(REPLACE "-" "_" filedb_variable CARGO_TARGET_${filedb_variable}_LINKER)
if(NOT filedb_target STREQUAL filedb_host AND NOT DEFINED ENV{${filedb_variable}})
  # It compiles the C that some crates have, too.
  string(REPLACE "-" "_" filedb_cc CC_${filedb_target})
  set(filedb_linker ${CMAKE_COMMAND} -E env ${filedb_variable}=${CMAKE_C_COMPILER} ${filedb_cc}=${CMAKE_C_COMPILER})
endif()
set(filedb_link_flags "")
if(filedb_linker AND CMAKE_C_COMPILER_TARGET AND CMAKE_C_COMPILER_ID MATCHES "Clang")
  list(APPEND filedb_link_flags -C link-arg=--target=${CMAKE_C_COMPILER_TARGET})
endif()
if(filedb_linker AND CMAKE_SYSROOT)
  list(APPEND filedb_link_flags -C link-arg=--sysroot=${CMAKE_SYSROOT})
endif()
if(filedb_linker AND filedb_processor STREQUAL "i686" AND filedb_machine MATCHES "^(x86_64|amd64)")
  list(APPEND filedb_link_flags -C link-arg=-m32)
endif()
if(filedb_link_flags)
  list(PREPEND filedb_link_flags --)
endif()
