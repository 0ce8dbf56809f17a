//===- CpuFeatures.cpp - Features of the processor we run on --------------===//
//
// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "Cpu/CpuFeatures.h"

#include <cstdint>
#include <string_view>

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace structured::runtime {

#if defined(__x86_64__)

namespace {

enum Register { EAX, EBX, ECX, EDX };

/// The register state that the operating system must save for a feature.
enum State { None, AVX, AVX512, AMX };

/// Where CPUID tells of a feature.
struct Feature {
  std::string_view name;
  uint32_t leaf, subleaf;
  Register reg;
  int bit;
  State state;
  /// The field that begins at `bit` must be at least `min`.
  int width = 1;
  unsigned min = 1;
};

} // namespace

// Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E. Names are those of
// LLVM's X86 target.
// clang-format off
static constexpr Feature knownFeatures[] = {
    {"x87", 1, 0, EDX, 0, None},
    {"cx8", 1, 0, EDX, 8, None},
    {"cmov", 1, 0, EDX, 15, None},
    {"mmx", 1, 0, EDX, 23, None},
    {"fxsr", 1, 0, EDX, 24, None},
    {"sse", 1, 0, EDX, 25, None},
    {"sse2", 1, 0, EDX, 26, None},
    {"sse3", 1, 0, ECX, 0, None},
    {"pclmul", 1, 0, ECX, 1, None},
    {"ssse3", 1, 0, ECX, 9, None},
    {"fma", 1, 0, ECX, 12, AVX},
    {"cx16", 1, 0, ECX, 13, None},
    {"sse4.1", 1, 0, ECX, 19, None},
    {"sse4.2", 1, 0, ECX, 20, None},
    {"crc32", 1, 0, ECX, 20, None},
    {"movbe", 1, 0, ECX, 22, None},
    {"popcnt", 1, 0, ECX, 23, None},
    {"aes", 1, 0, ECX, 25, None},
    {"xsave", 1, 0, ECX, 26, AVX},
    {"avx", 1, 0, ECX, 28, AVX},
    {"f16c", 1, 0, ECX, 29, AVX},
    {"rdrnd", 1, 0, ECX, 30, None},
    {"fsgsbase", 7, 0, EBX, 0, None},
    {"bmi", 7, 0, EBX, 3, None},
    {"avx2", 7, 0, EBX, 5, AVX},
    {"bmi2", 7, 0, EBX, 8, None},
    {"invpcid", 7, 0, EBX, 10, None},
    {"rtm", 7, 0, EBX, 11, None},
    {"avx512f", 7, 0, EBX, 16, AVX512},
    {"avx512dq", 7, 0, EBX, 17, AVX512},
    {"rdseed", 7, 0, EBX, 18, None},
    {"adx", 7, 0, EBX, 19, None},
    {"avx512ifma", 7, 0, EBX, 21, AVX512},
    {"clflushopt", 7, 0, EBX, 23, None},
    {"clwb", 7, 0, EBX, 24, None},
    {"avx512cd", 7, 0, EBX, 28, AVX512},
    {"sha", 7, 0, EBX, 29, None},
    {"avx512bw", 7, 0, EBX, 30, AVX512},
    {"avx512vl", 7, 0, EBX, 31, AVX512},
    {"avx512vbmi", 7, 0, ECX, 1, AVX512},
    {"pku", 7, 0, ECX, 4, None},
    {"waitpkg", 7, 0, ECX, 5, None},
    {"avx512vbmi2", 7, 0, ECX, 6, AVX512},
    {"shstk", 7, 0, ECX, 7, None},
    {"gfni", 7, 0, ECX, 8, None},
    {"vaes", 7, 0, ECX, 9, AVX},
    {"vpclmulqdq", 7, 0, ECX, 10, AVX},
    {"avx512vnni", 7, 0, ECX, 11, AVX512},
    {"avx512bitalg", 7, 0, ECX, 12, AVX512},
    {"avx512vpopcntdq", 7, 0, ECX, 14, AVX512},
    {"rdpid", 7, 0, ECX, 22, None},
    {"cldemote", 7, 0, ECX, 25, None},
    {"movdiri", 7, 0, ECX, 27, None},
    {"movdir64b", 7, 0, ECX, 28, None},
    {"enqcmd", 7, 0, ECX, 29, None},
    {"avx512vp2intersect", 7, 0, EDX, 8, AVX512},
    {"serialize", 7, 0, EDX, 14, None},
    {"tsxldtrk", 7, 0, EDX, 16, None},
    {"avx512fp16", 7, 0, EDX, 23, AVX512},
    {"sha512", 7, 1, EAX, 0, AVX},
    {"sm3", 7, 1, EAX, 1, AVX},
    {"sm4", 7, 1, EAX, 2, AVX},
    {"avxvnni", 7, 1, EAX, 4, AVX},
    {"avx512bf16", 7, 1, EAX, 5, AVX512},
    {"cmpccxadd", 7, 1, EAX, 7, None},
    {"avxifma", 7, 1, EAX, 23, AVX},
    {"movrs", 7, 1, EAX, 31, None},
    {"avxvnniint8", 7, 1, EDX, 4, AVX},
    {"avxneconvert", 7, 1, EDX, 5, AVX},
    {"avxvnniint16", 7, 1, EDX, 10, AVX},
    {"prefetchi", 7, 1, EDX, 14, None},
    {"xsaveopt", 0xd, 1, EAX, 0, AVX},
    {"xsavec", 0xd, 1, EAX, 1, AVX},
    {"xsaves", 0xd, 1, EAX, 3, AVX},
    {"sahf", 0x80000001, 0, ECX, 0, None},
    {"lzcnt", 0x80000001, 0, ECX, 5, None},
    {"sse4a", 0x80000001, 0, ECX, 6, None},
    {"prfchw", 0x80000001, 0, ECX, 8, None},
    {"xop", 0x80000001, 0, ECX, 11, AVX},
    {"lwp", 0x80000001, 0, ECX, 15, None},
    {"fma4", 0x80000001, 0, ECX, 16, AVX},
    {"tbm", 0x80000001, 0, ECX, 21, None},
    {"mwaitx", 0x80000001, 0, ECX, 29, None},
    {"64bit", 0x80000001, 0, EDX, 29, None},
    {"clzero", 0x80000008, 0, EBX, 0, None},
    {"rdpru", 0x80000008, 0, EBX, 4, None},
    {"wbnoinvd", 0x80000008, 0, EBX, 9, None},
    {"sgx", 7, 0, EBX, 2, None},
    {"kl", 7, 0, ECX, 23, None},
    {"uintr", 7, 0, EDX, 5, None},
    {"pconfig", 7, 0, EDX, 18, None},
    {"raoint", 7, 1, EAX, 3, None},
    {"hreset", 7, 1, EAX, 22, None},
    {"usermsr", 7, 1, EDX, 15, None},
    {"ptwrite", 0x14, 0, EBX, 4, None},
    {"widekl", 0x19, 0, EBX, 2, None},
    {"avx10.1", 0x24, 0, EBX, 0, AVX512, 8, 1},
    {"avx10.2", 0x24, 0, EBX, 0, AVX512, 8, 2},
    {"amx-bf16", 7, 0, EDX, 22, AMX},
    {"amx-tile", 7, 0, EDX, 24, AMX},
    {"amx-int8", 7, 0, EDX, 25, AMX},
    {"amx-fp16", 7, 1, EAX, 21, AMX},
    {"amx-complex", 7, 1, EDX, 8, AMX},
    {"amx-fp8", 0x1e, 1, EAX, 4, AMX},
    {"amx-tf32", 0x1e, 1, EAX, 6, AMX},
    {"amx-avx512", 0x1e, 1, EAX, 7, AMX},
    {"amx-movrs", 0x1e, 1, EAX, 8, AMX},
};
// clang-format on

/// True if the operating system saves that state (XCR0, Intel SDM volume 1,
/// 13.3) and, for AMX's tiles, lets this process use it.
static bool isStateSaved(State state) {
  if (state == None)
    return true;
  unsigned a, b, c, d;
  constexpr unsigned osxsave = 1u << 27;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & osxsave))
    return false;
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  uint32_t needed = state == AVX ? 0x6 : state == AVX512 ? 0xe6 : 0x60000;
  if ((low & needed) != needed)
    return false;
  if (state != AMX)
    return true;
  // Linux grants tile data on request (Documentation/arch/x86/xstate.rst).
  constexpr long requestPermission = 0x1023, tileData = 18;
  return syscall(SYS_arch_prctl, requestPermission, tileData) == 0;
}

static bool hasFeature(const Feature &feature) {
  unsigned registers[4] = {0, 0, 0, 0};
  if (!__get_cpuid_count(feature.leaf, feature.subleaf, &registers[EAX],
                         &registers[EBX], &registers[ECX], &registers[EDX]))
    return false;
  unsigned field =
      registers[feature.reg] >> feature.bit & ((1u << feature.width) - 1);
  return field >= feature.min && isStateSaved(feature.state);
}

Result<void> checkCpuFeatures(const std::vector<std::string> &features) {
  std::string missing, unknown;
  auto append = [](std::string &list, const std::string &name) {
    list += (list.empty() ? "" : ", ") + name;
  };
  for (const std::string &name : features) {
    const Feature *found = nullptr;
    for (const Feature &feature : knownFeatures)
      if (feature.name == name)
        found = &feature;
    if (!found)
      append(unknown, name);
    else if (!hasFeature(*found))
      append(missing, name);
  }
  if (!missing.empty())
    return Error{"compiled for CPU features that this machine lacks: " +
                 missing};
  if (!unknown.empty())
    return Error{"compiled for CPU features that this runtime does not know: " +
                 unknown};
  return {};
}

#else

Result<void> checkCpuFeatures(const std::vector<std::string> &features) {
  if (features.empty())
    return {};
  return Error{"CPU features cannot be checked on this architecture"};
}

#endif

} // namespace structured::runtime
