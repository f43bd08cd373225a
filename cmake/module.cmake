# add_module(tsdb DEPS storage encoding PRIVATE_DEPS PkgConfig::zstd)
#
# One folder under src/ = one library = one namespace = one include prefix.
# Every .cc of the folder and of its subfolders goes into the library, except
#   *_test.cc   into the test program <module>_test,
#   *_fuzz.cc   one fuzz target each: libFuzzer under PETREL_FUZZ, otherwise a
#               program that replays testdata/fuzz/<name>/ and is run as a test,
#   *_bench.cc  one micro benchmark each, under PETREL_BENCH,
#   testing/    the fakes that other modules' tests use: library <module>_testing.
#
# Each module exposes an include root that holds a single symlink to its own
# folder, so `#include "tsdb/head.h"` resolves only in modules that list tsdb
# in DEPS. DEPS must already exist: the order of add_subdirectory() in
# src/CMakeLists.txt is the layer order, and a cycle cannot be written down.
function(add_module name)
  cmake_parse_arguments(ARG "" "" "DEPS;PRIVATE_DEPS;TEST_DEPS" ${ARGN})
  foreach(dep ${ARG_DEPS} ${ARG_PRIVATE_DEPS})
    if(NOT TARGET ${dep})
      message(FATAL_ERROR "${name} depends on ${dep}, which is not a lower layer (see src/CMakeLists.txt)")
    endif()
  endforeach()

  set(include_root ${CMAKE_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${include_root})
  file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${include_root}/${name} SYMBOLIC)

  file(GLOB_RECURSE all_sources CONFIGURE_DEPENDS *.cc)
  set(sources ${all_sources})
  list(FILTER sources EXCLUDE REGEX "(_(test|bench|fuzz)\\.cc|/testing/[^/]*\\.cc|/main\\.cc)$")
  set(tests ${all_sources})
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  set(fuzzers ${all_sources})
  list(FILTER fuzzers INCLUDE REGEX "_fuzz\\.cc$")
  set(benches ${all_sources})
  list(FILTER benches INCLUDE REGEX "_bench\\.cc$")
  set(fakes ${all_sources})
  list(FILTER fakes INCLUDE REGEX "/testing/[^/]*\\.cc$")

  if(sources)
    add_library(${name} STATIC ${sources})
    target_include_directories(${name} PUBLIC ${include_root})
    target_link_libraries(${name} PUBLIC ${ARG_DEPS} PRIVATE ${ARG_PRIVATE_DEPS})
  else()
    add_library(${name} INTERFACE)
    target_include_directories(${name} INTERFACE ${include_root})
    target_link_libraries(${name} INTERFACE ${ARG_DEPS})
  endif()

  if(fakes)
    add_library(${name}_testing STATIC ${fakes})
    target_link_libraries(${name}_testing PUBLIC ${name})
  else()
    add_library(${name}_testing INTERFACE)
    target_link_libraries(${name}_testing INTERFACE ${name})
  endif()

  if(tests)
    add_executable(${name}_test ${tests} ${PROJECT_SOURCE_DIR}/tests/test_main.cc)
    target_link_libraries(${name}_test PRIVATE ${name} ${name}_testing ${ARG_PRIVATE_DEPS} ${ARG_TEST_DEPS})
    target_compile_definitions(${name}_test PRIVATE TESTDATA_DIR="${CMAKE_CURRENT_SOURCE_DIR}/testdata")
    add_test(NAME ${name} COMMAND ${name}_test)
  endif()

  foreach(source ${fuzzers})
    get_filename_component(target ${source} NAME_WE)
    if(PETREL_FUZZ)
      add_executable(${target} ${source})
      target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    else()
      add_executable(${target} ${source} ${PROJECT_SOURCE_DIR}/tests/replay_corpus.cc)
      add_test(NAME ${target} COMMAND ${target} ${CMAKE_CURRENT_SOURCE_DIR}/testdata/fuzz/${target})
    endif()
    target_link_libraries(${target} PRIVATE ${name} ${name}_testing ${ARG_PRIVATE_DEPS} ${ARG_TEST_DEPS})
  endforeach()

  if(PETREL_BENCH)
    foreach(source ${benches})
      get_filename_component(target ${source} NAME_WE)
      if(TARGET ${target})
        set(target ${name}_${target})  # two folders may have an engine_bench.cc
      endif()
      add_executable(${target} ${source})
      target_link_libraries(${target} PRIVATE ${name} ${name}_testing ${ARG_PRIVATE_DEPS} benchmark)
    endforeach()
  endif()
endfunction()
