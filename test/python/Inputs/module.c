// A hand-written compiled module with two entries:
//   main: x f32[?x2], mask i1[?x2], n i64[] -> n * x f32[?x2], not mask i1[?x2]
//   half: x f16[2] -> x, its elements swapped
#include <stdint.h>
#include <stdlib.h>

typedef struct { void *allocated, *aligned; int64_t offset, sizes[2], strides[2]; } Matrix;
typedef struct { void *allocated, *aligned; int64_t offset, size, stride; } Vector;
typedef struct { void *allocated, *aligned; int64_t offset; } Scalar;
typedef struct { Matrix scaled, flipped; } MainResults;

#define FEATURES "\"abi_version\":1,\"target\":\"cpu\",\"cpu\":\"generic\",\"features\":[],\"llvm\":\"22\""
const char structured_module_info[] =
    "{" FEATURES ",\"entries\":["
    "{\"name\":\"main\",\"symbol\":\"run_main\",\"parameters\":[],"
    "\"inputs\":[{\"name\":\"x\",\"dtype\":\"f32\",\"shape\":[-1,2]},"
    "{\"name\":\"mask\",\"dtype\":\"i1\",\"shape\":[-1,2]},"
    "{\"name\":\"n\",\"dtype\":\"i64\",\"shape\":[]}],"
    "\"outputs\":[{\"name\":\"scaled\",\"dtype\":\"f32\",\"shape\":[-1,2]},"
    "{\"name\":\"flipped\",\"dtype\":\"i1\",\"shape\":[-1,2]}]},"
    "{\"name\":\"half\",\"symbol\":\"run_half\",\"parameters\":[],"
    "\"inputs\":[{\"name\":\"x\",\"dtype\":\"f16\",\"shape\":[2]}],"
    "\"outputs\":[{\"name\":\"y\",\"dtype\":\"f16\",\"shape\":[2]}]}]}";

static Matrix allocate(int64_t rows, size_t element) {
  void *data = malloc(rows * 2 * element + 1);
  return (Matrix){data, data, 0, {rows, 2}, {2, 1}};
}

void run_main(void **arguments) {
  MainResults *results = *(MainResults **)arguments[0];
  Matrix *x = *(Matrix **)arguments[1], *mask = *(Matrix **)arguments[2];
  int64_t n = *(int64_t *)(*(Scalar **)arguments[3])->aligned, rows = x->sizes[0];
  results->scaled = allocate(rows, sizeof(float));
  results->flipped = allocate(rows, 1);
  for (int64_t i = 0; i < rows * 2; ++i) {
    ((float *)results->scaled.aligned)[i] = n * ((float *)x->aligned)[i];
    ((uint8_t *)results->flipped.aligned)[i] = !((uint8_t *)mask->aligned)[i];
  }
}

void run_half(void **arguments) {
  Vector *result = *(Vector **)arguments[0], *x = *(Vector **)arguments[1];
  uint16_t *data = malloc(4), *in = x->aligned;
  data[0] = in[1];
  data[1] = in[0];
  *result = (Vector){data, data, 0, 2, 1};
}
