# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception

# What `cmake --install` and cpack write beside the targets: see docs/Install.md.

# Everything that is installed, and nothing else.
get_property(installed GLOBAL PROPERTY STRUCTURED_INSTALLED)
add_custom_target(structured-installed DEPENDS ${installed})

install(EXPORT StructuredTargets DESTINATION lib/cmake/structured
        FILE StructuredTargets.cmake COMPONENT Development)
install(DIRECTORY include/Structured ${PROJECT_BINARY_DIR}/include/Structured
        DESTINATION include COMPONENT Development
        FILES_MATCHING PATTERN "*.h" PATTERN "*.td" PATTERN "*.inc"
        PATTERN "CMakeFiles" EXCLUDE)
include(CMakePackageConfigHelpers)
set(include_dir include)
set(tools_dir bin)
configure_package_config_file(cmake/StructuredConfig.cmake.in
  ${CMAKE_CURRENT_BINARY_DIR}/StructuredConfig.cmake
  INSTALL_DESTINATION lib/cmake/structured PATH_VARS include_dir tools_dir)
write_basic_package_version_file(
  ${CMAKE_CURRENT_BINARY_DIR}/StructuredConfigVersion.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/StructuredConfig.cmake
              ${CMAKE_CURRENT_BINARY_DIR}/StructuredConfigVersion.cmake
        DESTINATION lib/cmake/structured COMPONENT Development)

if(STRUCTURED_BUNDLE_DEPENDENCIES)
  install(RUNTIME_DEPENDENCY_SET StructuredDependencies
    PRE_EXCLUDE_REGEXES "^lib(c|m|dl|rt|pthread|stdc\\+\\+|gcc_s)\\.so" "^ld-linux"
    LIBRARY DESTINATION lib COMPONENT Tools)
  # Links become what they point to, by the name that programs ask for: in a
  # wheel, which has no links, each library would be there several times.
  install(CODE [[
    file(GLOB libraries "$ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/*.so.*")
    foreach(library ${libraries})
      if(IS_SYMLINK ${library} AND library MATCHES "[.]so[.][0-9]+$")
        file(REAL_PATH ${library} target)
        file(RENAME ${target} ${library})
      endif()
    endforeach()
    foreach(library ${libraries})
      if(IS_SYMLINK ${library})
        file(REMOVE ${library})
      endif()
    endforeach()
  ]] COMPONENT Tools)
  # The compiler looks for a linker beside itself first.
  install(PROGRAMS ${LLVM_TOOLS_BINARY_DIR}/lld DESTINATION bin RENAME ld.lld
          COMPONENT Tools)
endif()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_VENDOR "The Structured project")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY
  "MLIR dialect and compiler for models with structured linear layers")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER ${CPACK_PACKAGE_VENDOR})
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "lld-22") # to compile models
set(CPACK_DEBIAN_PACKAGE_SUGGESTS # for find_package(Structured)
  "llvm-22-dev, libmlir-22-dev, mlir-22-tools, libopenblas-dev, nlohmann-json3-dev")
include(CPack)
