// RUN: not structured-opt %s --structured-to-cpu=vectorbits=256 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: not structured-opt %s --structured-to-cpu=tile-tokens=0 2>&1 | FileCheck %s --check-prefix=TILE

// UNKNOWN: no such option vectorbits
// TILE: error: structured-tile-layers needs a tile of at least one token
func.func @main(%x: tensor<2xf32>) -> tensor<2xf32> {
  return %x : tensor<2xf32>
}
