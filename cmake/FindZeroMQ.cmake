# Finds libzmq as ZeroMQ::zmq. Debian ships no CMake package for it. 4.3 is the first whose monitor tells of handshakes.
find_path(ZeroMQ_INCLUDE_DIR zmq.h)
find_library(ZeroMQ_LIBRARY zmq)
mark_as_advanced(ZeroMQ_INCLUDE_DIR ZeroMQ_LIBRARY)

if(ZeroMQ_INCLUDE_DIR)
  file(STRINGS "${ZeroMQ_INCLUDE_DIR}/zmq.h" _zmq_lines REGEX "^#define ZMQ_VERSION_(MAJOR|MINOR|PATCH) [0-9]+")
  list(TRANSFORM _zmq_lines REPLACE "^.* ([0-9]+).*$" "\\1")
  list(JOIN _zmq_lines "." ZeroMQ_VERSION)
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(
  ZeroMQ
  REQUIRED_VARS ZeroMQ_LIBRARY ZeroMQ_INCLUDE_DIR
  VERSION_VAR ZeroMQ_VERSION
  REASON_FAILURE_MESSAGE "install libzmq3-dev")

if(ZeroMQ_FOUND AND NOT TARGET ZeroMQ::zmq)
  add_library(ZeroMQ::zmq UNKNOWN IMPORTED)
  set_target_properties(ZeroMQ::zmq PROPERTIES IMPORTED_LOCATION "${ZeroMQ_LIBRARY}"
                                               INTERFACE_INCLUDE_DIRECTORIES "${ZeroMQ_INCLUDE_DIR}")
endif()
