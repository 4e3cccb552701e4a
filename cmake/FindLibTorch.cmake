# Finds LibTorch (CPU or CUDA build, wheel or zip) and makes the imported target LibTorch::LibTorch.
#
# TorchConfig.cmake is not used: with a CUDA build it demands a CUDA toolkit of the same version,
# which a program that only calls LibTorch does not need.
#
# Searched: TORCH_DIR (variable or environment), CMAKE_PREFIX_PATH, the active Python's torch,
# build/torch (where tools/quickstart.sh puts the wheel).

set(_header include/torch/csrc/api/include/torch/torch.h)
foreach(_named ${TORCH_DIR} $ENV{TORCH_DIR})
  if(NOT EXISTS ${_named}/${_header})
    message(FATAL_ERROR "TORCH_DIR is ${_named}, where there is no LibTorch. Expected a folder that has "
      "include/ and lib/: a LibTorch zip, or site-packages/torch of a wheel.")
  endif()
  unset(LIBTORCH_ROOT CACHE)  # of an earlier TORCH_DIR
  unset(LIBTORCH_CUDA_HEADERS CACHE)
endforeach()
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

find_path(LIBTORCH_ROOT NAMES ${_header}
  PATHS ${_candidates} NO_DEFAULT_PATH)
if(NOT LIBTORCH_ROOT)
  message(FATAL_ERROR "LibTorch not found. Run tools/quickstart.sh, or set TORCH_DIR to a folder "
    "that has include/ and lib/ (a LibTorch zip, or site-packages/torch of a wheel).")
endif()

# Before anything is compiled, which an old one would fail at in its own words.
set(_version)
foreach(_file include/torch/headeronly/version.h include/torch/csrc/api/include/torch/version.h)
  if(NOT _version AND EXISTS ${LIBTORCH_ROOT}/${_file})
    file(STRINGS ${LIBTORCH_ROOT}/${_file} _lines REGEX "define TORCH_VERSION_(MAJOR|MINOR) ")
    string(REGEX MATCHALL "[0-9]+" _version "${_lines}")
    list(JOIN _version "." _version)
  endif()
endforeach()
if(NOT _version OR _version VERSION_LESS 2.11)
  message(FATAL_ERROR "LibTorch >= 2.11 is needed, found ${_version} in ${LIBTORCH_ROOT}. "
    "Run tools/quickstart.sh without TORCH_DIR, or name a newer one.")
endif()

# The wheel with CUDA exports parts of a libstdc++ of its own (std::filesystem) that do not work alone:
# the compiler's comes first.
set(_libraries stdc++ ${LIBTORCH_ROOT}/lib/libtorch.so ${LIBTORCH_ROOT}/lib/libtorch_cpu.so
  ${LIBTORCH_ROOT}/lib/libc10.so)
if(EXISTS ${LIBTORCH_ROOT}/lib/libtorch_cuda.so)
  # Nothing refers to a symbol of torch_cuda; without --no-as-needed the linker drops it and
  # torch::cuda::is_available() is false without a word.
  list(APPEND _libraries -Wl,--no-as-needed ${LIBTORCH_ROOT}/lib/libtorch_cuda.so
    ${LIBTORCH_ROOT}/lib/libc10_cuda.so -Wl,--as-needed)
  # CUDA's headers, for recording steps as graphs (src/core/device.cpp): of the wheel's own packages,
  # a toolkit or the distribution.
  file(GLOB _cuda_headers ${LIBTORCH_ROOT}/../nvidia/*/include)
  # (crt/ is the part that pip keeps in a package of its own, nvidia-cuda-crt.)
  find_path(LIBTORCH_CUDA_HEADERS crt/host_config.h
    PATHS ${_cuda_headers} $ENV{CUDA_HOME}/include /usr/local/cuda/include NO_DEFAULT_PATH)
  find_path(LIBTORCH_CUDA_HEADERS crt/host_config.h)
  if(NOT LIBTORCH_CUDA_HEADERS)
    message(STATUS "No headers of CUDA's runtime here: on a GPU every operation of a step is asked for by "
      "itself. A CUDA toolkit has them, or pip's nvidia-cuda-runtime and nvidia-cuda-crt")
  endif()
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
  if(NOT _compiled OR NOT _ran EQUAL 0)
    string(APPEND _compile_output "${_run_output}")
    if(_compile_output MATCHES "wrong format|incompatible|not recognized")
      set(_why "its libraries are for another kind of processor than this one")
    elseif(_compile_output MATCHES "GLIBC[A-Z]*_[0-9.]+")
      set(_why "it is built for a newer system (${CMAKE_MATCH_0} is not here)")
    elseif(_compile_output MATCHES "undefined reference[^\n]*__cxx11")
      set(_why "it is built for the old ABI of C++ strings (_GLIBCXX_USE_CXX11_ABI=0)")
    elseif(_compile_output MATCHES "cannot open shared object file|No such file|cannot find")
      set(_why "a part of it is missing")
    else()
      set(_why "the compiler or the program says")
    endif()
    string(REGEX MATCHALL "[^\n]*(error|undefined|cannot|GLIBC)[^\n]*" _errors "${_compile_output}")
    list(SUBLIST _errors 0 3 _errors)
    list(JOIN _errors "\n  " _errors)
    message(FATAL_ERROR "The LibTorch in ${LIBTORCH_ROOT} does not work here: ${_why}:\n  ${_errors}\n"
      "Name another by TORCH_DIR, or run tools/quickstart.sh without it.")
  endif()
  string(STRIP "${_run_output}" _run_output)
  set(LIBTORCH_REPORT "${_run_output}" CACHE INTERNAL "")
  set(LIBTORCH_REPORT_ROOT ${LIBTORCH_ROOT} CACHE INTERNAL "")
endif()
message(STATUS "${LIBTORCH_REPORT} (${LIBTORCH_ROOT})")
