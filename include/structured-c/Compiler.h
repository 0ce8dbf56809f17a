/* Part of the Structured project, under the Apache License v2.0 with LLVM
 * Exceptions. See LICENSE for license information.
 * SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * C API of the Structured compiler (libStructuredC): parse a model, run passes
 * on it, compile it. The compiled module is loaded and run by the C API of the
 * runtime, structured-runtime.h (libStructuredRuntime, without LLVM).
 *
 * Conventions, as the runtime's
 *  - Functions that can fail return 0 on success and a non-zero value on
 *    failure; the reason is then the text of structuredGetLastError(). What
 *    MLIR said, with its places in the model, are the diagnostics below.
 *    Nothing is printed, but by passes that are told to, and by LLVM on the
 *    value of a pass's option that it cannot read. On failure output arguments
 *    and models keep their values.
 *  - Strings are UTF-8 and NUL-terminated. A returned `const char *` belongs to
 *    the library; each function says how long it lives.
 *  - Null handles and strings are errors, where a comment does not allow them.
 *
 * Threads: calls on one context and its models, from any threads, wait for each
 * other. Contexts are independent. MLIR's passes use threads of their own.
 *
 * Versioning: STRUCTURED_C_ABI_VERSION grows when a function or a struct
 * changes incompatibly. Functions, and options by name, may be added without
 * changing it. The text of models and the passes are not part of the ABI.
 */
#ifndef STRUCTURED_C_COMPILER_H
#define STRUCTURED_C_COMPILER_H

#include <stdint.h>

#if defined(__GNUC__)
#define STRUCTURED_C_EXPORT __attribute__((visibility("default")))
#else
#define STRUCTURED_C_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of this header. */
#define STRUCTURED_C_ABI_VERSION 1

/* MLIR's context, with every upstream dialect and ours. Opaque. */
typedef struct structuredContext structuredContext;

/* A model: an MLIR module, between the import and the compiled module. Opaque.
 */
typedef struct structuredModel structuredModel;

/* Options of a compilation. Opaque. */
typedef struct structuredCompileOptions structuredCompileOptions;

/* Returns STRUCTURED_C_ABI_VERSION of the library in use, to be compared with
 * that of the header compiled against. */
STRUCTURED_C_EXPORT int32_t structuredGetAbiVersion(void);

/* Returns the project's and LLVM's version, "0.1.0 (LLVM 22.1.8)". Lives
 * forever. */
STRUCTURED_C_EXPORT const char *structuredGetVersion(void);

/* Returns the reason of the calling thread's last failure, empty if there was
 * none. If MLIR reported it, that is the first error, after its place:
 * "model.mlir:3:8: ...". Lives until the thread's next failing call. */
STRUCTURED_C_EXPORT const char *structuredGetLastError(void);

/*===-- Diagnostics ------------------------------------------------------===*/

/* How serious a diagnostic is. The numbers are part of the ABI. */
enum structuredSeverity {
  STRUCTURED_NOTE = 0, /* belongs to another diagnostic */
  STRUCTURED_WARNING = 1,
  STRUCTURED_ERROR = 2,
  STRUCTURED_REMARK = 3 /* what a pass did not do, and why */
};

typedef struct structuredDiagnostic {
  int32_t severity; /* one of enum structuredSeverity */
  int32_t parent;   /* of a note: the index of the diagnostic that it belongs
                       to; -1 of others */
  const char *message;
  const char *location; /* as MLIR prints it: loc("model.mlir":3:8) */
  const char *file;     /* of the location, null if it has none */
  int32_t line, column; /* from 1; 0 if the location has none */
} structuredDiagnostic;

/* Returns how many diagnostics the calling thread's last call of a function
 * that parses, runs passes or compiles has given, whether it failed or not. */
STRUCTURED_C_EXPORT int32_t structuredGetNumDiagnostics(void);

/* Sets `*diagnostic` to one of them. They are in the order in which they were
 * given, notes right after what they belong to. Its strings live until the
 * thread's next call of a function that parses, runs passes or compiles. */
STRUCTURED_C_EXPORT int32_t
structuredGetDiagnostic(int32_t index, structuredDiagnostic *diagnostic);

/*===-- Contexts and models ----------------------------------------------===*/

/* Returns a context, to be freed by structuredContextFree(). */
STRUCTURED_C_EXPORT structuredContext *structuredContextCreate(void);

/* Frees a context. Its models stay valid. Null is allowed. */
STRUCTURED_C_EXPORT void structuredContextFree(structuredContext *context);

/* Parses and verifies a model: `size` bytes of MLIR's text or bytecode. `name`
 * stands for the file in locations; null means "<string>". On success `*model`
 * is a handle to be freed by structuredModelFree(). */
STRUCTURED_C_EXPORT int32_t structuredModelParse(structuredContext *context,
                                                 const char *text, int64_t size,
                                                 const char *name,
                                                 structuredModel **model);

/* Parses and verifies a model in a file. */
STRUCTURED_C_EXPORT int32_t structuredModelParseFile(structuredContext *context,
                                                     const char *path,
                                                     structuredModel **model);

/* Sets `*copy` to an independent copy, to be freed by structuredModelFree(). */
STRUCTURED_C_EXPORT int32_t structuredModelClone(const structuredModel *model,
                                                 structuredModel **copy);

/* Frees a model. Null is allowed. */
STRUCTURED_C_EXPORT void structuredModelFree(structuredModel *model);

/* Sets `*text` to the model as text, with locations if `withLocations` is not
 * 0; to be freed by structuredStringFree(). */
STRUCTURED_C_EXPORT int32_t structuredModelPrint(const structuredModel *model,
                                                 int32_t withLocations,
                                                 char **text);

/* Frees a string that structuredModelPrint() has given. Null is allowed. */
STRUCTURED_C_EXPORT void structuredStringFree(char *text);

/* Runs passes on a model. `pipeline` is what follows --pass-pipeline= on
 * structured-opt's command line, around which builtin.module() may be left out:
 * "structured-raise-linear,structured-plan{keep=0.5 blocks=4}". Upstream's
 * passes are there too. */
STRUCTURED_C_EXPORT int32_t structuredModelRunPipeline(structuredModel *model,
                                                       const char *pipeline);

/*===-- Compilation ------------------------------------------------------===*/

/* Returns the default options, to be freed by structuredCompileOptionsFree().
 */
STRUCTURED_C_EXPORT structuredCompileOptions *
structuredCompileOptionsCreate(void);

/* Frees options. Null is allowed. */
STRUCTURED_C_EXPORT void
structuredCompileOptionsFree(structuredCompileOptions *options);

/* Sets an option of structured-compile by its name there, without dashes:
 * ("weights", "model.safetensors"), which may be repeated, ("target", "cuda"),
 * ("mcpu", "znver4"). An error about the name lists what there is. */
STRUCTURED_C_EXPORT int32_t structuredCompileOptionsSet(
    structuredCompileOptions *options, const char *name, const char *value);

/* Compiles a model, which stays as it is, to the module `output` (a shared
 * object), and writes its parameters beside it, under the name with the
 * extension `.safetensors`. With the option "emit", what that says is written
 * instead. Null options are the default ones. */
STRUCTURED_C_EXPORT int32_t
structuredModelCompile(const structuredModel *model, const char *output,
                       const structuredCompileOptions *options);

#ifdef __cplusplus
}
#endif

#endif /* STRUCTURED_C_COMPILER_H */
