# Finds cereal (headers only): by its CMake package, else by its headers. Also installed with troupe.
if(NOT TARGET cereal::cereal)
  find_package(cereal CONFIG QUIET)
endif()
if(NOT TARGET cereal::cereal)
  find_path(CEREAL_INCLUDE_DIR cereal/cereal.hpp)
  if(NOT CEREAL_INCLUDE_DIR)
    message(FATAL_ERROR "troupe needs cereal's headers and found none: install libcereal-dev, "
                        "or set CEREAL_INCLUDE_DIR to the folder that holds cereal/cereal.hpp")
  endif()
  add_library(cereal::cereal INTERFACE IMPORTED)
  target_include_directories(cereal::cereal INTERFACE "${CEREAL_INCLUDE_DIR}")
endif()
