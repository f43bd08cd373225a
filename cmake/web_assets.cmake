# embed_web_assets(target)
#
# Compiles web/dist into `target`, which must have the include path of app/: the generated
# source defines app::web_assets() of app/web_assets.h. The C++ build does not need Node:
# without web/dist the one page says that the UI was not built and how to.

add_executable(embed_assets ${PROJECT_SOURCE_DIR}/tools/embed_assets.cc)
target_link_libraries(embed_assets PRIVATE ZLIB::ZLIB PkgConfig::brotli)

function(embed_web_assets target)
  set(dist ${PROJECT_SOURCE_DIR}/web/dist)
  set(generated ${CMAKE_BINARY_DIR}/generated/web_assets.cc)
  # File names carry hashes: another build of the UI is another list, and so a new configure.
  file(GLOB_RECURSE assets CONFIGURE_DEPENDS ${dist}/*)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/generated)
  add_custom_command(
    OUTPUT ${generated}
    COMMAND embed_assets ${dist} ${generated}
    DEPENDS embed_assets ${assets}
    COMMENT "Embedding web/dist"
    VERBATIM)
  target_sources(${target} PRIVATE ${generated})
endfunction()
