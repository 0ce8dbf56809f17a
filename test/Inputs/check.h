/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Checks of tests in C of an API whose last error is the text LAST_ERROR, which
 * the test defines.
 */
#ifndef STRUCTURED_TEST_INPUTS_CHECK_H
#define STRUCTURED_TEST_INPUTS_CHECK_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                       \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "line %d: %s; last error: %s\n", __LINE__, #condition,   \
              LAST_ERROR);                                                     \
      exit(1);                                                                 \
    }                                                                          \
  } while (0)

/* A call that must fail, with an error that contains `text`. */
#define CHECK_FAILS(call, text)                                                \
  do {                                                                         \
    CHECK((call) != 0);                                                        \
    CHECK(strstr(LAST_ERROR, text));                                           \
  } while (0)

#endif
