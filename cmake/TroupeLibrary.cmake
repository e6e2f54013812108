# libtroupe.so: the objects of all folders, with nothing visible but what TROUPE_API marks.
get_property(folders GLOBAL PROPERTY TROUPE_FOLDERS)
get_property(external GLOBAL PROPERTY TROUPE_EXTERNAL)

# The objects and not the archives: a linker takes from an archive only what it misses, or takes it twice when told
# to take it whole and meets it again behind another folder.
list(TRANSFORM folders REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE objects)
add_library(troupe SHARED ${objects})
add_library(troupe::troupe ALIAS troupe)
target_compile_features(troupe PUBLIC cxx_std_20)
target_include_directories(
  troupe INTERFACE "$<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include>"
                   "$<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>")
target_link_libraries(troupe PUBLIC Threads::Threads cereal::cereal PRIVATE troupe_build ${external})
set_target_properties(troupe PROPERTIES VERSION ${PROJECT_VERSION} LINKER_LANGUAGE CXX
                                        SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
if(NOT TROUPE_SANITIZE) # The sanitizers' own symbols come with the program.
  target_link_options(troupe PRIVATE -Wl,-z,defs)
endif()
