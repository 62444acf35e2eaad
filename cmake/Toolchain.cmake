# Flags, launcher and linker that every target shares: the targets seawall_toolchain (generated
# code as well) and seawall_options (our own code: warnings are errors).

find_program(SEAWALL_CCACHE ccache)
if(SEAWALL_CCACHE)
  # Several work trees share one cache: paths below the source tree are hashed as relative ones.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR} CCACHE_NOHASHDIR=1
      ${SEAWALL_CCACHE})
endif()

find_program(SEAWALL_MOLD mold)
if(SEAWALL_MOLD)
  add_link_options(-fuse-ld=mold)
endif()

add_library(seawall_toolchain INTERFACE)
target_compile_features(seawall_toolchain INTERFACE cxx_std_20)
target_include_directories(seawall_toolchain INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(seawall_toolchain INTERFACE
  -fmacro-prefix-map=${PROJECT_SOURCE_DIR}/=
  -fmacro-prefix-map=../../=)

if(SEAWALL_SANITIZE)
  add_compile_options(-fsanitize=${SEAWALL_SANITIZE} -fno-sanitize-recover=all
    -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${SEAWALL_SANITIZE})
endif()

add_library(seawall_options INTERFACE)
target_link_libraries(seawall_options INTERFACE seawall_toolchain)
target_compile_options(seawall_options INTERFACE
  -Wall -Wextra -Wpedantic -Werror
  -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough -Wcast-qual
  -Wno-missing-field-initializers)  # designated initializers leave defaults out on purpose
if(SEAWALL_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  target_compile_options(seawall_options INTERFACE -Wno-maybe-uninitialized -Wno-tsan)
endif()
