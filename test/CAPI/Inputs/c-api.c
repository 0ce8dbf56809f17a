/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Uses the compiler's C API from C (c-api.test): c-api WEIGHTS BAD, with the
 * file of the weights below, and one in which the layer's have another shape.
 * Writes into the working directory.
 */
#include "structured-c/Compiler.h"
#include "structured-runtime.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LAST_ERROR structuredGetLastError()
#include "../../Inputs/check.h"

/* y = x·[[1,0,-2],[.5,.5,.5]]ᵀ */
static const char *text =
    "func.func @main(%x: tensor<2x3xf32>) -> tensor<2x2xf32> {\n"
    "  %w = structured.parameter \"w\" : tensor<2x3xf32>\n"
    "  %zero = arith.constant 0.0 : f32\n"
    "  %e = tensor.empty() : tensor<2x2xf32>\n"
    "  %y0 = linalg.fill ins(%zero : f32) outs(%e : tensor<2x2xf32>)"
    " -> tensor<2x2xf32>\n"
    "  %y = linalg.matmul indexing_maps = ["
    "affine_map<(i, j, k) -> (i, k)>, affine_map<(i, j, k) -> (j, k)>,"
    " affine_map<(i, j, k) -> (i, j)>]"
    " ins(%x, %w : tensor<2x3xf32>, tensor<2x3xf32>)"
    " outs(%y0 : tensor<2x2xf32>) -> tensor<2x2xf32>\n"
    "  return %y : tensor<2x2xf32>\n"
    "}\n";

static const char *weights, *badWeights;

static structuredModel *parse(structuredContext *context) {
  structuredModel *model = NULL;
  CHECK(structuredModelParse(context, text, (int64_t)strlen(text), "m.mlir",
                             &model) == 0);
  CHECK(model && structuredGetNumDiagnostics() == 0);
  return model;
}

static int32_t parseText(structuredContext *context, const char *source,
                         structuredModel **model) {
  return structuredModelParse(context, source, (int64_t)strlen(source), NULL,
                              model);
}

static int contains(const structuredModel *model, int32_t withLocations,
                    const char *part) {
  char *printed = NULL;
  CHECK(structuredModelPrint(model, withLocations, &printed) == 0);
  int found = strstr(printed, part) != NULL;
  structuredStringFree(printed);
  return found;
}

static int exists(const char *path) {
  FILE *file = fopen(path, "rb");
  if (file)
    fclose(file);
  return file != NULL;
}

static void testVersions(void) {
  CHECK(structuredGetAbiVersion() == STRUCTURED_C_ABI_VERSION);
  CHECK(strstr(structuredGetVersion(), "(LLVM 22.1"));
  CHECK(strcmp(structuredGetLastError(), "") == 0);
  CHECK(structuredGetNumDiagnostics() == 0);
}

static void testModels(structuredContext *context) {
  structuredModel *model = parse(context), *copy = NULL;
  CHECK(contains(model, 0, "linalg.matmul"));
  CHECK(!contains(model, 0, "\"m.mlir\":1:1"));
  CHECK(contains(model, 1, "\"m.mlir\":1:1"));

  CHECK(structuredModelClone(model, &copy) == 0);
  CHECK(structuredModelRunPipeline(copy, "structured-raise-linear") == 0);
  CHECK(contains(copy, 0, "structured.linear"));
  CHECK(!contains(model, 0, "structured.linear"));
  structuredModelFree(copy);

  /* With its anchor; upstream's passes; passes on functions. */
  CHECK(structuredModelRunPipeline(model,
                                   " builtin.module(structured-raise-linear, "
                                   "func.func(canonicalize))") == 0);
  CHECK(contains(model, 0, "structured.linear"));
  structuredModelFree(model);

  FILE *file = fopen("file.mlir", "w");
  CHECK(file && fputs(text, file) >= 0 && fclose(file) == 0);
  CHECK(structuredModelParseFile(context, "file.mlir", &model) == 0);
  CHECK(contains(model, 1, "\"file.mlir\":2:"));
  structuredModelFree(model);
  structuredModelFree(NULL);
  structuredStringFree(NULL);
}

static void testDiagnostics(structuredContext *context) {
  structuredDiagnostic diagnostic;
  structuredModel *model = NULL;
  /* An error with its place, and a note. */
  CHECK_FAILS(parseText(context,
                        "func.func @f() {\n  %x = arith.constant 1 : i32\n  "
                        "%x = arith.constant 2 : i32\n  return\n}",
                        &model),
              "<string>:3:3: redefinition of SSA value '%x'");
  CHECK(!model && structuredGetNumDiagnostics() == 2);
  CHECK(structuredGetDiagnostic(0, &diagnostic) == 0);
  CHECK(diagnostic.severity == STRUCTURED_ERROR && diagnostic.parent == -1);
  CHECK(strcmp(diagnostic.message, "redefinition of SSA value '%x'") == 0);
  CHECK(strcmp(diagnostic.location, "loc(\"<string>\":3:3)") == 0);
  CHECK(strcmp(diagnostic.file, "<string>") == 0);
  CHECK(diagnostic.line == 3 && diagnostic.column == 3);
  CHECK(structuredGetDiagnostic(1, &diagnostic) == 0);
  CHECK(diagnostic.severity == STRUCTURED_NOTE && diagnostic.parent == 0);
  CHECK(strstr(diagnostic.message, "previously defined here"));
  CHECK(diagnostic.line == 2 && diagnostic.column == 3);
  CHECK_FAILS(structuredGetDiagnostic(2, &diagnostic), "there are 2");
  CHECK_FAILS(structuredGetDiagnostic(-1, &diagnostic), "no diagnostic -1");
  CHECK_FAILS(structuredGetDiagnostic(0, NULL), "null");

  /* Verification; a text that is cut short. */
  CHECK_FAILS(parseText(context, "func.func @f() -> i32 { return }", &model),
              "has 0 operands");
  CHECK_FAILS(structuredModelParse(context, text, 100, NULL, &model),
              "<string>:2:");
  CHECK_FAILS(structuredModelParse(context, text, -1, NULL, &model), "-1");
  CHECK_FAILS(structuredModelParseFile(context, "nowhere.mlir", &model),
              "nowhere.mlir: No such file");
  CHECK(!model && structuredGetNumDiagnostics() == 0);

  /* Remarks of a pass that succeeds. */
  model = parse(context);
  CHECK(structuredModelRunPipeline(
            model, "structured-raise-linear,structured-plan{keep=0.01 "
                   "blocks=2}") == 0);
  CHECK(structuredGetNumDiagnostics() >= 1);
  CHECK(structuredGetDiagnostic(0, &diagnostic) == 0);
  CHECK(diagnostic.severity == STRUCTURED_REMARK);
  CHECK(strcmp(diagnostic.file, "m.mlir") == 0 && diagnostic.line == 6);

  /* A pass that fails leaves the model as it was. */
  CHECK_FAILS(structuredModelRunPipeline(
                  model, "structured-expand-to-dense,structured-factorize{"
                         "weights=nowhere.safetensors output=f.safetensors}"),
              "nowhere.safetensors");
  CHECK(contains(model, 0, "structured.linear"));
  CHECK_FAILS(structuredModelRunPipeline(model, "no-such-pass"),
              "'no-such-pass' does not refer to a registered pass");
  CHECK(structuredGetNumDiagnostics() == 1);
  CHECK(structuredGetDiagnostic(0, &diagnostic) == 0);
  CHECK(diagnostic.severity == STRUCTURED_ERROR && !diagnostic.file);
  CHECK(strcmp(diagnostic.location, "loc(unknown)") == 0);
  CHECK(diagnostic.line == 0 && diagnostic.column == 0);
  CHECK_FAILS(structuredModelRunPipeline(model, "structured-plan{kept=1}"),
              "no such option kept");
  CHECK_FAILS(structuredModelRunPipeline(model, "structured-plan{keep=much}"),
              "much");
  CHECK_FAILS(structuredModelRunPipeline(model, "builtin.module(cse"),
              "expected");
  structuredModelFree(model);
}

static void testOptions(void) {
  structuredCompileOptions *options = structuredCompileOptionsCreate();
  CHECK(structuredCompileOptionsSet(options, "tile-tokens", "8") == 0);
  CHECK_FAILS(structuredCompileOptionsSet(options, "tile-tokens", "8x"),
              "'8x' is not a whole number");
  CHECK_FAILS(structuredCompileOptionsSet(options, "target", "tpu"),
              "option 'target': 'tpu' is none of cpu cuda");
  CHECK_FAILS(structuredCompileOptionsSet(options, "parallel", "maybe"),
              "none of true false");
  CHECK_FAILS(structuredCompileOptionsSet(options, "tiles", "8"),
              "there is no option 'tiles'; there are: ");
  CHECK_FAILS(structuredCompileOptionsSet(options, NULL, "8"), "null");
  CHECK_FAILS(structuredCompileOptionsSet(NULL, "chip", "sm_90"), "null");
  structuredCompileOptionsFree(options);
  structuredCompileOptionsFree(NULL);
}

static void testCompile(structuredContext *context) {
  structuredModel *model = parse(context);
  structuredCompileOptions *options = structuredCompileOptionsCreate();
  /* Refusals leave no file. */
  CHECK_FAILS(structuredModelCompile(model, "n.so", NULL), "'w'");
  CHECK(structuredCompileOptionsSet(options, "weights", badWeights) == 0);
  CHECK_FAILS(structuredModelCompile(model, "n.so", options),
              "parameter 'w' of 'main' is f32[2, 3] in the model, but F32[6]");
  CHECK(structuredGetNumDiagnostics() >= 1);
  CHECK(!exists("n.so") && !exists("n.safetensors"));
  structuredCompileOptionsFree(options);

  options = structuredCompileOptionsCreate();
  CHECK(structuredCompileOptionsSet(options, "weights", weights) == 0);
  CHECK_FAILS(structuredModelCompile(model, "-", options), "must be a file");
  CHECK_FAILS(structuredModelCompile(model, "missing/m.so", options),
              "missing/m.so");
  CHECK_FAILS(structuredModelCompile(model, NULL, options), "null");
  CHECK_FAILS(structuredModelCompile(NULL, "m.so", options), "null");
  CHECK(structuredModelCompile(model, "m.so", options) == 0);
  CHECK(exists("m.safetensors"));
  /* The model is as it was: it compiles again, to assembly. */
  CHECK(contains(model, 0, "linalg.matmul"));
  CHECK(structuredCompileOptionsSet(options, "emit", "asm") == 0);
  CHECK(structuredModelCompile(model, "m.s", options) == 0);
  CHECK(exists("m.s"));
  structuredCompileOptionsFree(options);
  structuredModelFree(model);

  structuredRtModule *module;
  CHECK(structuredRtModuleLoad("m.so", NULL, &module) == 0);
  float x[2][3] = {{1, 2, 3}, {4, 5, 6}};
  structuredRtTensor input = {STRUCTURED_RT_F32, 2, {2, 3}, x, NULL}, output;
  CHECK(structuredRtEntryRun(module, 0, &input, 1, &output, 1) == 0);
  const float *y = output.data;
  CHECK(y[0] == -5 && y[1] == 3 && y[2] == -8 && y[3] == 7.5f);
  structuredRtTensorFree(&output);
  structuredRtModuleFree(module);
}

static void *raiseMany(void *context) {
  for (int i = 0; i < 50; ++i) {
    structuredModel *model = parse(context), *bad = NULL;
    CHECK(structuredModelRunPipeline(model, "structured-raise-linear") == 0);
    CHECK(contains(model, 0, "structured.linear"));
    CHECK_FAILS(parseText(context, "%", &bad), "<string>:1:");
    CHECK(structuredGetNumDiagnostics() == 1);
    structuredModelFree(model);
  }
  return NULL;
}

/* Two threads on one context, two on their own. */
static void testThreads(structuredContext *shared) {
  pthread_t threads[4];
  structuredContext *own[2] = {structuredContextCreate(),
                               structuredContextCreate()};
  for (int i = 0; i < 4; ++i)
    CHECK(pthread_create(&threads[i], NULL, raiseMany,
                         i < 2 ? shared : own[i - 2]) == 0);
  for (int i = 0; i < 4; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);
  structuredContextFree(own[0]);
  structuredContextFree(own[1]);
}

int main(int argc, char **argv) {
  CHECK(argc == 3);
  weights = argv[1];
  badWeights = argv[2];
  testVersions();
  structuredContext *context = structuredContextCreate();
  testModels(context);
  testDiagnostics(context);
  testOptions();
  testCompile(context);
  testThreads(context);

  structuredModel *model = parse(context);
  CHECK_FAILS(parseText(NULL, text, &model), "null");
  CHECK_FAILS(parseText(context, text, NULL), "null");
  CHECK_FAILS(structuredModelRunPipeline(NULL, "cse"), "null");
  CHECK_FAILS(structuredModelRunPipeline(model, NULL), "null");
  CHECK_FAILS(structuredModelClone(model, NULL), "null");
  CHECK_FAILS(structuredModelPrint(model, 0, NULL), "null");
  /* Models outlive their context. */
  structuredContextFree(context);
  structuredContextFree(NULL);
  CHECK(contains(model, 0, "linalg.matmul"));
  CHECK(structuredModelRunPipeline(model, "structured-raise-linear") == 0);
  structuredModelFree(model);
  puts("passed");
  return 0;
}
