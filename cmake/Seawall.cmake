# The helpers with which every directory describes itself.
#
#   seawall_library(name [NO_EXCEPTIONS] [SOURCES a.cc ...] [DEPS lib ...] [PRIVATE_DEPS lib ...])
#     One static library; an interface library while there are no sources. A bare name in DEPS must
#     be a target that was declared before: that is how "links only downwards" is enforced.
#     Each library with sources also gets a whole-archive link test (target link_<name>).
#   seawall_proto(name PROTOS control.proto ...)
#     Protobuf and gRPC code of these files, included as "<dir>/<file>.pb.h".
#   seawall_binary(name SOURCES main.cc [DEPS lib ...])
#     A program in build/bin.
#   seawall_test(name SOURCES a_test.cc ... [DEPS lib ...] [LABELS label] [TIMEOUT seconds]
#                [NEEDS binary ...] [SERIAL])
#     A GoogleTest program; every case is one ctest test named <layer>/<Suite>.<Case>, where the
#     layer is the directory below tests/. Working directory: the source tree. Environment:
#     SEAWALL_BIN_DIR. NEEDS names binaries that must be built first; SERIAL runs alone.
#   seawall_script_test(name COMMAND words ... [LABELS label] [TIMEOUT seconds] [SERIAL])
#     Any other program as one ctest test named <layer>/<name>; exit status 77 means skipped.
#
# All of them tolerate an empty SOURCES list, so that a directory can exist before its code.

include(GoogleTest)

function(_seawall_check_deps name)
  foreach(dep IN LISTS ARGN)
    if(NOT dep MATCHES "::" AND NOT TARGET ${dep})
      message(FATAL_ERROR "${name} depends on ${dep}, which is not declared before it: "
                          "libraries link only downwards (see the order in CMakeLists.txt)")
    endif()
  endforeach()
endfunction()

function(_seawall_layer out)
  cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME layer)
  set(${out} ${layer} PARENT_SCOPE)
endfunction()

function(_seawall_link_test name)
  set(main ${CMAKE_BINARY_DIR}/gen/link_main.cc)
  if(NOT EXISTS ${main})
    file(WRITE ${main} "int main() { return 0; }\n")
  endif()
  add_executable(link_${name} ${main})
  target_link_libraries(link_${name} PRIVATE "$<LINK_LIBRARY:WHOLE_ARCHIVE,${name}>")
  set_target_properties(link_${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/link)
endfunction()

function(seawall_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "NO_EXCEPTIONS" "" "SOURCES;DEPS;PRIVATE_DEPS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "seawall_library(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  _seawall_check_deps(${name} ${arg_DEPS} ${arg_PRIVATE_DEPS})
  if(NOT arg_SOURCES)
    add_library(${name} INTERFACE)
    target_link_libraries(${name} INTERFACE seawall_options ${arg_DEPS} ${arg_PRIVATE_DEPS})
    return()
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_link_libraries(${name} PUBLIC seawall_options ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
  if(arg_NO_EXCEPTIONS)
    target_compile_options(${name} PRIVATE -fno-exceptions)
  endif()
  _seawall_link_test(${name})
endfunction()

function(seawall_proto name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "PROTOS")
  if(NOT arg_PROTOS)
    add_library(${name} INTERFACE)
    return()
  endif()
  set(gen ${CMAKE_BINARY_DIR}/gen)
  file(MAKE_DIRECTORY ${gen})
  file(RELATIVE_PATH dir ${PROJECT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR})
  set(generated)
  foreach(proto IN LISTS arg_PROTOS)
    cmake_path(GET proto STEM stem)
    set(out ${gen}/${dir}/${stem})
    add_custom_command(
      OUTPUT ${out}.pb.cc ${out}.pb.h ${out}.grpc.pb.cc ${out}.grpc.pb.h
      COMMAND protobuf::protoc -I ${PROJECT_SOURCE_DIR} --cpp_out=${gen} --grpc_out=${gen}
              --plugin=protoc-gen-grpc=$<TARGET_FILE:gRPC::grpc_cpp_plugin>
              ${CMAKE_CURRENT_SOURCE_DIR}/${proto}
      DEPENDS ${proto}
      VERBATIM)
    list(APPEND generated ${out}.pb.cc ${out}.grpc.pb.cc)
  endforeach()
  add_library(${name} STATIC ${generated})
  target_compile_options(${name} PRIVATE -w)
  target_include_directories(${name} SYSTEM PUBLIC ${gen})
  target_link_libraries(${name} PUBLIC seawall_toolchain gRPC::grpc++ protobuf::libprotobuf)
  _seawall_link_test(${name})
endfunction()

function(seawall_binary name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "SOURCES;DEPS")
  if(NOT arg_SOURCES)
    return()
  endif()
  _seawall_check_deps(${name} ${arg_DEPS})
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE seawall_options ${arg_DEPS})
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${SEAWALL_BIN_DIR})
endfunction()

function(seawall_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT;LABELS" "SOURCES;DEPS;NEEDS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "seawall_test(${name}): unknown ${arg_UNPARSED_ARGUMENTS}")
  endif()
  if(NOT arg_SOURCES)
    return()
  endif()
  _seawall_check_deps(${name} ${arg_DEPS})
  _seawall_layer(layer)
  if(NOT arg_LABELS)
    set(arg_LABELS ${layer})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE seawall_options ${arg_DEPS}
    GTest::gtest_main GTest::gmock)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
  foreach(binary IN LISTS arg_NEEDS)
    if(TARGET ${binary})
      add_dependencies(${name} ${binary})
    endif()
  endforeach()
  set(serial)
  if(arg_SERIAL)
    set(serial RUN_SERIAL TRUE)
  endif()
  gtest_discover_tests(${name}
    DISCOVERY_MODE PRE_TEST
    DISCOVERY_TIMEOUT 60
    TEST_PREFIX "${layer}/"
    WORKING_DIRECTORY ${PROJECT_SOURCE_DIR}
    PROPERTIES TIMEOUT ${arg_TIMEOUT} LABELS ${arg_LABELS}
               ENVIRONMENT "SEAWALL_BIN_DIR=${SEAWALL_BIN_DIR}" ${serial})
endfunction()

function(seawall_script_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SERIAL" "TIMEOUT;LABELS" "COMMAND")
  _seawall_layer(layer)
  if(NOT arg_LABELS)
    set(arg_LABELS ${layer})
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  add_test(NAME ${layer}/${name} COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${PROJECT_SOURCE_DIR})
  set_tests_properties(${layer}/${name} PROPERTIES
    TIMEOUT ${arg_TIMEOUT} LABELS ${arg_LABELS} SKIP_RETURN_CODE 77
    ENVIRONMENT "SEAWALL_BIN_DIR=${SEAWALL_BIN_DIR}")
  if(arg_SERIAL)
    set_tests_properties(${layer}/${name} PROPERTIES RUN_SERIAL TRUE)
  endif()
endfunction()
