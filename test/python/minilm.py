# REQUIRES: python-models
# RUN: %python %s %t.onnx
"""The tokenizer, and the ONNX file of all-MiniLM-L6-v2 against NumPy."""

import math
import sys
import unittest
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import safetensors.numpy

from structured import minilm
from structured.errors import StructuredError

SENTENCES = ["The tide table hangs beside the harbour door.",
             "Unbelievably, nobody had noticed!"]
SEQUENCE = 24


def forward(weights, ids, mask, types):
    """BERT in plain NumPy, one sentence: ids, mask, types [S] -> [S,384]."""
    w = {name: array.astype(np.float64) for name, array in weights.items()
         if array.dtype == np.float32}

    def norm(layer, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-12)
        return x * w[layer + ".weight"] + w[layer + ".bias"]

    def linear(layer, x):
        return np.einsum("tn,mn->tm", x, w[layer + ".weight"]) + w[layer + ".bias"]

    x = norm("embeddings.LayerNorm",
             w["embeddings.word_embeddings.weight"][ids]
             + w["embeddings.token_type_embeddings.weight"][types]
             + w["embeddings.position_embeddings.weight"][:len(ids)])
    erf = np.vectorize(math.erf)
    for i in range(6):
        layer = f"encoder.layer.{i}."
        q, k, v = (linear(f"{layer}attention.self.{name}", x).reshape(-1, 12, 32)
                   for name in ("query", "key", "value"))
        scores = np.einsum("shd,thd->hst", q, k) / math.sqrt(32)
        scores = np.where(mask == 1, scores, -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        context = np.einsum("hst,thd->shd", p, v).reshape(-1, 384)
        x = norm(layer + "attention.output.LayerNorm",
                 linear(layer + "attention.output.dense", context) + x)
        inner = linear(layer + "intermediate.dense", x)
        inner = inner * (1 + erf(inner / math.sqrt(2))) / 2
        x = norm(layer + "output.LayerNorm", linear(layer + "output.dense", inner) + x)
    return x


class MiniLM(unittest.TestCase):
    path = Path(sys.argv.pop())

    @classmethod
    def setUpClass(cls):
        minilm.write_onnx(cls.path, batch=2, sequence=SEQUENCE)
        cls.weights = safetensors.numpy.load_file(
            minilm.model_directory() / "model.safetensors")

    def test_tokenizer(self):
        tokens = minilm.tokenize(["The cat's toy.", "cat"], 8)
        # [CLS] the cat ' s toy . [SEP], then [CLS] cat [SEP] and padding.
        self.assertEqual(tokens["input_ids"].tolist(),
                         [[101, 1996, 4937, 1005, 1055, 9121, 1012, 102],
                          [101, 4937, 102, 0, 0, 0, 0, 0]])
        self.assertEqual(tokens["attention_mask"].tolist(), [[1] * 8, [1] * 3 + [0] * 5])
        self.assertFalse(tokens["token_type_ids"].any())
        cut = minilm.tokenize(["The cat's toy."], 4)["input_ids"]
        self.assertEqual(cut.tolist(), [[101, 1996, 4937, 102]])

    def test_matches_numpy(self):
        tokens = minilm.tokenize(SENTENCES, SEQUENCE)
        hidden, = onnxruntime.InferenceSession(self.path).run(None, tokens)
        expected = np.stack([forward(self.weights, *sentence) for sentence in
                             zip(*(tokens[n] for n in ("input_ids", "attention_mask",
                                                       "token_type_ids")))])
        real = tokens["attention_mask"] == 1
        np.testing.assert_allclose(hidden[real], expected[real], rtol=0, atol=1e-4)
        self.assertGreater(np.abs(expected).max(), 1)

    def test_names_and_layouts(self):
        graph = onnx.load(self.path).graph
        stored = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        encoder = [n for n in self.weights if n.startswith("encoder.layer.")]
        self.assertEqual(len(encoder), 6 * 16)
        for name in encoder:
            np.testing.assert_array_equal(stored[name], self.weights[name])

    def test_embed(self):
        hidden = np.array([[[3.0, 0], [0, 4], [9, 9]]], np.float32)
        np.testing.assert_allclose(minilm.embed(hidden, np.array([[1, 1, 0]])),
                                   [[0.6, 0.8]], rtol=1e-6)

    def test_rejects(self):
        with self.assertRaisesRegex(StructuredError, "sequence 513 out of range"):
            minilm.write_onnx(self.path, sequence=513)
        with self.assertRaisesRegex(StructuredError, "/nonexistent: not a readable"):
            minilm.write_onnx(self.path, directory=Path("/nonexistent"))
        with self.assertRaisesRegex(StructuredError, "cannot write"):
            minilm.write_onnx(Path("/nonexistent/x.onnx"))
        with self.assertRaisesRegex(StructuredError, r"no tensor 'pooler' of shape \(2,\)"):
            minilm.write_onnx(self.path, replacements={"pooler": np.zeros(2)})

    def test_without_torch(self):
        self.assertNotIn("torch", sys.modules)
        self.assertNotIn("transformers", sys.modules)


unittest.main()
