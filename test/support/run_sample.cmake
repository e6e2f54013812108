# Runs a sample and judges it: exit code 0, and every line of EXPECT found in its output as a regular expression.
# cmake -DPROGRAM=... -DARGS=... -DEXPECT=... -DSAMPLE_DIR=... -DWORK_DIR=... -DTIMEOUT=... -P run_sample.cmake
cmake_minimum_required(VERSION 3.25)
file(REMOVE_RECURSE "${WORK_DIR}")
file(MAKE_DIRECTORY "${WORK_DIR}")
separate_arguments(args UNIX_COMMAND "${ARGS}")
string(REPLACE "@SAMPLE_DIR@" "${SAMPLE_DIR}" args "${args}")
string(REPLACE "@WORK_DIR@" "${WORK_DIR}" args "${args}")

execute_process(
  COMMAND "${PROGRAM}" ${args}
  WORKING_DIRECTORY "${WORK_DIR}"
  TIMEOUT ${TIMEOUT}
  OUTPUT_VARIABLE output
  ERROR_VARIABLE output
  RESULT_VARIABLE code)
execute_process(COMMAND ${CMAKE_COMMAND} -E echo "${output}")
if(code EQUAL 77) # It says why it cannot run here, which ctest reads.
  return()
endif()
if(NOT code EQUAL 0)
  message(FATAL_ERROR "${PROGRAM} ${args}: ended with ${code}")
endif()

if(EXPECT)
  file(READ "${EXPECT}" rest)
  string(APPEND rest "\n")
  # Not a list: lines hold semicolons and brackets.
  while(NOT rest STREQUAL "")
    string(FIND "${rest}" "\n" end)
    string(SUBSTRING "${rest}" 0 ${end} line)
    math(EXPR end "${end} + 1")
    string(SUBSTRING "${rest}" ${end} -1 rest)
    if(line STREQUAL "")
      continue()
    endif()
    string(REGEX MATCH "${line}" found "${output}")
    if(found STREQUAL "")
      message(FATAL_ERROR "nothing in the output matches this line of ${EXPECT}: ${line}")
    endif()
  endwhile()
endif()
