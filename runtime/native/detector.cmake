# The whole detector in C++ (ncnn and core), the library and the program that run it. Included for POCKETDET_DETECTOR.
include(ncnn.cmake)

file(STRINGS ../../src/pocketdet/__init__.py version_line REGEX "^__version__ = " LIMIT_COUNT 1)
string(REGEX REPLACE "^__version__ = \"(.*)\"$" "\\1" pocketdet_version "${version_line}")

add_library(pocketdet_third_party STATIC third_party/lodepng/lodepng.cpp third_party/wuffs/wuffs.cpp)
target_include_directories(pocketdet_third_party SYSTEM PUBLIC third_party third_party/lodepng third_party/wuffs)
# reading from memory alone
target_compile_definitions(pocketdet_third_party PUBLIC LODEPNG_NO_COMPILE_ENCODER LODEPNG_NO_COMPILE_DISK
  LODEPNG_NO_COMPILE_ANCILLARY_CHUNKS)
target_compile_options(pocketdet_third_party PRIVATE ${pocketdet_sanitizers})
set_target_properties(pocketdet_third_party PROPERTIES POSITION_INDEPENDENT_CODE ON)

add_library(pocketdet_detector STATIC
  detector/agreement.cpp detector/bundle.cpp detector/deformable_conv.cpp detector/detector.cpp detector/exif.cpp
  detector/files.cpp detector/golden.cpp detector/graph_check.cpp detector/image_file.cpp detector/joined_layers.cpp
  detector/jpeg.cpp detector/json_fields.cpp detector/layer_line.cpp detector/layer_timer.cpp detector/manifest.cpp
  detector/manifest_one_stage.cpp detector/manifest_two_stage.cpp detector/network.cpp detector/one_stage_pipeline.cpp
  detector/options.cpp detector/output_fields.cpp detector/own_layers.cpp detector/packed_activations.cpp
  detector/packed_convolutions.cpp detector/packed_pooling.cpp detector/packed_products.cpp detector/parity.cpp
  detector/precision.cpp detector/preprocessor.cpp detector/sha256.cpp detector/stages.cpp detector/two_stage.cpp)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)")
  target_sources(pocketdet_detector PRIVATE detector/packed_bytes.cpp kernels/byte_kernels.cpp kernels/half_kernels.cpp
    kernels/single_kernels.cpp)
  # the order of instructions is that of the source: GCC would run out of registers
  set(pocketdet_in_order $<$<CXX_COMPILER_ID:GNU>:-fno-schedule-insns>)
  set_source_files_properties(kernels/single_kernels.cpp PROPERTIES COMPILE_OPTIONS "${pocketdet_in_order}")
  set_source_files_properties(kernels/half_kernels.cpp PROPERTIES
    COMPILE_OPTIONS "-march=armv8.2-a+fp16;${pocketdet_in_order}")
  set_source_files_properties(kernels/byte_kernels.cpp PROPERTIES
    COMPILE_OPTIONS "-march=armv8.2-a+fp16+dotprod;${pocketdet_in_order}")
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
  target_sources(pocketdet_detector PRIVATE kernels/avx2_kernels.cpp)
  set_source_files_properties(kernels/avx2_kernels.cpp PROPERTIES COMPILE_OPTIONS "-mavx2;-mfma")
endif()
target_include_directories(pocketdet_detector PUBLIC detector kernels)
target_include_directories(pocketdet_detector SYSTEM PUBLIC "${ncnn_include}")
set(max_threads 1)
if(NCNN_OPENMP)  # of the ncnn that was found
  set(max_threads 4)
endif()
target_compile_definitions(pocketdet_detector PRIVATE POCKETDET_NCNN_OPTIONS="${ncnn_flags}"
  POCKETDET_MAX_THREADS=${max_threads})
target_link_libraries(pocketdet_detector PUBLIC pocketdet_core pocketdet_graph ncnn pocketdet_third_party)
set_target_properties(pocketdet_detector PROPERTIES POSITION_INDEPENDENT_CODE ON)

# the commands without a main, for other programs too
add_library(pocketdet_tools STATIC
  tools/arguments.cpp tools/bench_command.cpp tools/detect_command.cpp tools/documents.cpp tools/machine.cpp
  tools/verify_command.cpp)
target_include_directories(pocketdet_tools PUBLIC tools)
target_link_libraries(pocketdet_tools PUBLIC pocketdet_detector)
target_compile_definitions(pocketdet_tools PUBLIC POCKETDET_VERSION="${pocketdet_version}")
set_target_properties(pocketdet_tools PROPERTIES POSITION_INDEPENDENT_CODE ON)

add_executable(pocketdet-run tools/pocketdet_run.cpp)
target_link_libraries(pocketdet-run PRIVATE pocketdet_tools)

include(library.cmake)

if(POCKETDET_TESTS)
  add_executable(api_test tests/api_test.cpp)
  target_link_libraries(api_test PRIVATE pocketdet_api pocketdet_options)
  add_test(NAME api_test COMMAND api_test)
  add_executable(bundle_test tests/bundle_test.cpp)
  add_executable(detector_test tests/detector_test.cpp tools/arguments.cpp)
  target_include_directories(detector_test PRIVATE tools)
  add_executable(one_stage_bundle_test tests/one_stage_bundle_test.cpp)
  add_executable(deformable_conv_test tests/deformable_conv_test.cpp)
  add_executable(byte_layers_test tests/byte_layers_test.cpp)
  add_executable(packed_layers_test tests/packed_layers_test.cpp)
  foreach(test bundle_test byte_layers_test deformable_conv_test detector_test one_stage_bundle_test packed_layers_test)
    target_link_libraries(${test} PRIVATE pocketdet_detector)
    add_test(NAME ${test} COMMAND ${test})
  endforeach()
  # prints times, to be read: no test
  add_executable(deformable_conv_speed tests/deformable_conv_speed.cpp)
  target_link_libraries(deformable_conv_speed PRIVATE pocketdet_detector)
endif()

if(POCKETDET_FUZZ)
  foreach(target fuzz_manifest fuzz_param fuzz_golden fuzz_image)
    add_executable(${target} tests/${target}.cpp)
    target_link_libraries(${target} PRIVATE pocketdet_detector)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
  endforeach()
endif()
