# Compiles through ccache where there is one and nobody chose a launcher.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(TROUPE_CCACHE ccache DOC "ccache, used as the compiler launcher")
  if(TROUPE_CCACHE)
    set(launcher "${PROJECT_BINARY_DIR}/through-ccache")
    configure_file("${CMAKE_CURRENT_LIST_DIR}/through-ccache.sh.in" "${launcher}" @ONLY)
    file(CHMOD "${launcher}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                         WORLD_EXECUTE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
  endif()
endif()
