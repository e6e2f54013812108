# Registers tests: every one has labels, a time limit, and the sanitizers' settings.
set(TROUPE_TEST_TIMEOUT 120)
set(TROUPE_TEST_ENVIRONMENT "")
if(TROUPE_SANITIZE)
  set(TROUPE_TEST_TIMEOUT 300)
  set(support "${PROJECT_SOURCE_DIR}/test/support")
  set(TROUPE_TEST_ENVIRONMENT
      "ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:check_initialization_order=1"
      "LSAN_OPTIONS=suppressions='${support}/lsan.supp':print_suppressions=0"
      "TSAN_OPTIONS=suppressions='${support}/tsan.supp':second_deadlock_stack=1:history_size=4"
      "UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1")
endif()

# troupe_test_properties(<test> <label>...)
function(troupe_test_properties name)
  set_tests_properties("${name}" PROPERTIES LABELS "${ARGN}" TIMEOUT ${TROUPE_TEST_TIMEOUT}
                                            ENVIRONMENT "${TROUPE_TEST_ENVIRONMENT}")
endfunction()

# troupe_depend_on(<file>): a change of the file runs the configuration again.
function(troupe_depend_on file)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${file}")
endfunction()
