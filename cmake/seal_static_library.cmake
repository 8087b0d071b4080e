# Makes INPUT, the archive that rustc wrote, into OUTPUT, an archive that can be linked next to any other Rust library.
#
#   cmake -D INPUT= -D OUTPUT= -D NM= -D LINKER= -D OBJCOPY= -D AR= [-D OBJCOPY_FLAGS=]
#         [-D LINKER_FLAGS=] -P seal_static_library.cmake
#
# rustc's archive carries the whole Rust runtime with global names, rust_eh_personality among them: two such archives in
# one program do not link. So all of it is linked into one relocatable object, in which only filedb_* stays global.
# Section groups go too: of two groups of one name the linker keeps the first, whose symbols are local to it by then,
# and the library that lost its own (DW.ref.rust_eh_personality) would crash on the first panic it catches.

function(run)
  execute_process(COMMAND ${ARGV} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  if(NOT result EQUAL 0)
    list(JOIN ARGV " " command)
    message(FATAL_ERROR "${command}\nfailed (${result}):\n${errors}")
  endif()
  set(output "${output}" PARENT_SCOPE)
endfunction()

# The API is what the linker starts from; of the runtime it takes what that needs.
run(${NM} --extern-only --defined-only --format=posix ${INPUT})
string(REGEX MATCHALL "\nfiledb_[A-Za-z0-9_]+ T" roots "${output}")
if(NOT roots)
  message(FATAL_ERROR "${INPUT} defines no function filedb_*")
endif()
list(TRANSFORM roots REPLACE "\n(.*) T" "--undefined=\\1")

set(object ${OUTPUT}.o)
run(${LINKER} ${LINKER_FLAGS} -r --force-group-allocation ${roots} -o ${object} ${INPUT})
# .llvmbc and .llvmcmd hold rustc's own bitcode: no use to a linker of C programs, and some binutils trip over it.
run(${OBJCOPY} --wildcard --keep-global-symbol=filedb_* --remove-section=.llvmbc --remove-section=.llvmcmd
  ${OBJCOPY_FLAGS} ${object})
file(REMOVE ${OUTPUT}.new)
run(${AR} qcsD ${OUTPUT}.new ${object})
file(REMOVE ${object})
file(RENAME ${OUTPUT}.new ${OUTPUT})
