// RUN: structured-opt %s --structured-linalg-to-gpu --canonicalize --split-input-file | FileCheck %s
// RUN: structured-opt %s --structured-linalg-to-gpu=fuse=false --canonicalize --split-input-file | FileCheck %s --check-prefix=PLAIN

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// A softmax over rows of 128 is one kernel: a warp for each row, four elements a
// thread, all in registers. Only the result is stored.

// CHECK-LABEL: func.func @softmax
// CHECK-COUNT-1: gpu.launch {{.*}} threads({{.*}} = %c32, {{.*}}function(@rows)
// CHECK: vector.load {{.*}} vector<4xf32>
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-COUNT-4: math.exp
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK-NOT: gpu.barrier
// CHECK: arith.divf
// CHECK-NOT: memref.store
// CHECK: vector.store {{.*}} vector<4xf32>
// CHECK-NOT: vector.store
// CHECK-NOT: gpu.launch
// CHECK: return

// PLAIN-LABEL: func.func @softmax
// PLAIN: function(@elementwise)
// PLAIN: function(@rows)
// PLAIN: function(@elementwise)
// PLAIN: function(@elementwise)
// PLAIN: function(@rows)
// PLAIN: function(@elementwise)
func.func @softmax(%x: memref<12x128xf32>, %y: memref<12x128xf32>) {
  %zero = arith.constant 0.0 : f32
  %minus = arith.constant 0xFF800000 : f32
  %m = memref.alloc() : memref<12xf32>
  %e = memref.alloc() : memref<12x128xf32>
  %s = memref.alloc() : memref<12xf32>
  linalg.fill ins(%minus : f32) outs(%m : memref<12xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<12x128xf32>) outs(%m : memref<12xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.maximumf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %m : memref<12x128xf32>, memref<12xf32>) outs(%e : memref<12x128xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %d = arith.subf %a, %b : f32
    %r = math.exp %d : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%zero : f32) outs(%s : memref<12xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<12x128xf32>) outs(%s : memref<12xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%e, %s : memref<12x128xf32>, memref<12xf32>) outs(%y : memref<12x128xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  }
  memref.dealloc %m : memref<12xf32>
  memref.dealloc %e : memref<12x128xf32>
  memref.dealloc %s : memref<12xf32>
  return
}

// -----

// Rows that threads do not divide: loops, with stores that a thread reads again
// itself. The warps combine their parts in shared memory.

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
// CHECK-LABEL: func.func @odd
// CHECK-COUNT-1: gpu.launch {{.*}}threads({{.*}} = %c256{{.*}}workgroup(%[[SHARED:.*]] : memref<8xf32, #gpu.address_space<workgroup>>)
// CHECK: scf.for
// CHECK: memref.store {{.*}} : memref<?x?xf32>
// CHECK: scf.for
// CHECK-COUNT-5: gpu.shuffle xor
// CHECK: memref.store %{{.*}}, %[[SHARED]]
// CHECK: gpu.barrier
// CHECK-COUNT-8: memref.load %[[SHARED]]
// CHECK: memref.store {{.*}} : memref<?xf32>
func.func @odd(%x: memref<?x?xf32>, %e: memref<?x?xf32>, %s: memref<?xf32>) {
  %zero = arith.constant 0.0 : f32
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<?x?xf32>) outs(%e : memref<?x?xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.mulf %a, %a : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%zero : f32) outs(%s : memref<?xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%e : memref<?x?xf32>) outs(%s : memref<?xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// A sum over columns: neighbouring threads read neighbouring elements, each
// goes down its column. What combines is not known to be associative: likewise.

#ji = affine_map<(i, j) -> (j, i)>
#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>
// CHECK-LABEL: func.func @columns
// CHECK: function(@elementwise)
// CHECK: scf.for
// CHECK-NOT: gpu.shuffle
// CHECK: function(@elementwise)
// CHECK-NOT: gpu.shuffle
// CHECK: return
func.func @columns(%x: memref<64x32xf32>, %s: memref<32xf32>, %y: memref<32x64xf32>) {
  linalg.generic {indexing_maps = [#ji, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x32xf32>) outs(%s : memref<32xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%y : memref<32x64xf32>) outs(%s : memref<32xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.subf %out, %a : f32
    linalg.yield %r : f32
  }
  return
}

// -----

// What depends on other rows is another kernel.

#ij = affine_map<(i, j) -> (i, j)>
#ji = affine_map<(i, j) -> (j, i)>
#i = affine_map<(i, j) -> (i)>
// CHECK-LABEL: func.func @transposed
// CHECK: function(@rows)
// CHECK: function(@elementwise)
func.func @transposed(%x: memref<64x64xf32>, %s: memref<64xf32>, %y: memref<64x64xf32>) {
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<64x64xf32>) outs(%s : memref<64xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ji, affine_map<(i, j) -> (j)>, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<64x64xf32>, memref<64xf32>) outs(%y : memref<64x64xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.mulf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// A mask that is computed from a number in memory is part of the kernel: none of
// its ops writes there.

// CHECK-LABEL: func.func @mask
// CHECK-COUNT-1: gpu.launch {{.*}}function(@rows)
// CHECK: memref.load %{{.*}}[%c0] : memref<1xi64>
// CHECK: arith.cmpi ule
// CHECK: arith.maximumf
// CHECK-NOT: gpu.launch
// CHECK: return

// PLAIN-LABEL: func.func @mask
// PLAIN: function(@elementwise)
// PLAIN: function(@elementwise)
// PLAIN: function(@rows)
func.func @mask(%x: memref<12x128xf32>, %position: memref<1xi64>, %y: memref<12xf32>) {
  %minus = arith.constant 0xFF800000 : f32
  %m = memref.alloc() : memref<12x128xf32>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<12x128xf32>) outs(%m : memref<12x128xf32>) {
  ^bb0(%a: f32, %out: f32):
    %j = linalg.index 1 : index
    %c0 = arith.constant 0 : index
    %first = memref.load %position[%c0] : memref<1xi64>
    %last = arith.index_cast %first : i64 to index
    %seen = arith.cmpi ule, %j, %last : index
    %r = arith.select %seen, %a, %minus : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%minus : f32) outs(%y : memref<12xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%m : memref<12x128xf32>) outs(%y : memref<12xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.maximumf %a, %out : f32
    linalg.yield %r : f32
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// An op that reads elements of other rows of what an op of the kernel writes
// stays apart, also if it comes before that one.

// CHECK-LABEL: func.func @other_rows
// CHECK: gpu.launch {{.*}}function(@elementwise)
// CHECK: gpu.launch {{.*}}function(@rows)
// CHECK: gpu.launch {{.*}}function(@elementwise)
// CHECK: return
func.func @other_rows(%x: memref<12x128xf32>, %y: memref<12xf32>, %z: memref<12x128xf32>) {
  %minus = arith.constant 0xFF800000 : f32
  %m = memref.alloc() : memref<12x128xf32>
  %largest = memref.alloc() : memref<12xf32>
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x : memref<12x128xf32>) outs(%m : memref<12x128xf32>) {
  ^bb0(%a: f32, %out: f32):
    %c0 = arith.constant 0 : index
    %old = memref.load %largest[%c0] : memref<12xf32>
    %r = arith.addf %a, %old : f32
    linalg.yield %r : f32
  }
  linalg.fill ins(%minus : f32) outs(%largest : memref<12xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%m : memref<12x128xf32>) outs(%largest : memref<12xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.maximumf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%m : memref<12x128xf32>) outs(%z : memref<12x128xf32>) {
  ^bb0(%a: f32, %out: f32):
    %j = linalg.index 0 : index
    %c1 = arith.constant 1 : index
    %c12 = arith.constant 12 : index
    %after = arith.addi %j, %c1 : index
    %next = arith.remui %after, %c12 : index
    %largest_after = memref.load %largest[%next] : memref<12xf32>
    %r = arith.subf %a, %largest_after : f32
    linalg.yield %r : f32
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// Of many rows each has as few threads as can hold it in registers: a warp.

// CHECK-LABEL: func.func @many_rows
// CHECK: gpu.launch {{.*}} threads({{.*}} = %c32, {{.*}}function(@rows)
// CHECK-COUNT-4: vector.load {{.*}} vector<4xf32>
// CHECK-NOT: vector.load
// CHECK: return
func.func @many_rows(%x: memref<4096x512xf32>, %y: memref<4096x512xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = memref.alloc() : memref<4096xf32>
  linalg.fill ins(%zero : f32) outs(%s : memref<4096xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4096x512xf32>) outs(%s : memref<4096xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<4096x512xf32>, memref<4096xf32>) outs(%y : memref<4096x512xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}

// -----

#ij = affine_map<(i, j) -> (i, j)>
#i = affine_map<(i, j) -> (i)>

// Of fewer rows each has as many threads as it has pieces of 16 bytes.

// CHECK-LABEL: func.func @fewer_rows
// CHECK: gpu.launch {{.*}} threads({{.*}} = %c128, {{.*}}function(@rows)
// CHECK-COUNT-1: vector.load {{.*}} vector<4xf32>
// CHECK-NOT: vector.load
// CHECK: return
func.func @fewer_rows(%x: memref<4095x512xf32>, %y: memref<4095x512xf32>) {
  %zero = arith.constant 0.0 : f32
  %s = memref.alloc() : memref<4095xf32>
  linalg.fill ins(%zero : f32) outs(%s : memref<4095xf32>)
  linalg.generic {indexing_maps = [#ij, #i], iterator_types = ["parallel", "reduction"]}
      ins(%x : memref<4095x512xf32>) outs(%s : memref<4095xf32>) {
  ^bb0(%a: f32, %out: f32):
    %r = arith.addf %a, %out : f32
    linalg.yield %r : f32
  }
  linalg.generic {indexing_maps = [#ij, #i, #ij], iterator_types = ["parallel", "parallel"]}
      ins(%x, %s : memref<4095x512xf32>, memref<4095xf32>) outs(%y : memref<4095x512xf32>) {
  ^bb0(%a: f32, %b: f32, %out: f32):
    %r = arith.divf %a, %b : f32
    linalg.yield %r : f32
  }
  return
}
