# Compiles through ccache where there is one and nobody chose a launcher.
if(PROJECT_IS_TOP_LEVEL AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  find_program(TROUPE_CCACHE ccache DOC "ccache, used as the compiler launcher")
  if(TROUPE_CCACHE)
    # The sloppiness is what ccache asks for before it caches anything that uses a precompiled header.
    set(launcher "${PROJECT_BINARY_DIR}/through-ccache")
    file(CONFIGURE OUTPUT "${launcher}" @ONLY
         CONTENT "#!/bin/sh\nCCACHE_SLOPPINESS=pch_defines,time_macros exec '@TROUPE_CCACHE@' \"$@\"\n")
    file(CHMOD "${launcher}" PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ
                                         WORLD_EXECUTE)
    set(CMAKE_CXX_COMPILER_LAUNCHER "${launcher}")
  endif()
endif()
