# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# The wrappers every CMakeLists.txt of the project uses. They keep our targets
# in our own export set (MLIR's wrapper would put them into MLIR's).

# install_structured_target(Name)
# Installs a target and exports it to find_package(Structured). What programs
# need at run time is the component `Tools`, what builds need is `Development`.
function(install_structured_target name)
  set(dependencies)
  get_target_property(type ${name} TYPE)
  if(STRUCTURED_BUNDLE_DEPENDENCIES AND NOT type STREQUAL STATIC_LIBRARY)
    set(dependencies RUNTIME_DEPENDENCY_SET StructuredDependencies)
  endif()
  install(TARGETS ${name} EXPORT StructuredTargets ${dependencies}
    RUNTIME DESTINATION bin COMPONENT Tools
    LIBRARY DESTINATION lib COMPONENT Tools NAMELINK_COMPONENT Development
    ARCHIVE DESTINATION lib COMPONENT Development
    INCLUDES DESTINATION include)
  set_property(GLOBAL APPEND PROPERTY STRUCTURED_INSTALLED ${name})
endfunction()

# add_structured_library(Name source... [DEPENDS target...] [LINK_LIBS PUBLIC lib...])
# A library that links the shared libMLIR.
function(add_structured_library name)
  add_mlir_library(${name} ${ARGN} DISABLE_INSTALL EXCLUDE_FROM_LIBMLIR
                   ENABLE_AGGREGATION)
  target_link_libraries(${name} PUBLIC MLIR LLVM)
  # LLVM's headers lay classes out by NDEBUG (llvm::Statistic), and the shared
  # libraries were built with it.
  string(TOUPPER "${CMAKE_BUILD_TYPE}" build_type)
  if(NOT CMAKE_CXX_FLAGS_${build_type} MATCHES NDEBUG)
    target_compile_definitions(obj.${name} PRIVATE NDEBUG)
    target_compile_definitions(${name} INTERFACE NDEBUG)
  endif()
  install_structured_target(${name})
endfunction()

# add_structured_plain_library(Name [SHARED] [INTERNAL] source... [LINK_LIBS lib...])
# A library that knows neither LLVM nor MLIR; INTERNAL ones are not installed.
function(add_structured_plain_library name)
  cmake_parse_arguments(ARG "SHARED;INTERNAL" "" "LINK_LIBS" ${ARGN})
  if(ARG_SHARED)
    set(kind SHARED)
  else()
    set(kind STATIC)
  endif()
  add_library(${name} ${kind} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PUBLIC ${ARG_LINK_LIBS})
  if(NOT ARG_INTERNAL)
    install_structured_target(${name})
  endif()
endfunction()

# add_structured_tool(name source... [LINK_LIBS lib...] [PLAIN])
# An executable; PLAIN ones do not link LLVM or MLIR.
function(add_structured_tool name)
  cmake_parse_arguments(ARG "PLAIN" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS})
  if(NOT ARG_PLAIN)
    target_link_libraries(${name} PRIVATE MLIR LLVM)
  endif()
  install_structured_target(${name})
endfunction()

# add_structured_unittest(Name source... [LINK_LIBS lib...])
# A GoogleTest program; lit runs it from test/Unit.
function(add_structured_unittest name)
  cmake_parse_arguments(ARG "" "" "LINK_LIBS" ${ARGN})
  add_executable(${name} EXCLUDE_FROM_ALL ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_LINK_LIBS} GTest::gtest GTest::gtest_main)
  add_dependencies(StructuredUnitTests ${name})
  set_target_properties(${name} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
endfunction()
