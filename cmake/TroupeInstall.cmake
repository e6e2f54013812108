# Installs the headers, libtroupe.so, a CMake package and a pkg-config file.
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/troupe")

install(TARGETS troupe EXPORT troupeTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/troupe" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp"
        PATTERN "gpu" EXCLUDE
        PATTERN "gpu.hpp" EXCLUDE)
install(EXPORT troupeTargets NAMESPACE troupe:: DESTINATION "${package_dir}")

# find_package(troupe COMPONENTS gpu)
if(TROUPE_HAS_GPU)
  install(TARGETS troupe_gpu_library EXPORT troupeGpuTargets LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/troupe/gpu" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/troupe"
          FILES_MATCHING PATTERN "*.hpp")
  install(FILES "${PROJECT_SOURCE_DIR}/include/troupe/gpu.hpp" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/troupe")
  install(EXPORT troupeGpuTargets NAMESPACE troupe:: DESTINATION "${package_dir}")
endif()

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/troupeConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/troupeConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/troupeConfigVersion.cmake" COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/troupeConfig.cmake" "${PROJECT_BINARY_DIR}/troupeConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/TroupeCereal.cmake" DESTINATION "${package_dir}")

# The prefix is relative to the file's own place, so that an installed tree can be moved.
cmake_path(SET pc_dir "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig")
cmake_path(RELATIVE_PATH pc_dir BASE_DIRECTORY "/prefix" OUTPUT_VARIABLE pc_relative)
string(REGEX REPLACE "[^/]+" ".." pc_to_prefix "${pc_relative}")
configure_file("${PROJECT_SOURCE_DIR}/cmake/troupe.pc.in" "${PROJECT_BINARY_DIR}/troupe.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/troupe.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
