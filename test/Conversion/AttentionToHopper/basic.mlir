// RUN: structured-opt %s --structured-attention-to-hopper --split-input-file | FileCheck %s

// The example of the pass's description, twice: the second one, with a constant of its own, shares the kernel.

#q = affine_map<(h, t, l, d, e) -> (t, h, d)>
#k = affine_map<(h, t, l, d, e) -> (l, h, d)>
#v = affine_map<(h, t, l, d, e) -> (l, h, e)>
#o = affine_map<(h, t, l, d, e) -> (t, h, e)>

// CHECK-LABEL: func.func @causal(
// CHECK-SAME: %[[Q:.*]]: memref<256x8x64xbf16>, %[[K:.*]]: memref<512x8x64xbf16>, %[[V:.*]]: memref<512x8x64xbf16>, %[[O:.*]]: memref<256x8x64xbf16>, %[[P:.*]]: memref<1xi64>)
// CHECK: call @attention(%[[Q]], %[[K]], %[[V]], %[[O]], %[[P]])
// CHECK: call @attention(%[[O]], %[[K]], %[[V]], %[[Q]], %[[P]])
// Another region has a kernel of its own.
// CHECK: call @attention_0(%[[Q]], %[[K]], %[[V]], %[[O]]) :
// CHECK-NOT: structured.attention
func.func @causal(%q: memref<256x8x64xbf16>, %k: memref<512x8x64xbf16>, %v: memref<512x8x64xbf16>,
                  %o: memref<256x8x64xbf16>, %position: memref<1xi64>) {
  %c0 = arith.constant 0 : index
  %scale = arith.constant 0.125 : f32
  %scale2 = arith.constant 0.125 : f32
  %infinity = arith.constant 0xFF800000 : f32
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<256x8x64xbf16>, memref<512x8x64xbf16>, memref<512x8x64xbf16>)
      outs(%o : memref<256x8x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %first = memref.load %position[%c0] : memref<1xi64>
    %base = arith.index_cast %first : i64 to index
    %at = arith.addi %base, %t : index
    %seen = arith.cmpi ule, %l, %at : index
    %scaled = arith.mulf %score, %scale : f32
    %masked = arith.select %seen, %scaled, %infinity : f32
    structured.yield %masked : f32
  }
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%o, %k, %v : memref<256x8x64xbf16>, memref<512x8x64xbf16>, memref<512x8x64xbf16>)
      outs(%q : memref<256x8x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %first = memref.load %position[%c0] : memref<1xi64>
    %base = arith.index_cast %first : i64 to index
    %at = arith.addi %base, %t : index
    %seen = arith.cmpi ule, %l, %at : index
    %scaled = arith.mulf %score, %scale2 : f32
    %masked = arith.select %seen, %scaled, %infinity : f32
    structured.yield %masked : f32
  }
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<256x8x64xbf16>, memref<512x8x64xbf16>, memref<512x8x64xbf16>)
      outs(%o : memref<256x8x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    %scaled = arith.mulf %score, %scale : f32
    structured.yield %scaled : f32
  }
  return
}

// CHECK: gpu.module @hopper
// CHECK: llvm.func @attention_0(
// CHECK-SAME: gpu.kernel, nvvm.kernel, nvvm.maxntid = array<i32: 384>
// CHECK: nvvm.griddepcontrol wait
// The keys that the last and the first query of the tile see are counted, before the block is divided.
// CHECK-COUNT-2: arith.minui %{{.*}}, %{{.*}} : i64
// CHECK: nvvm.setmaxregister decrease
// CHECK: nvvm.setmaxregister increase
// Once for each of a thread's two queries.
// CHECK-COUNT-2: llvm.load %{{.*}} : !llvm.ptr -> i64
// CHECK-NOT: llvm.load
// CHECK: llvm.func @attention_1(
// CHECK: func.func private @attention(
// Two tiles of 128 queries, of 8 heads each.
// CHECK: %[[ROWS:.*]] = arith.constant 128 : index
// CHECK: %[[TILES:.*]] = arith.ceildivui %{{.*}}, %[[ROWS]]
// CHECK: %[[HEADS:.*]] = arith.constant 8 : index
// CHECK: %[[BLOCKS:.*]] = arith.muli %[[TILES]], %[[HEADS]]
// CHECK: call @structuredCudaNextLaunch
// CHECK: gpu.launch_func @hopper::@attention_0 blocks in (%[[BLOCKS]],

// -----

// Layouts: what a descriptor can have is passed on, other operands and masks are copied.

#q = affine_map<(k, g, t, l, d, e) -> (t, k, g, d)>
#k = affine_map<(k, g, t, l, d, e) -> (k, l, d)>
#v = affine_map<(k, g, t, l, d, e) -> (l, k, e)>
#o = affine_map<(k, g, t, l, d, e) -> (k, g, t, e)>

// CHECK-LABEL: func.func @layouts(
// CHECK-SAME: %[[Q:[a-z0-9]*]]: memref<1024x4x4x64xf16, strided<[2048, 256, 64, 1], offset: 1024>>
// CHECK-SAME: %[[K:[a-z0-9]*]]: memref<4x512x64xf16, strided<[65536, 128, 2]>>
// CHECK-SAME: %[[V:[a-z0-9]*]]: memref<512x4x64xf16, strided<[260, 64, 1]>>
// CHECK-SAME: %[[O:[a-z0-9]*]]: memref<4x4x1024x64xf16, strided<[262148, 65536, 64, 1]>>
// CHECK-SAME: %[[M:[a-z0-9]*]]: memref<1024x512xf32, strided<[?, 1]>>)
// CHECK: %[[K2:.*]] = memref.alloc() : memref<4x512x64xf16>
// CHECK: memref.copy %[[K]], %[[K2]]
// CHECK: %[[V2:.*]] = memref.alloc() : memref<512x4x64xf16>
// CHECK: memref.copy %[[V]], %[[V2]]
// The result is not read.
// CHECK: %[[O2:.*]] = memref.alloc() : memref<4x4x1024x64xf16>
// CHECK-NEXT: %[[M2:.*]] = memref.alloc() : memref<1024x512xf32>
// CHECK-NEXT: memref.copy %[[M]], %[[M2]]
// CHECK-NEXT: call @attention(%[[Q]], %[[K2]], %[[V2]], %[[O2]], %[[M2]])
// CHECK-NEXT: memref.copy %[[O2]], %[[O]]
// CHECK-COUNT-4: memref.dealloc
func.func @layouts(%q: memref<1024x4x4x64xf16, strided<[2048, 256, 64, 1], offset: 1024>>,
                   %k: memref<4x512x64xf16, strided<[65536, 128, 2]>>, %v: memref<512x4x64xf16, strided<[260, 64, 1]>>,
                   %o: memref<4x4x1024x64xf16, strided<[262148, 65536, 64, 1]>>,
                   %mask: memref<1024x512xf32, strided<[?, 1]>>) {
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<1024x4x4x64xf16, strided<[2048, 256, 64, 1], offset: 1024>>,
          memref<4x512x64xf16, strided<[65536, 128, 2]>>, memref<512x4x64xf16, strided<[260, 64, 1]>>)
      outs(%o : memref<4x4x1024x64xf16, strided<[262148, 65536, 64, 1]>>) {
  ^bb0(%score: f32, %kv: index, %g: index, %t: index, %l: index):
    // Also a scalar, which is no constant, would be an argument.
    %m = memref.load %mask[%t, %l] : memref<1024x512xf32, strided<[?, 1]>>
    %masked = arith.addf %score, %m : f32
    structured.yield %masked : f32
  }
  return
}

// Of a block that all queries see: neighbours are known to be side by side.
// CHECK: llvm.load %{{.*}} {alignment = 8 : i64} : !llvm.ptr -> f32
// CHECK: llvm.load %{{.*}} {alignment = 4 : i64} : !llvm.ptr -> f32
// CHECK: func.func private @attention(
// 1024 elements of 2 bytes.
// CHECK: %[[ADDRESS:.*]] = arith.addi %{{.*}}, %c2048_i64{{.*}} : i64
// CHECK: %[[QUERIES:.*]] = llvm.inttoptr %[[ADDRESS]]
// CHECK: call @structuredCudaTensorMap4D(%[[QUERIES]],

// -----

// Dynamic numbers of queries and keys, no batch loop, a scalar and a comparison the other way round.

#q = affine_map<(t, l, d, e) -> (t, d)>
#k = affine_map<(t, l, d, e) -> (l, d)>
#v = affine_map<(t, l, d, e) -> (l, e)>
#o = affine_map<(t, l, d, e) -> (t, e)>

// CHECK-LABEL: func.func @dynamic(
// CHECK: call @attention(%{{.*}}, %[[N:[a-z0-9]*]]) : (memref<?x64xf16>, memref<?x64xf16>, memref<?x64xf16>, memref<?x64xf16>, index) -> ()
func.func @dynamic(%q: memref<?x64xf16>, %k: memref<?x64xf16>, %v: memref<?x64xf16>, %o: memref<?x64xf16>,
                   %n: index) {
  %infinity = arith.constant 0xFF800000 : f32
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<?x64xf16>, memref<?x64xf16>, memref<?x64xf16>) outs(%o : memref<?x64xf16>) {
  ^bb0(%score: f32, %t: index, %l: index):
    %unseen = arith.cmpi sge, %l, %n : index
    %masked = arith.select %unseen, %infinity, %score : f32
    structured.yield %masked : f32
  }
  return
}
// CHECK: llvm.func @attention_0(
// CHECK: arith.maxsi
// CHECK: arith.minsi
// CHECK: func.func private @attention(
// CHECK: %[[NUMBER:.*]] = arith.index_cast %arg4 : index to i64
// CHECK: gpu.launch_func {{.*}} args({{.*}}, %[[NUMBER]] : i64, %{{.*}} : i32)

// -----

// Few tiles: the second example of the pass's description.

#q = affine_map<(h, t, l, d, e) -> (t, h, d)>
#k = affine_map<(h, t, l, d, e) -> (l, h, d)>
#v = affine_map<(h, t, l, d, e) -> (l, h, e)>
#o = affine_map<(h, t, l, d, e) -> (t, h, e)>

// CHECK-LABEL: func.func @parts(
// CHECK-SAME: %[[Q:[a-z0-9]*]]: memref<128x8x64xbf16>, %[[K:[a-z0-9]*]]: memref<2048x8x64xbf16>, %[[V:[a-z0-9]*]]: memref<2048x8x64xbf16>, %[[O:[a-z0-9]*]]: memref<128x8x64xbf16>)
// CHECK: %[[P:.*]] = memref.alloc() : memref<8x8x128x64xf32>
// CHECK: %[[L:.*]] = memref.alloc() : memref<8x8x128xf32>
// CHECK: call @attention(%[[Q]], %[[K]], %[[V]], %[[P]], %[[L]])
// CHECK: %[[L0:.*]] = memref.subview %[[L]][0, 0, 0] [1, 8, 128] [1, 1, 1]
// CHECK: %[[P7:.*]] = memref.subview %[[P]][7, 0, 0, 0] [1, 8, 128, 64] [1, 1, 1, 1]
// CHECK: linalg.generic
// CHECK-SAME: ins(%[[L0]], {{.*}}, %[[P7]] : {{.*}}) outs(%[[O]] : memref<128x8x64xbf16>)
// CHECK-COUNT-7: arith.maximumf
// CHECK-COUNT-8: math.exp
// CHECK: arith.divf
// CHECK: arith.truncf
// CHECK-COUNT-2: memref.dealloc
func.func @parts(%q: memref<128x8x64xbf16>, %k: memref<2048x8x64xbf16>, %v: memref<2048x8x64xbf16>,
                 %o: memref<128x8x64xbf16>) {
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<128x8x64xbf16>, memref<2048x8x64xbf16>, memref<2048x8x64xbf16>)
      outs(%o : memref<128x8x64xbf16>) {
  ^bb0(%score: f32, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}
// CHECK: st.global.v2.f32
// CHECK: gpu.launch_func @hopper::@attention_0

// -----

// Rows between batch dimensions: heads are the third dimension of the descriptor, batches the fourth, if there is one.

#q = affine_map<(b, h, t, l, d, e) -> (b, t, h, d)>
#k = affine_map<(b, h, t, l, d, e) -> (b, h, l, d)>
#v = affine_map<(b, h, t, l, d, e) -> (l, h, b, e)>
#o = affine_map<(b, h, t, l, d, e) -> (b, t, h, e)>

// CHECK-LABEL: func.func @batches(
// CHECK: func.func private @attention(
// From a row of the queries, a batch and a head to the next.
// CHECK: %[[ROW:.*]] = arith.constant 512 : i64
// CHECK: %[[BATCH:.*]] = arith.constant 131072 : i64
// CHECK: %[[HEAD:.*]] = arith.constant 64 : i64
// CHECK: %[[HEADS:.*]] = arith.constant 8 : i64
// CHECK: %[[BATCHES:.*]] = arith.constant 4 : i64
// CHECK: %[[ROWBYTES:.*]] = arith.muli %[[ROW]]
// CHECK: %[[HEADBYTES:.*]] = arith.muli %[[HEAD]]
// CHECK: %[[BATCHBYTES:.*]] = arith.muli %[[BATCH]]
// CHECK: call @structuredCudaTensorMap4D(%{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[HEADS]], %[[BATCHES]], %[[ROWBYTES]], %[[HEADBYTES]], %[[BATCHBYTES]],
func.func @batches(%q: memref<4x256x8x64xf16>, %k: memref<4x8x256x64xf16>, %v: memref<256x8x4x64xf16>,
                   %o: memref<4x256x8x64xf16>) {
  structured.attention indexing_maps = [#q, #k, #v, #o]
      ins(%q, %k, %v : memref<4x256x8x64xf16>, memref<4x8x256x64xf16>, memref<256x8x4x64xf16>)
      outs(%o : memref<4x256x8x64xf16>) {
  ^bb0(%score: f32, %b: index, %h: index, %t: index, %l: index):
    structured.yield %score : f32
  }
  return
}
