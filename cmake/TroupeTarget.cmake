# How a target of this tree is built: warnings, sanitizers, and the include root that enforces the arrows.

# Everything private to this build; never part of what troupe::troupe hands on.
add_library(troupe_build INTERFACE)
target_compile_features(troupe_build INTERFACE cxx_std_20)
# The compiler of kernels takes none of these.
set(cxx "$<COMPILE_LANGUAGE:CXX>")
target_compile_options(
  troupe_build
  INTERFACE
    "$<${cxx}:-Wall;-Wextra;-Wpedantic;-Wshadow>"
    $<$<AND:${cxx},$<BOOL:${TROUPE_WERROR}>>:-Werror>
    # g++ 12 warns of overlapping copies inside std::string's own operator+ (GCC bug 105651), and at -O3 of writes
    # past the end of small arrays, by an iteration that the check before the loop rules out.
    "$<$<AND:${cxx},$<CXX_COMPILER_ID:GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>>:-Wno-restrict;-Wno-stringop-overflow;-Wno-array-bounds>"
    # A failed assertion names a file of the source tree, not the include root it was reached by.
    $<${cxx}:-fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=>)
if(TROUPE_SANITIZE)
  target_compile_options(
    troupe_build
    INTERFACE "$<${cxx}:-fsanitize=${TROUPE_SANITIZE};-fno-sanitize-recover=undefined;-fno-omit-frame-pointer;-O1;-g1>"
              # Instrumentation hides from the optimiser what this one needs to see.
              "$<$<AND:${cxx},$<CXX_COMPILER_ID:GNU>>:-Wno-maybe-uninitialized;-Wno-stringop-overflow>")
  if(TROUPE_SANITIZE STREQUAL "thread" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_compile_options(troupe_build INTERFACE $<${cxx}:-Wno-tsan>) # It cannot instrument fences and says so.
  endif()
  target_link_options(troupe_build INTERFACE -fsanitize=${TROUPE_SANITIZE})
endif()

# troupe_folder(<name> USES <folder>...): the target troupe_<name> of a top-level folder.
#
# Beside include/ its only include directory is <build>/arrows/<name>, which holds a link to each folder it may use
# and to itself: an include against the arrows names a file that is not there. A folder that has no source yet is an INTERFACE
# target, so that those after it can be written before it.
function(troupe_folder name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "USES")
  set(folder "${PROJECT_SOURCE_DIR}/${name}")
  set(root "${PROJECT_BINARY_DIR}/arrows/${name}")
  file(REMOVE_RECURSE "${root}")
  file(MAKE_DIRECTORY "${root}")
  foreach(used IN LISTS arg_USES ITEMS ${name})
    file(CREATE_LINK "${PROJECT_SOURCE_DIR}/${used}" "${root}/${used}" SYMBOLIC)
  endforeach()

  file(GLOB_RECURSE sources CONFIGURE_DEPENDS "${folder}/*.cpp")
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS "${folder}/*.hpp")
  list(TRANSFORM arg_USES PREPEND troupe_ OUTPUT_VARIABLE used_targets)
  if(sources)
    add_library(troupe_${name} STATIC ${sources} ${headers})
    target_link_libraries(troupe_${name} PUBLIC troupe_include ${used_targets} PRIVATE troupe_build)
    target_include_directories(troupe_${name} PRIVATE "${root}")
    target_compile_options(
      troupe_${name} PRIVATE -fvisibility=hidden -fvisibility-inlines-hidden -fno-semantic-interposition
                             -fmacro-prefix-map=${root}/=)
    set_target_properties(troupe_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
    set_property(GLOBAL APPEND PROPERTY TROUPE_FOLDERS troupe_${name})
  else()
    add_library(troupe_${name} INTERFACE)
    target_link_libraries(troupe_${name} INTERFACE troupe_include ${used_targets})
  endif()
  set_property(GLOBAL APPEND PROPERTY TROUPE_ARROWS ${name})
  set_property(GLOBAL PROPERTY TROUPE_ARROWS_${name} ${arg_USES} ${name})
endfunction()

# troupe_folder_links(<name> <library>...): libraries a folder needs that are not folders.
# PUBLIC here reaches the folders to the right and the tests, never the users of troupe::troupe.
function(troupe_folder_links name)
  get_target_property(type troupe_${name} TYPE)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PUBLIC;PRIVATE")
  set_property(GLOBAL APPEND PROPERTY TROUPE_EXTERNAL ${arg_PUBLIC} ${arg_PRIVATE})
  if(type STREQUAL "INTERFACE_LIBRARY")
    target_link_libraries(troupe_${name} INTERFACE ${arg_PUBLIC} ${arg_PRIVATE})
  else()
    target_link_libraries(troupe_${name} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE})
  endif()
endfunction()
