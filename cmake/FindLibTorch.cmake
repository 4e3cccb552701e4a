# Finds LibTorch (CPU or CUDA build, wheel or zip) and makes the imported target LibTorch::LibTorch.
#
# TorchConfig.cmake is not used: with a CUDA build it demands a CUDA toolkit of the same version,
# which a program that only calls LibTorch does not need.
#
# Searched: TORCH_DIR (variable or environment), CMAKE_PREFIX_PATH, the active Python's torch,
# build/torch (where tools/quickstart.sh puts the wheel).

set(_candidates ${TORCH_DIR} $ENV{TORCH_DIR} ${CMAKE_PREFIX_PATH})
foreach(_prefix ${CMAKE_PREFIX_PATH})
  # `python -c 'import torch; print(torch.utils.cmake_prefix_path)'` names share/cmake
  list(APPEND _candidates ${_prefix}/../..)
endforeach()
find_program(LIBTORCH_PYTHON NAMES python3 python)
if(LIBTORCH_PYTHON)
  execute_process(
    COMMAND ${LIBTORCH_PYTHON} -c
      "import importlib.util as u; s = u.find_spec('torch'); print(s.submodule_search_locations[0] if s else '')"
    OUTPUT_VARIABLE _python_torch OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
  list(APPEND _candidates ${_python_torch})
endif()
list(APPEND _candidates ${CMAKE_SOURCE_DIR}/build/torch/torch)

find_path(LIBTORCH_ROOT NAMES include/torch/csrc/api/include/torch/torch.h
  PATHS ${_candidates} NO_DEFAULT_PATH)
if(NOT LIBTORCH_ROOT)
  message(FATAL_ERROR "LibTorch not found. Run tools/quickstart.sh, or set TORCH_DIR to a folder "
    "that has include/ and lib/ (a LibTorch zip, or site-packages/torch of a wheel).")
endif()

set(_libraries ${LIBTORCH_ROOT}/lib/libtorch.so ${LIBTORCH_ROOT}/lib/libtorch_cpu.so
  ${LIBTORCH_ROOT}/lib/libc10.so)
if(EXISTS ${LIBTORCH_ROOT}/lib/libtorch_cuda.so)
  # Nothing refers to a symbol of torch_cuda; without --no-as-needed the linker drops it and
  # torch::cuda::is_available() is false without a word.
  list(APPEND _libraries -Wl,--no-as-needed ${LIBTORCH_ROOT}/lib/libtorch_cuda.so
    ${LIBTORCH_ROOT}/lib/libc10_cuda.so -Wl,--as-needed)
endif()

# at::parallel_for is a serial loop in code compiled without -fopenmp; linked with it, the system's
# libgomp would be a second pool of threads. So: the flag for compiling only, LibTorch's own libgomp.
# Clang compiles to calls of its own libomp, which that libgomp lacks: with it the loops are serial.
file(GLOB LIBTORCH_OPENMP ${LIBTORCH_ROOT}/lib/libgomp*.so*)
if(LIBTORCH_OPENMP)
  list(GET LIBTORCH_OPENMP 0 LIBTORCH_OPENMP)
  list(APPEND _libraries ${LIBTORCH_OPENMP})
else()
  message(STATUS "This LibTorch has no libgomp of its own: a few loops run on one thread")
endif()

add_library(LibTorch::LibTorch INTERFACE IMPORTED)
target_include_directories(LibTorch::LibTorch SYSTEM INTERFACE ${LIBTORCH_ROOT}/include
  ${LIBTORCH_ROOT}/include/torch/csrc/api/include)
target_link_libraries(LibTorch::LibTorch INTERFACE ${_libraries})
if(LIBTORCH_OPENMP AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(LibTorch::LibTorch INTERFACE -fopenmp)
elseif(LIBTORCH_OPENMP)
  message(STATUS "${CMAKE_CXX_COMPILER_ID}'s OpenMP is not LibTorch's: a few loops run on one thread")
endif()
target_compile_features(LibTorch::LibTorch INTERFACE cxx_std_20)

# A small program shows now, not after minutes of compiling, whether this LibTorch works here.
if(NOT LIBTORCH_REPORT OR NOT LIBTORCH_REPORT_ROOT STREQUAL LIBTORCH_ROOT)
  try_run(_ran _compiled ${CMAKE_BINARY_DIR}/libtorch-check
    SOURCES ${CMAKE_CURRENT_LIST_DIR}/libtorch_check.cpp
    LINK_LIBRARIES LibTorch::LibTorch
    CXX_STANDARD 20
    CMAKE_FLAGS -DCMAKE_BUILD_RPATH=${LIBTORCH_ROOT}/lib
    COMPILE_OUTPUT_VARIABLE _compile_output RUN_OUTPUT_VARIABLE _run_output)
  if(NOT _compiled)
    message(FATAL_ERROR "A program with this LibTorch does not compile:\n${_compile_output}")
  elseif(NOT _ran EQUAL 0)
    message(FATAL_ERROR "A program with this LibTorch does not run:\n${_run_output}")
  endif()
  string(STRIP "${_run_output}" _run_output)
  set(LIBTORCH_REPORT "${_run_output}" CACHE INTERNAL "")
  set(LIBTORCH_REPORT_ROOT ${LIBTORCH_ROOT} CACHE INTERNAL "")
endif()
message(STATUS "${LIBTORCH_REPORT} (${LIBTORCH_ROOT})")
if(LIBTORCH_REPORT MATCHES "LibTorch ([0-9]+\\.[0-9]+)" AND CMAKE_MATCH_1 VERSION_LESS 2.11)
  message(FATAL_ERROR "LibTorch >= 2.11 is needed, found ${CMAKE_MATCH_1}")
endif()
