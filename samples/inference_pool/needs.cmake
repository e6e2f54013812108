# Eigen computes on the CPU; cuBLAS on a GPU, in a shared object of its own that the program loads when there is a
# device: the program itself needs neither CUDA's libraries nor a driver.
find_package(Eigen3 3.3 QUIET NO_MODULE)
find_package(ZLIB QUIET)
if(TARGET Eigen3::Eigen AND TARGET ZLIB::ZLIB)
  set(sample_LIBRARIES Eigen3::Eigen ZLIB::ZLIB ${CMAKE_DL_LIBS})
else()
  set(sample_MISSING "it needs Eigen and zlib (libeigen3-dev, zlib1g-dev)")
endif()

if(NOT sample_MISSING AND TARGET troupe::gpu AND TARGET CUDA::cublas)
  add_library(inference_pool_gpu MODULE inference_pool/cublas/backend.cpp inference_pool/cublas/kernels.cu)
  set_target_properties(inference_pool_gpu PROPERTIES PREFIX "")
  target_include_directories(inference_pool_gpu PRIVATE inference_pool)
  target_link_libraries(inference_pool_gpu PRIVATE troupe::gpu troupe_build CUDA::cublas)
  set(sample_PARTS inference_pool_gpu)
endif()
