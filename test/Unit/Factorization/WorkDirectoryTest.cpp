//===- WorkDirectoryTest.cpp - Tests of the resumable runs
//------------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Structured/Factorization/WorkDirectory.h"

#include "Structured/Weights/Safetensors.h"
#include "TestMatrices.h"

#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <omp.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace structured;
namespace fs = std::filesystem;

namespace {

class WorkDirectoryTest : public ::testing::Test {
protected:
  void SetUp() override {
    const auto *test = ::testing::UnitTest::GetInstance()->current_test_info();
    directory = fs::temp_directory_path() /
                (std::string("structured-work-") + test->name() + "-" +
                 std::to_string(::getpid()));
    options.bOut = options.bIn = 2;
    options.rank = 5;
    options.maxIterations = 20;
  }
  void TearDown() override { fs::remove_all(directory); }

  /// Factorises and says whether the result was reused.
  bool run(const std::string &layer = "encoder.0") {
    auto result = factorizeToDirectory(directory, layer, matrix.ref(), options);
    EXPECT_TRUE(result) << result.error();
    if (!result)
      return false;
    last = std::move(*result);
    return last.reused;
  }

  size_t numFiles() {
    return std::distance(fs::directory_iterator(directory), {});
  }

  fs::path directory;
  BlastOptions options;
  TestMatrix matrix = makeTrainedLike(24, 16, 1);
  LayerResult last;
};

} // namespace

TEST_F(WorkDirectoryTest, FileNames) {
  EXPECT_EQ(getWorkFile("d", "encoder.layer.0_a-B"),
            "d/encoder.layer.0_a-B.safetensors");
  EXPECT_EQ(getWorkFile("d", "/a b%.x"), "d/%2fa%20b%25.x.safetensors");
  EXPECT_EQ(getWorkFile("d", "../é"), "d/%2e.%2f%c3%a9.safetensors");
}

TEST_F(WorkDirectoryTest, ReusesWhatIsThere) {
  EXPECT_FALSE(run());
  LayerResult first = last;
  EXPECT_TRUE(run());
  EXPECT_EQ(last.factors.u, first.factors.u);
  EXPECT_EQ(last.factors.s, first.factors.s);
  EXPECT_EQ(last.factors.vt, first.factors.vt);
  EXPECT_EQ(last.relativeError, first.relativeError);
  EXPECT_EQ(last.iterations, first.iterations);
  EXPECT_EQ(numFiles(), 1u);

  auto file = SafetensorsFile::open(getWorkFile(directory, "encoder.0"));
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->find("encoder.0.U")->shape, (std::vector<int64_t>{2, 12, 5}));
  EXPECT_EQ(file->find("encoder.0.S")->shape, (std::vector<int64_t>{2, 2, 5}));
  EXPECT_EQ(file->find("encoder.0.Vt")->shape, (std::vector<int64_t>{2, 5, 8}));
}

TEST_F(WorkDirectoryTest, ComputesAnewForOtherOptionsOrWeights) {
  EXPECT_FALSE(run());
  BlastOptions original = options;
  std::vector<BlastOptions> others(7, options);
  others[0].rank = 4;
  others[1].seed = 1;
  others[2].maxIterations = 21;
  others[3].tolerance = 1e-5;
  others[4].method = BlastMethod::PreconditionedGradient;
  others[5].bOut = 4;
  others[6].bIn = 4;
  for (const BlastOptions &other : others) {
    options = other;
    EXPECT_FALSE(run());
    EXPECT_TRUE(run());
  }
  options = original;
  EXPECT_FALSE(run());
  matrix.values.back() += 1e-3f;
  EXPECT_FALSE(run());
  EXPECT_TRUE(run());
  EXPECT_FALSE(run("encoder.1"));
  EXPECT_EQ(numFiles(), 2u);
}

/// A flipped byte anywhere in the data, and a cut, are noticed.
TEST_F(WorkDirectoryTest, ComputesAnewWhatIsDamaged) {
  EXPECT_FALSE(run());
  LayerResult first = last;
  std::string path = getWorkFile(directory, "encoder.0");
  auto size = static_cast<std::streamoff>(fs::file_size(path));
  // The highest byte of an element of Vt, of S and of U.
  auto uBytes = static_cast<std::streamoff>(first.factors.u.size() * 4);
  auto otherBytes = static_cast<std::streamoff>(
      (first.factors.s.size() + first.factors.vt.size()) * 4);
  for (std::streamoff offset :
       {size - 1, size - otherBytes + 3, size - otherBytes - uBytes + 3}) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(offset);
    char byte = static_cast<char>(file.get() ^ 0x40);
    file.seekp(offset);
    file.put(byte);
    file.close();
    EXPECT_FALSE(run()) << offset;
    EXPECT_EQ(last.factors.u, first.factors.u);
    EXPECT_TRUE(run());
  }
  fs::resize_file(path, size / 2);
  EXPECT_FALSE(run());
  fs::resize_file(path, 0);
  EXPECT_FALSE(run());
  EXPECT_TRUE(run());
}

/// A child is killed in the middle of its third layer; the two before survive,
/// and the next run clears what the child had begun to write.
TEST_F(WorkDirectoryTest, SurvivesKill) {
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Not every OpenMP lets a child use the threads that the parent started.
    omp_set_num_threads(1);
    for (const char *layer : {"a", "b"})
      if (!factorizeToDirectory(directory, layer, matrix.ref(), options))
        ::_exit(1);
    auto writer = SafetensorsWriter::create(getWorkFile(directory, "c"),
                                            {{"c.U", DType::F32, {8}}});
    if (writer)
      (void)factorizeToDirectory(directory, "d", matrix.ref(), options,
                                 [](int64_t iteration, double) {
                                   if (iteration == 3)
                                     ::kill(::getpid(), SIGKILL);
                                 });
    ::_exit(2);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status)) << WEXITSTATUS(status);
  ASSERT_EQ(numFiles(), 3u) << "a, b and the temporary file of c";

  EXPECT_TRUE(run("a"));
  EXPECT_TRUE(run("b"));
  EXPECT_FALSE(run("c"));
  EXPECT_FALSE(run("d"));
  EXPECT_EQ(numFiles(), 4u);
}

/// GBLR: reused with the same options and weight only, and if undamaged.
TEST_F(WorkDirectoryTest, Gblr) {
  GblrOptions gblr;
  gblr.budget = 160;
  auto factorize = [&] {
    auto result = factorizeToDirectory(directory, "a", matrix.ref(), gblr);
    EXPECT_TRUE(result) << result.error();
    return result ? std::move(*result) : GblrLayerResult();
  };
  GblrLayerResult first = factorize();
  EXPECT_FALSE(first.reused);
  EXPECT_GT(first.factors.components.size(), 0u);
  GblrLayerResult second = factorize();
  EXPECT_TRUE(second.reused);
  EXPECT_EQ(second.factors.u, first.factors.u);
  EXPECT_EQ(second.factors.v, first.factors.v);
  EXPECT_EQ(second.factors.components.size(), first.factors.components.size());
  EXPECT_EQ(second.relativeError, first.relativeError);
  EXPECT_EQ(second.iterations, first.iterations);
  auto file = SafetensorsFile::open(getWorkFile(directory, "a"));
  ASSERT_TRUE(file) << file.error();
  EXPECT_EQ(file->find("a.gblr.components")->shape,
            (std::vector<int64_t>{
                static_cast<int64_t>(first.factors.components.size()), 5}));

  GblrOptions original = gblr;
  std::vector<GblrOptions> others(5, gblr);
  others[0].budget = 161;
  others[1].minComponentParameters = 20;
  others[2].maxIterations = 1;
  others[3].tolerance = 1e-5;
  others[4].method = GblrMethod::EnergyRuns;
  for (const GblrOptions &other : others) {
    gblr = other;
    EXPECT_FALSE(factorize().reused);
    EXPECT_TRUE(factorize().reused);
  }
  gblr = original;
  EXPECT_FALSE(factorize().reused);
  // BLAST does not take it for its own.
  EXPECT_FALSE(run("a"));
  EXPECT_FALSE(factorize().reused);

  // The highest bytes of the last row start, of an element of V and of one of
  // U, from the end of the file.
  std::string path = getWorkFile(directory, "a");
  auto size = static_cast<std::streamoff>(fs::file_size(path));
  auto componentBytes =
      static_cast<std::streamoff>(first.factors.components.size() * 40);
  auto vBytes = static_cast<std::streamoff>(first.factors.v.size() * 4);
  for (std::streamoff offset : {size - 33, size - componentBytes - 1,
                                size - componentBytes - vBytes - 1}) {
    std::fstream damaged(path, std::ios::in | std::ios::out | std::ios::binary);
    damaged.seekg(offset);
    char byte = static_cast<char>(damaged.get() ^ 0x40);
    damaged.seekp(offset);
    damaged.put(byte);
    damaged.close();
    EXPECT_FALSE(factorize().reused) << size - offset;
    EXPECT_TRUE(factorize().reused);
  }
  gblr.budget = 3;
  auto refused = factorizeToDirectory(directory, "a", matrix.ref(), gblr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error(),
            "layer 'a': a budget of 3 parameters is too small: "
            "the smallest component has 32");
}

TEST_F(WorkDirectoryTest, ErrorsNameTheLayer) {
  auto errorOf = [&] {
    auto result =
        factorizeToDirectory(directory, "encoder.0", matrix.ref(), options);
    return result ? std::string("(accepted)") : result.error();
  };
  BlastOptions good = options;
  options.rank = 0;
  EXPECT_EQ(errorOf(), "layer 'encoder.0': rank 0 is not positive");
  options = good;
  options.bIn = 3;
  EXPECT_EQ(errorOf(), "layer 'encoder.0': 2 x 3 blocks do not divide the 24 x "
                       "16 matrix");
  options = good;
  float kept = std::exchange(matrix.values[17], std::nanf(""));
  EXPECT_EQ(errorOf(),
            "layer 'encoder.0': the matrix has a NaN at row 1, column 1");
  matrix.values[17] = kept;
  EXPECT_FALSE(fs::exists(directory)) << "created before the checks";

  std::ofstream(directory) << "a file";
  EXPECT_EQ(errorOf().rfind("layer 'encoder.0': " + directory.string() +
                                ": cannot create: ",
                            0),
            0u)
      << errorOf();
}

TEST_F(WorkDirectoryTest, FullDiskLeavesNothing) {
  fs::create_directories(directory);
  struct rlimit original;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &original), 0);
  auto *handler = std::signal(SIGXFSZ, SIG_IGN);
  struct rlimit small = original;
  small.rlim_cur = 600;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  auto result = factorizeToDirectory(directory, "a", matrix.ref(), options);
  setrlimit(RLIMIT_FSIZE, &original);
  std::signal(SIGXFSZ, handler);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error(), "layer 'a': " + getWorkFile(directory, "a") +
                                ": cannot write tensor 'a.U': File too large");
  EXPECT_EQ(numFiles(), 0u);
  EXPECT_FALSE(run("a"));
}
