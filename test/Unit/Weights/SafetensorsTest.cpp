//===- SafetensorsTest.cpp - Tests of the safetensors files ---------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Weights/Safetensors.h"

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace structured;

namespace {

/// A fresh directory per test, removed afterwards.
class SafetensorsTest : public ::testing::Test {
protected:
  void SetUp() override {
    const auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory = std::filesystem::temp_directory_path() /
                (std::string("structured-") + test->name() + "-" +
                 std::to_string(::getpid()));
    std::filesystem::create_directories(directory);
    path = directory / "file.safetensors";
  }
  void TearDown() override { std::filesystem::remove_all(directory); }

  void writeBytes(const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
  }

  /// Writes a file with that header and `dataBytes` zero bytes.
  void writeHeader(const std::string &header, size_t dataBytes) {
    uint64_t length = header.size();
    std::string bytes(reinterpret_cast<const char *>(&length), 8);
    writeBytes(bytes + header + std::string(dataBytes, '\0'));
  }

  /// The error of opening the file, which must name the file.
  std::string openError() {
    Result<SafetensorsFile> file = SafetensorsFile::open(path);
    if (file)
      return "(opened)";
    EXPECT_EQ(file.error().rfind(path + ": ", 0), 0u) << file.error();
    return file.error().substr(path.size() + 2);
  }

  size_t numFiles() {
    return std::distance(std::filesystem::directory_iterator(directory), {});
  }

  std::filesystem::path directory;
  std::string path;
};

} // namespace

//===----------------------------------------------------------------------===//
// Round trip
//===----------------------------------------------------------------------===//

TEST_F(SafetensorsTest, RoundTrip) {
  const float weights[6] = {1, -2, 3.5, 0, 1e-30f, 6};
  const int64_t scalar = -7;
  auto writer = SafetensorsWriter::create(path,
                                          {{"scalar", DType::I64, {}},
                                           {"layer.weight", DType::F32, {2, 3}},
                                           {"empty", DType::F16, {4, 0}},
                                           {"flags", DType::BOOL, {3}}},
                                          {{"format", "pt"}, {"key", "é\n"}});
  ASSERT_TRUE(writer) << writer.error();
  ASSERT_TRUE(writer->append("scalar", &scalar, 8));
  ASSERT_TRUE(writer->append("layer.weight", weights, 24));
  ASSERT_TRUE(writer->append("empty", nullptr, 0));
  ASSERT_TRUE(writer->append("flags", "\1\0\1", 3));
  EXPECT_FALSE(std::filesystem::exists(path)) << "visible before finish";
  ASSERT_TRUE(writer->finish());
  EXPECT_EQ(numFiles(), 1u);

  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error();
  ASSERT_EQ(file->tensors().size(), 4u);
  EXPECT_EQ(file->tensors()[0].name, "scalar");
  EXPECT_EQ(file->tensors()[3].name, "flags");
  EXPECT_EQ(file->metadata().at("key"), "é\n");
  EXPECT_EQ(file->metadata().size(), 2u);
  const TensorView *weight = file->find("layer.weight");
  ASSERT_NE(weight, nullptr);
  EXPECT_EQ(weight->dtype, DType::F32);
  EXPECT_EQ(weight->shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(weight->getNumElements(), 6);
  EXPECT_EQ(std::memcmp(weight->data, weights, 24), 0);
  EXPECT_EQ(file->find("scalar")->getNumElements(), 1);
  EXPECT_EQ(std::memcmp(file->find("scalar")->data, &scalar, 8), 0);
  EXPECT_EQ(file->find("empty")->getNumElements(), 0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file->tensors()[0].data) % 64, 0u);

  EXPECT_EQ(file->find("absent"), nullptr);
  auto absent = file->get("absent");
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error(), path + ": no tensor 'absent'");

  // The views outlive a move of the file.
  SafetensorsFile moved = std::move(*file);
  EXPECT_EQ(std::memcmp(moved.find("layer.weight")->data, weights, 24), 0);
}

TEST_F(SafetensorsTest, NoTensors) {
  auto writer = SafetensorsWriter::create(path, {});
  ASSERT_TRUE(writer);
  ASSERT_TRUE(writer->finish());
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error();
  EXPECT_TRUE(file->tensors().empty());
}

/// Entries may stand in any order in the header; tensors() follows the data.
TEST_F(SafetensorsTest, HeaderOrderIsFree) {
  writeHeader(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[3,5]},)"
              R"("b":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})",
              5);
  auto file = SafetensorsFile::open(path);
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(file->tensors()[1].name, "a");
}

//===----------------------------------------------------------------------===//
// Malformed files
//===----------------------------------------------------------------------===//

TEST_F(SafetensorsTest, MissingFile) {
  EXPECT_EQ(openError(), "cannot open: No such file or directory");
}

TEST_F(SafetensorsTest, Directory) {
  std::filesystem::create_directory(path);
  EXPECT_EQ(openError(), "not a regular file");
}

TEST_F(SafetensorsTest, TooShortForHeaderLength) {
  writeBytes("");
  EXPECT_EQ(openError(),
            "truncated: 0 bytes are too few for the header length");
  writeBytes("1234567");
  EXPECT_EQ(openError(),
            "truncated: 7 bytes are too few for the header length");
}

TEST_F(SafetensorsTest, HeaderLengthBeyondFile) {
  writeBytes(std::string("\x10\0\0\0\0\0\0\0{}", 10));
  EXPECT_EQ(
      openError(),
      "truncated: the header of 16 bytes does not fit into the file of 10");
}

TEST_F(SafetensorsTest, HeaderLengthAboveLimit) {
  writeBytes(std::string(8, '\xff') + "{}");
  EXPECT_EQ(openError(), "the header length 18446744073709551615 exceeds the "
                         "format's limit of 100000000");
}

TEST_F(SafetensorsTest, HeaderNotJson) {
  for (const char *header :
       {"", "   ", "{", "[]", "3", "{\"a\":}", "{} x", "{\"\xff\":1}"}) {
    writeHeader(header, 0);
    EXPECT_EQ(openError(), "the header is not a JSON object") << header;
  }
  writeHeader(std::string(100000, '['), 0);
  EXPECT_EQ(openError(), "the header is not a JSON object");
}

TEST_F(SafetensorsTest, DuplicateName) {
  std::string entry = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  writeHeader("{" + entry + "," + entry + "}", 1);
  EXPECT_EQ(openError(), "the name 'a' occurs twice in the header");
  writeHeader(R"({"a":{"dtype":"U8","dtype":"U8","shape":[],)"
              R"("data_offsets":[0,1]}})",
              1);
  EXPECT_EQ(openError(), "the name 'dtype' occurs twice in the header");
}

TEST_F(SafetensorsTest, MalformedEntry) {
  const std::pair<const char *, const char *> cases[] = {
      {"3", "the header entry is not an object"},
      {R"({"shape":[1],"data_offsets":[0,1]})", "no dtype"},
      {R"({"dtype":8,"shape":[1],"data_offsets":[0,1]})", "no dtype"},
      {R"({"dtype":"U9","shape":[1],"data_offsets":[0,1]})",
       "unknown dtype 'U9'"},
      {R"({"dtype":"u8","shape":[1],"data_offsets":[0,1]})",
       "unknown dtype 'u8'"},
      {R"({"dtype":"U8","data_offsets":[0,1]})",
       "the shape is not a list of non-negative integers"},
      {R"({"dtype":"U8","shape":[-1],"data_offsets":[0,1]})",
       "the shape is not a list of non-negative integers"},
      {R"({"dtype":"U8","shape":[1.0],"data_offsets":[0,1]})",
       "the shape is not a list of non-negative integers"},
      {R"({"dtype":"U8","shape":1,"data_offsets":[0,1]})",
       "the shape is not a list of non-negative integers"},
      {R"({"dtype":"U8","shape":[18446744073709551615],"data_offsets":[0,1]})",
       "the shape is not a list of non-negative integers"},
      // 2^32 × 2^32 is 0 in 64 bits, and so would be the byte range.
      {R"({"dtype":"U8","shape":[4294967296,4294967296],)"
       R"("data_offsets":[0,0]})",
       "the shape overflows"},
      {R"({"dtype":"F64","shape":[2305843009213693952],)"
       R"("data_offsets":[0,0]})",
       "the shape overflows"},
      {R"({"dtype":"U8","shape":[4294967296,4294967296,0],)"
       R"("data_offsets":[0,0]})",
       "the shape overflows"},
      {R"({"dtype":"U8","shape":[1]})",
       "data_offsets are not two non-negative integers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[0]})",
       "data_offsets are not two non-negative integers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[-1,0]})",
       "data_offsets are not two non-negative integers"},
      {R"({"dtype":"U8","shape":[1],"data_offsets":[1,0]})",
       "the byte range [1, 0) is reversed"},
      {R"({"dtype":"U8","shape":[2],"data_offsets":[0,2]})",
       "the byte range [0, 2) exceeds the 1 bytes of data in the file (is it "
       "truncated?)"},
      {R"({"dtype":"U8","shape":[2],"data_offsets":[0,1]})",
       "the byte range [0, 1) is not the 2 bytes of its shape and dtype"},
      {R"({"dtype":"F32","shape":[1],"data_offsets":[0,1]})",
       "the byte range [0, 1) is not the 4 bytes of its shape and dtype"},
  };
  for (const auto &[entry, message] : cases) {
    writeHeader(std::string(R"({"a":)") + entry + "}", 1);
    EXPECT_EQ(openError(), std::string("tensor 'a': ") + message) << entry;
  }
}

TEST_F(SafetensorsTest, Overlap) {
  writeHeader(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
              R"("b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})",
              3);
  EXPECT_EQ(openError(),
            "tensor 'b': the byte range overlaps another tensor's");
}

TEST_F(SafetensorsTest, SameRangeTwice) {
  writeHeader(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},)"
              R"("b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
              2);
  EXPECT_EQ(openError(),
            "tensor 'b': the byte range overlaps another tensor's");
}

TEST_F(SafetensorsTest, Hole) {
  writeHeader(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
              R"("b":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})",
              4);
  EXPECT_EQ(openError(), "a hole of 2 bytes precedes tensor 'b'");
}

TEST_F(SafetensorsTest, BytesAtEnd) {
  writeHeader(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 3);
  EXPECT_EQ(openError(), "2 bytes at the end belong to no tensor");
}

TEST_F(SafetensorsTest, MalformedMetadata) {
  writeHeader(R"({"__metadata__":[]})", 0);
  EXPECT_EQ(openError(), "__metadata__ is not an object");
  writeHeader(R"({"__metadata__":{"k":1}})", 0);
  EXPECT_EQ(openError(), "__metadata__: 'k' is not a string");
}

/// A file cut anywhere is refused, never read beyond its end.
TEST_F(SafetensorsTest, EveryTruncation) {
  auto writer = SafetensorsWriter::create(path, {{"a", DType::F32, {3}}});
  ASSERT_TRUE(writer);
  const float data[3] = {1, 2, 3};
  ASSERT_TRUE(writer->append("a", data, sizeof(data)));
  ASSERT_TRUE(writer->finish());
  for (size_t size = std::filesystem::file_size(path); size-- > 0;) {
    std::filesystem::resize_file(path, size);
    EXPECT_FALSE(SafetensorsFile::open(path)) << size;
  }
}

//===----------------------------------------------------------------------===//
// Writer errors
//===----------------------------------------------------------------------===//

TEST_F(SafetensorsTest, WriterRefusesBadDeclarations) {
  auto twice = SafetensorsWriter::create(
      path, {{"a", DType::U8, {1}}, {"a", DType::U8, {1}}});
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error(), path + ": tensor 'a': declared twice");
  auto overflow =
      SafetensorsWriter::create(path, {{"a", DType::U8, {1ll << 62, 4}}});
  ASSERT_FALSE(overflow);
  EXPECT_EQ(overflow.error(), path + ": tensor 'a': the shape overflows");
  auto negative = SafetensorsWriter::create(path, {{"a", DType::U8, {-1}}});
  ASSERT_FALSE(negative);
  auto reserved =
      SafetensorsWriter::create(path, {{"__metadata__", DType::U8, {1}}});
  ASSERT_FALSE(reserved);
  EXPECT_EQ(reserved.error(),
            path + ": tensor '__metadata__': the name is reserved");
  EXPECT_FALSE(SafetensorsWriter::create(path, {{"\xff", DType::U8, {1}}}));
  EXPECT_FALSE(SafetensorsWriter::create(path, {}, {{"k", "\xc3"}}));
  EXPECT_EQ(numFiles(), 0u);
}

TEST_F(SafetensorsTest, WriterRefusesWrongTensor) {
  auto writer = SafetensorsWriter::create(
      path, {{"a", DType::U8, {1}}, {"b", DType::U8, {1}}});
  ASSERT_TRUE(writer);
  auto wrongName = writer->append("b", "x", 1);
  ASSERT_FALSE(wrongName);
  EXPECT_EQ(wrongName.error(),
            path + ": tensor 'b': not the next tensor declared");
  auto wrongSize = writer->append("a", "xy", 2);
  ASSERT_FALSE(wrongSize);
  EXPECT_EQ(wrongSize.error(),
            path + ": tensor 'a': 2 bytes given, another number declared");
  ASSERT_TRUE(writer->append("a", "x", 1));
  auto missing = writer->finish();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error(), path + ": tensor 'b': declared but not written");
}

TEST_F(SafetensorsTest, WriterReplacesFilesOnly) {
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  auto writer = SafetensorsWriter::create(path, {});
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error(), path + ": cannot create: it is not a regular file");
  EXPECT_TRUE(std::filesystem::is_fifo(path));
  EXPECT_EQ(numFiles(), 1u);
}

TEST_F(SafetensorsTest, UnfinishedWriterLeavesNothing) {
  writeBytes("the old file");
  {
    auto writer = SafetensorsWriter::create(path, {{"a", DType::U8, {1}}});
    ASSERT_TRUE(writer);
    EXPECT_EQ(numFiles(), 2u);
  }
  EXPECT_EQ(numFiles(), 1u);
  EXPECT_EQ(std::filesystem::file_size(path), 12u);
}

TEST_F(SafetensorsTest, UnwritableDirectory) {
  auto writer = SafetensorsWriter::create(directory / "absent" / "f", {});
  ASSERT_FALSE(writer);
  EXPECT_NE(writer.error().find("cannot create: No such file"),
            std::string::npos);
}

/// A limit on the file size stops the write half way, as a full disk does.
TEST_F(SafetensorsTest, WriteFailureLeavesNothing) {
  struct rlimit original;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &original), 0);
  auto *handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = original;
  small.rlim_cur = 4096;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  std::vector<char> data(10000);
  auto writer = SafetensorsWriter::create(path, {{"a", DType::U8, {10000}}});
  ASSERT_TRUE(writer);
  Result<void> appended = writer->append("a", data.data(), data.size());
  size_t filesLeft = numFiles();
  Result<void> finished = writer->finish();
  setrlimit(RLIMIT_FSIZE, &original);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(appended);
  EXPECT_EQ(appended.error(),
            path + ": cannot write tensor 'a': File too large");
  EXPECT_EQ(filesLeft, 0u);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error(), path + ": the file is closed");
}

//===----------------------------------------------------------------------===//
// Element types
//===----------------------------------------------------------------------===//

TEST(ConversionTest, DTypeNames) {
  for (DType dtype :
       {DType::F64, DType::F32, DType::F16, DType::BF16, DType::I64, DType::I32,
        DType::I16, DType::I8, DType::U8, DType::BOOL})
    EXPECT_EQ(parseDType(getDTypeName(dtype)), dtype);
  EXPECT_EQ(parseDType("F8_E4M3"), std::nullopt);
  EXPECT_EQ(getByteWidth(DType::BF16), 2u);
}

/// Every half converts to the float that ldexp gives, and back.
TEST(ConversionTest, EveryHalf) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    auto half = static_cast<uint16_t>(bits);
    int exponent = (half >> 10) & 0x1f;
    int mantissa = half & 0x3ff;
    float value = halfToFloat(half);
    if (exponent == 31 && mantissa != 0) {
      EXPECT_TRUE(std::isnan(value));
      EXPECT_TRUE(std::isnan(halfToFloat(floatToHalf(value))));
      continue;
    }
    float magnitude = exponent == 31 ? std::numeric_limits<float>::infinity()
                      : exponent == 0
                          ? std::ldexp(static_cast<float>(mantissa), -24)
                          : std::ldexp(1024.0f + mantissa, exponent - 25);
    EXPECT_EQ(std::fabs(value), magnitude);
    EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0);
    EXPECT_EQ(floatToHalf(value), half);
  }
}

/// Between two neighbouring halves: the midpoint goes to the even one, and the
/// floats beside the midpoint to the nearer one.
TEST(ConversionTest, HalfRoundsToNearestEven) {
  for (uint16_t low = 0; low < 0x7bff; ++low) {
    uint16_t high = low + 1;
    float middle = (halfToFloat(low) + halfToFloat(high)) / 2;
    EXPECT_EQ(floatToHalf(middle), (low & 1) ? high : low);
    EXPECT_EQ(floatToHalf(std::nextafter(middle, 0.0f)), low);
    EXPECT_EQ(floatToHalf(std::nextafter(middle, 1e30f)), high);
    EXPECT_EQ(floatToHalf(-middle), ((low & 1) ? high : low) | 0x8000);
  }
  EXPECT_EQ(floatToHalf(65519.996f), 0x7bff);
  EXPECT_EQ(floatToHalf(65520.0f), 0x7c00);
  EXPECT_EQ(floatToHalf(1e30f), 0x7c00);
}

TEST(ConversionTest, BFloat16RoundsToNearestEven) {
  for (uint16_t low = 0; low < 0x7f7f; ++low) {
    uint16_t high = low + 1;
    EXPECT_EQ(floatToBFloat16(bfloat16ToFloat(low)), low);
    uint32_t middleBits = (static_cast<uint32_t>(low) << 16) | 0x8000;
    float middle;
    std::memcpy(&middle, &middleBits, 4);
    EXPECT_EQ(floatToBFloat16(middle), (low & 1) ? high : low);
    EXPECT_EQ(floatToBFloat16(std::nextafter(middle, 0.0f)), low);
    EXPECT_EQ(floatToBFloat16(-std::nextafter(middle, INFINITY)),
              high | 0x8000);
  }
  EXPECT_EQ(floatToBFloat16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_EQ(floatToBFloat16(-INFINITY), 0xff80);
  EXPECT_TRUE(std::isnan(bfloat16ToFloat(floatToBFloat16(NAN))));
}

TEST(ConversionTest, ReadAndEncodeEveryFloatingPointType) {
  const std::vector<float> values = {0.0f, -1.5f, 0.25f, 1024.0f};
  for (DType dtype : {DType::F64, DType::F32, DType::F16, DType::BF16}) {
    std::vector<std::byte> bytes =
        encodeFloats(dtype, values.data(), values.size());
    ASSERT_EQ(bytes.size(), values.size() * getByteWidth(dtype));
    // One byte off, to show that alignment does not matter.
    std::vector<std::byte> shifted(bytes.size() + 1);
    std::copy(bytes.begin(), bytes.end(), shifted.begin() + 1);
    TensorView view{"x", dtype, {4}, shifted.data() + 1, bytes.size()};
    auto read = readFloats(view);
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, values);
  }
  const double precise = 1.0 + std::ldexp(1.0, -24); // halfway: 1 is even
  TensorView view{
      "x", DType::F64, {}, reinterpret_cast<const std::byte *>(&precise), 8};
  EXPECT_EQ(*readFloats(view), std::vector<float>{1.0f});
}

TEST(ConversionTest, ReadRefusesIntegers) {
  TensorView view{"ids", DType::I64, {0}, nullptr, 0};
  auto read = readFloats(view);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error(), "tensor 'ids': dtype I64 is not floating point");
}
