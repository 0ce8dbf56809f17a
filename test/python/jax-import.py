# REQUIRES: python-models, python-jax
# RUN: rm -rf %t && mkdir %t && %python %s %t
"""A JAX model by way of StableHLO: parameters as arguments and as constants."""

import sys
import unittest
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from structured import runtime, tools
from structured.importer import import_model

SCRATCH = Path(sys.argv.pop())
RANDOM = np.random.default_rng(0)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32) / 4


PARAMETERS = {"embedding": normal(50, 16), "query": normal(16, 2, 8), "key": normal(16, 2, 8),
              "up": {"kernel": normal(16, 32), "bias": normal(32)}, "down": normal(32, 16)}


def attention(params, ids, mask):
    x = params["embedding"][ids]
    x = (x - x.mean(-1, keepdims=True)) / jnp.sqrt(x.var(-1, keepdims=True) + 1e-5)
    query, key = (jnp.einsum("btc,chd->bthd", x, params[name]) for name in ("query", "key"))
    scores = jnp.where(mask[:, None, None, :] > 0, jnp.einsum("bthd,bshd->bhts", query, key), -1e9)
    context = jnp.einsum("bhts,bshd->bthd", jax.nn.softmax(scores), key).reshape(x.shape)
    hidden = context @ params["up"]["kernel"] + params["up"]["bias"]
    return jax.nn.gelu(hidden, approximate=False) @ params["down"]


class JaxImport(unittest.TestCase):
    def check(self, name, function, shapes, weights):
        exported = export.export(jax.jit(function))(*shapes)
        path = SCRATCH / f"{name}.mlirbc"
        path.write_bytes(exported.mlir_module_serialized)
        model = import_model(path, SCRATCH / name, weights)
        self.assertEqual([i["name"] for i in model.inputs], ["ids", "mask"])
        raised, module = SCRATCH / f"{name}.mlir", SCRATCH / f"{name}.so"
        tools.run("structured-opt", str(model.mlir), "--structured-raise-linear", "-o",
                  str(raised))
        tools.run("structured-compile", str(raised), f"--weights={model.weights}", "-o",
                  str(module))
        ids = RANDOM.integers(0, 50, (2, 5)).astype(np.int32)
        mask = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)
        expected = np.asarray(jax.jit(attention)(PARAMETERS, ids, mask))
        actual = runtime.Module.load(module)(ids=ids, mask=mask)[0]
        np.testing.assert_allclose(actual, expected, rtol=0, atol=5e-6)
        return raised.read_text(), model

    def test_arguments_and_constants(self):
        tokens = jax.ShapeDtypeStruct((2, 5), "int32")
        weights = SCRATCH / "weights.npz"
        np.savez(weights, **{jax.tree_util.keystr(path): array for path, array in
                             jax.tree_util.tree_leaves_with_path(PARAMETERS)})
        text, _ = self.check("arguments", attention, (PARAMETERS, tokens, tokens), weights)
        for layer in ("query", "key", "up.kernel", "down"):
            self.assertIn(f'layer = "params.{layer}"', text)
        constants = jax.tree.map(jnp.asarray, PARAMETERS)
        text, model = self.check("constants", lambda ids, mask: attention(constants, ids, mask),
                                 (tokens, tokens), None)
        self.assertEqual(text.count("structured.linear {"), 4)
        self.assertEqual(len(model.parameters), 6)


unittest.main()
