# CUDA, where libtorch has it. A CPU libtorch ends this file at its first command; the rest degrades piece by piece:
#   libtorch_cuda             CUDA tensors, with libtorch's own kernels
#   + CUDA's headers          AFA_CUDA_RUNTIME: what the driver and the GPUs are, for doctor and for clear messages
#   + nccl.h                  USE_C10D_NCCL:    training on several GPUs
#   + an nvcc that fits       AFA_CUDA:         native/**/*.cu, this package's own kernels
if(NOT EXISTS ${TORCH_ROOT}/lib/libtorch_cuda.so)
  return()
endif()
target_link_libraries(libtorch INTERFACE torch_cuda c10_cuda)

execute_process(COMMAND node ${CMAKE_CURRENT_SOURCE_DIR}/scripts/lib/cuda-libtorch.mjs ${TORCH_ROOT}
  OUTPUT_FILE ${CMAKE_CURRENT_BINARY_DIR}/libtorch-cuda.cmake ERROR_VARIABLE FAULT RESULT_VARIABLE FAILED)
if(FAILED)
  message(FATAL_ERROR "${FAULT}")
endif()
include(${CMAKE_CURRENT_BINARY_DIR}/libtorch-cuda.cmake)
string(REGEX MATCH "^[0-9]+" CUDA_MAJOR "${LIBTORCH_CUDA_VERSION}")

if(NVCC)
  string(REGEX MATCH "^[0-9]+" NVCC_MAJOR "${NVCC_VERSION}")
  execute_process(COMMAND ${NVCC} --list-gpu-code OUTPUT_VARIABLE NVCC_KNOWS ERROR_QUIET)
endif()

# Headers: of PyTorch's wheels (from CUDA 13 on nvidia/cu13/include, before a folder for each library), else of a toolkit.
# Only of libtorch's generation: two of them do not mix, and several may be installed.
get_filename_component(WHEELS ${TORCH_ROOT} REALPATH)
get_filename_component(WHEELS ${WHEELS} DIRECTORY)
if(CUDA_MAJOR LESS 13)
  file(GLOB CUDA_INCLUDE ${WHEELS}/nvidia/*/include)
  list(FILTER CUDA_INCLUDE EXCLUDE REGEX "/cu[0-9]+/include$")
else()
  set(CUDA_INCLUDE ${WHEELS}/nvidia/cu${CUDA_MAJOR}/include ${WHEELS}/nvidia/nccl/include)
endif()
set(TOOLKITS)
get_filename_component(NVCC_ITSELF "${NVCC}" REALPATH)
foreach(compiler ${NVCC} ${NVCC_ITSELF})
  get_filename_component(folder ${compiler} DIRECTORY)
  get_filename_component(folder ${folder} DIRECTORY)
  list(APPEND TOOLKITS ${folder})
endforeach()
foreach(folder ${TOOLKITS} $ENV{CUDA_HOME} $ENV{CUDA_PATH} /usr/local/cuda /usr)
  file(GLOB candidates ${folder}/include ${folder}/targets/*/include)  # conda has the latter alone
  foreach(candidate IN LISTS candidates)
    set(header ${candidate}/cuda_runtime_api.h)
    if(EXISTS ${header})
      file(STRINGS ${header} line REGEX "define CUDART_VERSION" LIMIT_COUNT 1)
      if(line MATCHES " ${CUDA_MAJOR}[0-9][0-9][0-9]$")
        get_filename_component(candidate ${candidate} ABSOLUTE)
        list(APPEND CUDA_INCLUDE ${candidate})
      endif()
    endif()
  endforeach()
endforeach()
set(MISSING_HEADERS)
# Those that ATen/cuda and c10d's ProcessGroupNCCL include. Of crt/ and nv/, PyTorch's wheels bring neither.
foreach(header cuda_runtime_api.h crt/host_defines.h nv/target cublas_v2.h cublasLt.h cusparse.h cusolverDn.h nccl.h)
  string(MAKE_C_IDENTIFIER "AFA_${header}" variable)
  unset(${variable} CACHE)  # it may be of another libtorch
  find_path(${variable} ${header} PATHS ${CUDA_INCLUDE} NO_DEFAULT_PATH)
  if(header STREQUAL nccl.h)
    find_path(${variable} ${header})  # of libnccl-dev: one for all generations
  endif()
  if(NOT ${variable})
    list(APPEND MISSING_HEADERS ${header})
  else()
    list(APPEND FOUND_INCLUDE ${${variable}})
  endif()
endforeach()
# In the order of the search, or a toolkit that has one missing header would hide others of the wheels.
set(CUDA_INCLUDE_USED)
foreach(folder IN LISTS CUDA_INCLUDE FOUND_INCLUDE)
  get_filename_component(real ${folder} REALPATH)
  # /usr/include among them would hide C++'s own headers.
  if(folder IN_LIST FOUND_INCLUDE AND NOT folder IN_LIST CUDA_INCLUDE_USED AND NOT real STREQUAL "/usr/include")
    list(APPEND CUDA_INCLUDE_USED ${folder})
  endif()
endforeach()
set(MISSING_CUDA ${MISSING_HEADERS})
list(REMOVE_ITEM MISSING_CUDA nccl.h)
list(JOIN MISSING_HEADERS ", " MISSING_TEXT)
if(CUDA_MAJOR LESS 13)
  set(SUFFIX "-cu${CUDA_MAJOR}")
endif()
string(CONCAT PACKAGES "pip install torch brings them in its nvidia-* packages, nvidia-cuda-nvcc${SUFFIX} crt/, "
  "nvidia-cuda-cccl${SUFFIX} nv/; else the CUDA ${LIBTORCH_CUDA_VERSION} toolkit and libnccl-dev")

if(MISSING_CUDA OR NOT LIBTORCH_CUDART)
  message(WARNING "CUDA: without NCCL, own kernels and diagnoses, as headers or libcudart are missing "
    "(${MISSING_TEXT}). CUDA tensors work all the same. ${PACKAGES}.")
  return()
endif()
target_include_directories(libtorch SYSTEM INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${CUDA_INCLUDE_USED}>")
# The very runtime that libtorch_cuda loads: two of them in a process have two notions of the current device.
target_link_libraries(medical_afa PRIVATE ${LIBTORCH_CUDART})
get_filename_component(CUDART_FOLDER ${LIBTORCH_CUDART} DIRECTORY)
set_property(TARGET medical_afa APPEND PROPERTY INSTALL_RPATH ${CUDART_FOLDER})
target_compile_definitions(medical_afa PRIVATE AFA_CUDA_RUNTIME)
# 90-real and 120-virtual in words that cuda_info.cc splits: "90 120+PTX".
function(architecture_words variable)
  list(TRANSFORM ARGN REPLACE "-real" "" OUTPUT_VARIABLE words)
  list(TRANSFORM words REPLACE "-virtual" "+PTX")
  list(JOIN words " " words)
  set(${variable} "${words}" PARENT_SCOPE)
endfunction()
architecture_words(LIBRARY_TEXT ${LIBTORCH_CUDA_ARCHITECTURES})
set_property(SOURCE native/cuda_info.cc APPEND PROPERTY COMPILE_DEFINITIONS LIBRARY_ARCHITECTURES="${LIBRARY_TEXT}")
if(AFA_nccl_h)
  target_compile_definitions(libtorch INTERFACE USE_C10D_NCCL)  # without it, ProcessGroupNCCL.hpp is empty
  set(NCCL_TEXT "NCCL from ${AFA_nccl_h}")
else()
  message(WARNING "CUDA: without NCCL, so on one GPU only: nccl.h is missing. ${PACKAGES}.")
  set(NCCL_TEXT "no NCCL")
endif()

file(GLOB_RECURSE CUDA_SOURCES CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/native/*.cu)
if(NOT CUDA_SOURCES)
  message(STATUS "CUDA: libtorch for ${LIBTORCH_CUDA_VERSION}; ${NCCL_TEXT}")
  return()
endif()
if(NOT NVCC)
  message(WARNING "CUDA: without own kernels, libtorch's generic ones compute instead: nvcc ${LIBTORCH_CUDA_VERSION} "
    "is not found. Put it on PATH, or set CUDA_HOME or CUDACXX.")
  return()
endif()
if(NOT NVCC_MAJOR STREQUAL CUDA_MAJOR)
  message(WARNING "CUDA: without own kernels, libtorch's generic ones compute instead: ${NVCC} is CUDA ${NVCC_VERSION} "
    "and libtorch is built for ${LIBTORCH_CUDA_VERSION}. Set CUDACXX to an nvcc ${CUDA_MAJOR}.x.")
  return()
endif()

set(KERNEL_ARCHITECTURES)
set(KNOWN)
set(UNKNOWN)
foreach(architecture IN LISTS KERNEL_CUDA_ARCHITECTURES)
  string(REGEX MATCH "^[0-9]+" number ${architecture})  # nvcc lists 90, and knows 90a as well
  if("${NVCC_KNOWS}" MATCHES "sm_${number}\n")
    list(APPEND KERNEL_ARCHITECTURES ${architecture})
    list(APPEND KNOWN ${number})
  else()
    list(APPEND UNKNOWN ${number})
  endif()
endforeach()
list(REMOVE_DUPLICATES UNKNOWN)
foreach(number IN LISTS UNKNOWN)
  # The newest code that such a GPU can have: machine code of its own generation, else PTX, which the driver compiles.
  set(BASE 0)
  foreach(known IN LISTS KNOWN)
    if(known LESS number AND known GREATER BASE)
      set(BASE ${known})
    endif()
  endforeach()
  math(EXPR generation "${number} / 10")
  math(EXPR base_generation "${BASE} / 10")
  if(BASE EQUAL 0)
    set(INSTEAD "such a GPU is refused")
  elseif(generation EQUAL base_generation)
    set(INSTEAD "such a GPU runs the code for ${BASE}")
  else()
    list(APPEND KERNEL_ARCHITECTURES ${BASE}-virtual)
    set(INSTEAD "such a GPU compiles the code for ${BASE} itself, at its first start")
  endif()
  message(WARNING "CUDA: no own kernels for compute capability ${number}, which nvcc ${NVCC_VERSION} does not know: ${INSTEAD}.")
endforeach()
list(REMOVE_DUPLICATES KERNEL_ARCHITECTURES)
if(NOT KERNEL_ARCHITECTURES)
  message(FATAL_ERROR "CUDA: expected at least one GPU architecture but found none that nvcc ${NVCC_VERSION} knows "
    "(asked or of libtorch: ${KERNEL_CUDA_ARCHITECTURES}). Set TORCH_CUDA_ARCH_LIST, e.g. to \"8.0 9.0\".")
endif()

set(CMAKE_CUDA_COMPILER ${NVCC})
# The nvcc of PyPI looks for its libraries in lib64, which its wheels call lib: CMake's test program would not link.
get_filename_component(NVCC_FOLDER ${NVCC} DIRECTORY)
if(EXISTS ${NVCC_FOLDER}/../lib/libcudadevrt.a AND NOT EXISTS ${NVCC_FOLDER}/../lib64)
  string(APPEND CMAKE_CUDA_FLAGS " -L${NVCC_FOLDER}/../lib")
endif()
set(CMAKE_CUDA_ARCHITECTURES ${KERNEL_ARCHITECTURES})
enable_language(CUDA)
target_sources(medical_afa PRIVATE ${CUDA_SOURCES})
set_target_properties(medical_afa PROPERTIES
  CUDA_ARCHITECTURES "${KERNEL_ARCHITECTURES}"
  # The sources include no torch header, which wants 20; CMake before 3.25 has no C++20 for nvcc.
  CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
  CUDA_RUNTIME_LIBRARY None  # linked above
  CUDA_VISIBILITY_PRESET hidden)
# Lines of the sources in compute-sanitizer's and ncu's reports; the code stays the same.
target_compile_options(medical_afa PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo>)
architecture_words(KERNEL_TEXT ${KERNEL_ARCHITECTURES})
target_compile_definitions(medical_afa PRIVATE AFA_CUDA)
set_property(SOURCE native/cuda_info.cc APPEND PROPERTY COMPILE_DEFINITIONS KERNEL_ARCHITECTURES="${KERNEL_TEXT}")
message(STATUS "CUDA: libtorch for ${LIBTORCH_CUDA_VERSION}; kernels by nvcc ${NVCC_VERSION} for ${KERNEL_TEXT}; ${NCCL_TEXT}")
