"""Writes a module with the linear layers of Llama-7B, and nothing between them.

Usage: llama_layers.py FILE [LAYERS]

LAYERS (default 32) decoder layers of hidden size 4096 and intermediate size
11008, each with q, k, v, o, gate, up and down; weights are BF16 parameters under
the names of the published checkpoints. No weights are written.
"""

import sys

HIDDEN, INTERMEDIATE = 4096, 11008
SHAPES = {"self_attn.q_proj": (HIDDEN, HIDDEN), "self_attn.k_proj": (HIDDEN, HIDDEN),
          "self_attn.v_proj": (HIDDEN, HIDDEN), "self_attn.o_proj": (HIDDEN, HIDDEN),
          "mlp.gate_proj": (INTERMEDIATE, HIDDEN), "mlp.up_proj": (INTERMEDIATE, HIDDEN),
          "mlp.down_proj": (HIDDEN, INTERMEDIATE)}

file, count = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 32
with open(file, "w") as out:
    for index in range(count):
        for name, (m, n) in SHAPES.items():
            layer = f"model.layers.{index}.{name}"
            x, w, y = f"tensor<?x{n}xbf16>", f"tensor<{m}x{n}xbf16>", f"tensor<?x{m}xbf16>"
            function = layer.replace(".", "_")
            out.write(f"""\
func.func @{function}(%x: {x}, %init: {y}) -> {y} {{
  %w = structured.parameter "{layer}.weight" : {w}
  %y = structured.linear {{layer = "{layer}"}} ins(%x, %w : {x}, {w}) outs(%init : {y}) -> {y}
  return %y : {y}
}}
""")
