# The targets that programs link to, the same in an installed package and in a build tree.
#
#   filedb::shared   libfiledb.so
#   filedb::static   libfiledb.a, with the system libraries it needs
#   filedb::filedb   the shared one, unless there is none or the program sets filedb_USE_STATIC_LIBS before it looks

function(filedb_add_targets lib_dir shared_name soname include_dir)
  # In a build tree the libraries are yet to be made: GLOBAL stands for "they will be there".
  if(ARGN STREQUAL "GLOBAL" OR EXISTS ${lib_dir}/${shared_name})
    add_library(filedb::shared SHARED IMPORTED ${ARGN})
    set_target_properties(filedb::shared PROPERTIES
      IMPORTED_LOCATION ${lib_dir}/${shared_name}
      IMPORTED_SONAME ${soname}
      INTERFACE_INCLUDE_DIRECTORIES ${include_dir})
  endif()
  if(ARGN STREQUAL "GLOBAL" OR EXISTS ${lib_dir}/libfiledb.a)
    add_library(filedb::static STATIC IMPORTED ${ARGN})
    set_target_properties(filedb::static PROPERTIES
      IMPORTED_LOCATION ${lib_dir}/libfiledb.a
      IMPORTED_LINK_INTERFACE_LANGUAGES C
      INTERFACE_LINK_LIBRARIES "pthread;dl;m" # empty archives since glibc 2.34
      INTERFACE_INCLUDE_DIRECTORIES ${include_dir})
  endif()

  add_library(filedb::filedb INTERFACE IMPORTED ${ARGN})
  if(TARGET filedb::shared AND NOT filedb_USE_STATIC_LIBS)
    set_target_properties(filedb::filedb PROPERTIES INTERFACE_LINK_LIBRARIES filedb::shared)
  else()
    set_target_properties(filedb::filedb PROPERTIES INTERFACE_LINK_LIBRARIES filedb::static)
  endif()
endfunction()
