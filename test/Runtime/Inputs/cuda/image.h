// Part of the Structured project, under the Apache License v2.0 with LLVM
// Exceptions. See LICENSE for license information. SPDX-License-Identifier:
// Apache-2.0 WITH LLVM-exception

// What stands in for device code with the driver of driver.c: a table of C
// functions, found by name.

#include <stdint.h>

typedef struct {
  unsigned grid[3], block[3], cluster[3], sharedMemory;
  int isProgrammatic, isCooperative;
} Launch;

/* Runs the whole grid. Every parameter of a kernel takes 8 bytes. */
typedef void (*KernelFunction)(const Launch *launch, void **parameters);

typedef struct {
  const char *name;
  KernelFunction run;
  int numParameters;
} ImageKernel;

typedef struct {
  char magic[8]; /* "KERNELS" */
  int numKernels;
  ImageKernel kernels[8];
} Image;
