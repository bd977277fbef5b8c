# Finds ncnn: what build_ncnn.py made in POCKETDET_NCNN, or else an installed one. Sets ncnn_include and ncnn_flags.
set(oldest_ncnn 20260101)
if(POCKETDET_NCNN)
  if(NOT EXISTS "${POCKETDET_NCNN}/build.json")
    message(FATAL_ERROR "${POCKETDET_NCNN} holds no ncnn; build one with: python runtime/native/build_ncnn.py")
  endif()
  unset(ncnn_DIR CACHE)  # of an earlier POCKETDET_NCNN
  find_package(ncnn REQUIRED CONFIG PATHS "${POCKETDET_NCNN}/lib/cmake/ncnn" NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
else()
  find_package(ncnn CONFIG QUIET)
  if(NOT ncnn_FOUND OR NCNN_VERSION LESS oldest_ncnn)
    message(FATAL_ERROR "pocketdet's C++ detector needs ncnn, release ${oldest_ncnn} or later. Either build the one "
      "that pocketdet is tested with:\n"
      "  python ${CMAKE_CURRENT_SOURCE_DIR}/build_ncnn.py\n"
      "and pass -DPOCKETDET_NCNN=FOLDER with the folder that it prints, or install ncnn and pass its prefix in "
      "CMAKE_PREFIX_PATH, so that find_package(ncnn) finds it.")
  endif()
endif()
get_target_property(ncnn_include ncnn INTERFACE_INCLUDE_DIRECTORIES)
string(REGEX REPLACE "/ncnn$" "" ncnn_include "${ncnn_include}")  # <ncnn/net.h>

set(ncnn_flags "options unknown")
if(POCKETDET_NCNN)
  file(READ "${POCKETDET_NCNN}/build.json" ncnn_build)
  string(JSON ncnn_flags GET "${ncnn_build}" compiler)
  string(JSON ncnn_options GET "${ncnn_build}" options)
  string(JSON ncnn_option_count LENGTH "${ncnn_options}")
  math(EXPR last "${ncnn_option_count} - 1")
  foreach(index RANGE ${last})
    string(JSON name MEMBER "${ncnn_options}" ${index})
    string(JSON value GET "${ncnn_options}" ${name})
    if(name MATCHES "^NCNN_(OPENMP|INT8|BF16|RUNTIME|ARM|AVX)")
      string(APPEND ncnn_flags ", ${name}=${value}")
    endif()
  endforeach()
endif()
