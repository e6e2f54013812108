# Every public header compiles by itself, and none reaches a library that users must not see.
cmake_minimum_required(VERSION 3.25)
file(GLOB_RECURSE headers "${SOURCE_DIR}/include/troupe/*.hpp")
# These two are for files that use CUDA.
list(REMOVE_ITEM headers "${SOURCE_DIR}/include/troupe/gpu.hpp" "${SOURCE_DIR}/include/troupe/gpu/launch.hpp")
set(probe "${WORK_DIR}/public_headers.cpp")
file(WRITE "${probe}" "")
foreach(header IN LISTS headers)
  file(APPEND "${probe}" "#include \"${header}\"\n")
endforeach()
execute_process(
  COMMAND "${COMPILER}" -std=c++20 -M "-I${SOURCE_DIR}/include" "${probe}"
  OUTPUT_VARIABLE reached
  ERROR_VARIABLE said
  RESULT_VARIABLE code)
if(NOT code EQUAL 0)
  message(FATAL_ERROR "the public headers do not preprocess:\n${said}")
endif()
if(reached MATCHES "[^ \n]*/(caf|zmq|spdlog|fmt|boost|cuda)[/.][^ \n]*")
  message(FATAL_ERROR "the public headers reach ${CMAKE_MATCH_0}, which belongs into a .cpp file")
endif()
if(reached MATCHES "[^ \n]*${SOURCE_DIR}/(core|actors|tasks|net|gpu)/[^ \n]*")
  message(FATAL_ERROR "the public headers reach ${CMAKE_MATCH_0}, which is not installed")
endif()
