# Finds the C++ Actor Framework's core as CAF::core. Debian ships no CMake package for it.
# Only 0.17.x will do: 0.18 replaced atoms by type ids and 1.x changed the scheduler that troupe derives from.
find_path(CAF_INCLUDE_DIR caf/config.hpp)
find_library(CAF_CORE_LIBRARY caf_core)
mark_as_advanced(CAF_INCLUDE_DIR CAF_CORE_LIBRARY)

if(CAF_INCLUDE_DIR)
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" _caf_line REGEX "^#define CAF_VERSION [0-9]+")
  if(NOT _caf_line) # Newer versions keep it in a generated header.
    if(EXISTS "${CAF_INCLUDE_DIR}/caf/detail/build_config.hpp")
      file(STRINGS "${CAF_INCLUDE_DIR}/caf/detail/build_config.hpp" _caf_line
           REGEX "^#define CAF_VERSION [0-9]+")
    endif()
  endif()
  if(_caf_line MATCHES "CAF_VERSION ([0-9]+)")
    math(EXPR _caf_major "${CMAKE_MATCH_1} / 10000")
    math(EXPR _caf_minor "${CMAKE_MATCH_1} / 100 % 100")
    math(EXPR _caf_patch "${CMAKE_MATCH_1} % 100")
    set(CAF_VERSION "${_caf_major}.${_caf_minor}.${_caf_patch}")
  else()
    set(CAF_VERSION "unknown")
  endif()
  if(NOT CAF_VERSION MATCHES "^0\\.17\\.")
    message(FATAL_ERROR
            "troupe needs CAF 0.17.x and found ${CAF_VERSION} in ${CAF_INCLUDE_DIR}: later versions changed "
            "atoms, message handling and the scheduler. Install libcaf-dev (Debian 12 and 13, Ubuntu 24.04 "
            "have 0.17.6) or point CAF_INCLUDE_DIR and CAF_CORE_LIBRARY at a 0.17 tree.")
  endif()
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  CAF
  REQUIRED_VARS CAF_CORE_LIBRARY CAF_INCLUDE_DIR
  VERSION_VAR CAF_VERSION
  REASON_FAILURE_MESSAGE "install libcaf-dev")

if(CAF_FOUND AND NOT TARGET CAF::core)
  add_library(CAF::core UNKNOWN IMPORTED)
  set_target_properties(CAF::core PROPERTIES IMPORTED_LOCATION "${CAF_CORE_LIBRARY}"
                                             INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}")
  target_link_libraries(CAF::core INTERFACE Threads::Threads)
endif()
