//===- NpyTest.cpp - Tests of the .npy files ------------------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Run/Npy.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace structured;
using namespace structured::runtime;

namespace {

/// One file in a fresh directory, removed afterwards.
class NpyTest : public ::testing::Test {
protected:
  void SetUp() override {
    const auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory = std::filesystem::temp_directory_path() /
                (std::string("structured-npy-") + test->name() + "-" +
                 std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    path = directory / "file.npy";
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  Result<Array> readBytes(const std::string &bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
    return readNpy(path);
  }

  /// The error of reading these bytes, which must name the file.
  std::string getError(const std::string &bytes) {
    Result<Array> array = readBytes(bytes);
    if (array)
      return "(read)";
    EXPECT_EQ(array.error().rfind(path + ": ", 0), 0u) << array.error();
    return array.error().substr(path.size() + 2);
  }

  std::filesystem::path directory;
  std::string path;
};

/// A file of format version 1 with `dataBytes` bytes 0, 1, 2, ….
std::string makeFile(const std::string &header, size_t dataBytes) {
  std::string bytes("\x93NUMPY\1\0", 8);
  bytes += static_cast<char>(header.size() & 0xff);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  for (size_t i = 0; i < dataBytes; ++i)
    bytes += static_cast<char>(i);
  return bytes;
}

const char *const goodHeader =
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3), }";

} // namespace

TEST_F(NpyTest, ReadsEveryVersion) {
  std::string version1 = makeFile(goodHeader, 6);
  for (char version : {1, 2, 3}) {
    std::string bytes = version1;
    bytes[6] = version;
    if (version > 1)
      bytes.insert(10, 2, '\0'); // the length has four bytes
    Result<Array> array = readBytes(bytes);
    ASSERT_TRUE(array) << array.error();
    EXPECT_EQ(array->dtype, DType::U8);
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3}));
    ASSERT_EQ(array->data.size(), 6u);
    EXPECT_EQ(array->data[5], std::byte(5));
  }
  version1[6] = 4;
  EXPECT_EQ(getError(version1), ".npy format version 4 is not supported");
}

TEST_F(NpyTest, ReadsEverySpelling) {
  for (const char *header :
       {"{'shape':(2,3),'descr':'|u1','fortran_order':False}",
        "{\"descr\": \"|u1\", \"fortran_order\": False, \"shape\": (2, 3)}\n",
        "  { 'descr' : '|u1' , 'fortran_order' : False , 'shape' : ( 2 , 3 , ) "
        ", }  "}) {
    Result<Array> array = readBytes(makeFile(header, 6));
    ASSERT_TRUE(array) << array.error();
    EXPECT_EQ(array->shape, (std::vector<int64_t>{2, 3})) << header;
  }
}

TEST_F(NpyTest, ShapesOfFewElements) {
  auto read = [&](const std::string &shape, size_t bytes) {
    Result<Array> array = readBytes(makeFile(
        "{'descr': '<f4', 'fortran_order': False, 'shape': " + shape + "}",
        bytes));
    EXPECT_TRUE(array) << shape;
    return array ? array->shape : std::vector<int64_t>{-1};
  };
  EXPECT_EQ(read("()", 4), std::vector<int64_t>());
  EXPECT_EQ(read("(1,)", 4), std::vector<int64_t>({1}));
  EXPECT_EQ(read("(0,)", 0), std::vector<int64_t>({0}));
  EXPECT_EQ(read("(5, 0)", 0), std::vector<int64_t>({5, 0}));
}

TEST_F(NpyTest, FortranOrderOfOneDimensionIsNone) {
  EXPECT_TRUE(readBytes(
      makeFile("{'descr': '|u1', 'fortran_order': True, 'shape': (3,)}", 3)));
  EXPECT_EQ(getError(makeFile(
                "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", 6)),
            "the array is in Fortran order; save numpy.ascontiguousarray of "
            "it");
}

TEST_F(NpyTest, RefusesMalformedHeaders) {
  for (const char *header :
       {"", "{}", "[]", "{", "{'descr': '|u1'}",
        "{'descr': '|u1', 'fortran_order': False}",
        "{'descr': '|u1', 'fortran_order': 0, 'shape': (2, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': 6}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2,, 3)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2.0, 3)}",
        "{'descr': '|u1', 'fortran_order': False, "
        "'shape': (99999999999999999999,)}",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)} x",
        "{'descr': '|u1' 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': '|u1, 'fortran_order': False, 'shape': (2, 3)}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3)}",
        "{'more': 1, 'descr': '|u1', 'fortran_order': False, 'shape': (2, 3)}"})
    EXPECT_EQ(getError(makeFile(header, 6)), "malformed .npy header") << header;
}

TEST_F(NpyTest, RefusesDTypes) {
  for (const char *descr : {">f4", "<c8", "|O", "<U3", "<M8[s]", "<u4", "f4"})
    EXPECT_EQ(getError(makeFile("{'descr': '" + std::string(descr) +
                                    "', 'fortran_order': False, 'shape': (1,)}",
                                8)),
              "dtype '" + std::string(descr) + "' is not supported");
}

TEST_F(NpyTest, RefusesWrongSizes) {
  EXPECT_EQ(getError(makeFile(goodHeader, 7)),
            "the header announces 6 bytes of data, the file has 7");
  EXPECT_EQ(getError(makeFile("{'descr': '<f8', 'fortran_order': False, "
                              "'shape': (4294967296, 4294967296)}",
                              6)),
            "the header announces too many bytes of data, the file has 6");
  EXPECT_EQ(getError(makeFile("{'descr': '<f8', 'fortran_order': False, "
                              "'shape': (-2, -3)}",
                              48)),
            "the header announces too many bytes of data, the file has 48");
}

TEST_F(NpyTest, RefusesEveryTruncation) {
  std::string whole = makeFile(goodHeader, 6);
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_NE(getError(whole.substr(0, size)), "(read)") << size;
}

TEST_F(NpyTest, RoundTrip) {
  std::vector<float> data = {1, -2.5f, 3e38f, 0, 5, 6};
  ASSERT_TRUE(writeNpy(path, DType::F32, {3, 1, 2}, data.data()));
  Result<Array> array = readNpy(path);
  ASSERT_TRUE(array) << array.error();
  EXPECT_EQ(array->dtype, DType::F32);
  EXPECT_EQ(array->shape, (std::vector<int64_t>{3, 1, 2}));
  EXPECT_EQ(std::memcmp(array->data.data(), data.data(), 24), 0);
}
