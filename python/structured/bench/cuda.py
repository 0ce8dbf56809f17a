# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Layers on an NVIDIA GPU, ours and PyTorch's; needs PyTorch.

Everybody's calls are captured in a CUDA graph, at least eight in each, on
weights and inputs that together do not fit the L2 cache, so that each call reads
them from memory. Results go to the same place each time, as in a model. The
graphs of a group of layers are replayed by turns.

BLAST layers of ours for few tokens have kernels whose blocks wait for each other.
Only the runtime's own graphs keep their turns on the device, so that a series of
calls is compiled as one module, and captured by the runtime.
"""

import dataclasses
import gc
import math
import subprocess
import tempfile
from pathlib import Path
from typing import Callable, Iterator, Sequence

import torch
from safetensors.torch import save_file

from .. import runtime
from .layers import Layer, Modules, kernel_of, ours_name, parameters, with_kernels

#: Relative Frobenius error that bf16 factors, Y, Z and results may have.
TOLERANCE = 4e-3
#: Rivals round more often than once a stage.
RIVAL_TOLERANCE = 3e-2
#: What takes longer is not measured: one cannot wait for it on a lent machine.
LONGEST_SECONDS = 20e-3
#: A sample is as many replays as take this long.
SAMPLE_SECONDS = 1.5e-3
#: Tokens whose results are compared.
CHECKED_TOKENS = 256
#: Sets of weights and inputs, at most.
MOST_SETS = 192

#: Dense bf16 operations and bytes a second, by NVIDIA's data sheets.
LIMITS = {"H100 80GB HBM3": (989.4e12, 3.35e12), "H200": (989.4e12, 4.8e12)}


def machine() -> dict:
    """What the times depend on."""
    properties = torch.cuda.get_device_properties(0)
    query = "driver_version,clocks.sm,clocks.mem,clocks.max.sm,power.limit"
    try:
        values = subprocess.run(
            ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader", "-i", "0"],
            capture_output=True, text=True, check=True, timeout=20).stdout.strip().split(", ")
    except (OSError, subprocess.SubprocessError):
        values = []
    return {"device": properties.name, "multiprocessors": properties.multi_processor_count,
            "l2_bytes": properties.L2_cache_size, **dict(zip(query.split(","), values)),
            "cuda": torch.version.cuda, "torch": torch.__version__}


def limit_seconds(layer: Layer, device: str) -> float | None:
    """The time that operations or bytes take at the data sheet's rates."""
    for name, (operations, bandwidth) in LIMITS.items():
        if name in device:
            return max(layer.operations / operations, layer.bytes(2) / bandwidth)
    return None


class Pool:
    """Random numbers on the GPU, of which tensors are parts."""

    def __init__(self, bytes_: int = 1 << 30):
        generator = torch.Generator("cuda").manual_seed(1)
        self.numbers = torch.empty(bytes_ // 2, dtype=torch.bfloat16, device="cuda")
        self.numbers.normal_(generator=generator)
        torch.cuda.synchronize()
        self.offset = 0

    def take(self, shape: Sequence[int]) -> torch.Tensor:
        """The next part that begins at a multiple of 256 bytes."""
        size = math.prod(shape)
        if self.offset + size > len(self.numbers):
            self.offset = 0
        part = self.numbers[self.offset:self.offset + size].view(*shape)
        self.offset += -(-size // 128) * 128
        return part


def count_sets(bytes_: float, l2_bytes: int) -> int:
    """How many sets of so many bytes take turns."""
    return min(MOST_SETS, max(2, math.ceil(1.5 * l2_bytes / bytes_)))


def reference(x: torch.Tensor, factors: Sequence[torch.Tensor]) -> torch.Tensor:
    """The layer in float32, from the rounded factors: W; U and Vt; or U, S and Vt."""
    x = x.float()
    if len(factors) == 1:
        return x @ factors[0].float().T
    if len(factors) == 2:
        u, vt = factors
        return x @ vt.float().T @ u.float().T
    u, s, vt = (factor.float() for factor in factors)
    y = torch.einsum("tjq,jrq->jtr", x.view(len(x), len(vt), -1), vt)
    z = torch.einsum("ijr,jtr->itr", s, y)
    return torch.einsum("itr,ipr->tip", z, u).reshape(len(x), -1)


@dataclasses.dataclass
class Contender:
    """Somebody's way to compute a layer: `call(x, *factors)`."""

    layer: Layer
    who: str
    call: Callable
    tolerance: float = RIVAL_TOLERANCE
    #: Makes what is multiplied with of the factors; not timed.
    prepare: Callable = lambda *factors: factors
    #: The layer in float32, of some rows of x and what `prepare` has made.
    reference: Callable = reference
    #: X has a multiple of so many rows, of which the last need not be tokens.
    rows: int = 1
    #: Factors read, as a part of the layer's.
    factors_read: float = 1.0
    #: Given all pairs of x and what `prepare` has made, before the first call.
    tune: Callable = lambda sets: None

    def count_sets(self, l2_bytes: int) -> int:
        """How many sets of weights and inputs take turns."""
        unread = 2 * self.layer.parameters * (1 - self.factors_read)
        return count_sets(self.layer.bytes(2) - unread, l2_bytes)


def blast_eager(x, u, s, vt):
    """BLAST as its authors write it."""
    y = torch.bmm(x.view(len(x), len(vt), -1).transpose(0, 1), vt.transpose(1, 2))
    z = (s.unsqueeze(2) * y.unsqueeze(0)).sum(1)
    return torch.bmm(z, u.transpose(1, 2)).transpose(0, 1).reshape(len(x), -1)


def blast_bmm(x, u, s, vt):
    """BLAST as three batched products: the mix is one of r small ones."""
    y = torch.bmm(x.view(len(x), len(vt), -1).transpose(0, 1), vt.transpose(1, 2))
    z = torch.bmm(s.permute(2, 0, 1), y.permute(2, 0, 1)).permute(1, 2, 0)
    return torch.bmm(z, u.transpose(1, 2)).transpose(0, 1).reshape(len(x), -1)


def low_rank(x, u, vt):
    return torch.mm(torch.mm(x, vt.T), u.T)


def dense_mm(x, w):
    return torch.mm(x, w.T)


def prune_2_4(w):
    """W with the two largest of each four numbers of a row, compressed."""
    groups = w.view(-1, 4)
    kept = torch.zeros_like(groups, dtype=torch.bool)
    kept.scatter_(1, groups.abs().topk(2, dim=1).indices, True)
    return torch.where(kept, groups, 0).view_as(w)


class SemiStructured:
    """2:4 sparsity by cuSPARSELt, with whatever is fastest: its algorithms, with and
    without a split of k, and the result stored by rows or by columns.

    `torch.sparse` is a thin layer over the same function. It is not used because it
    pads few tokens to 8 in each call, and takes one number for all algorithms.
    """

    #: Tokens must be a multiple of this.
    ROWS = 8
    #: Half of the numbers, and two bits for each of them.
    FACTORS_READ = 9 / 16

    @staticmethod
    def prepare(w):
        """The compressed matrix and what it stands for."""
        pruned = prune_2_4(w)
        return torch._cslt_compress(pruned), pruned

    @staticmethod
    def reference(x, factors):
        return reference(x, factors[1:])

    def __call__(self, x, compressed, pruned):
        return self.multiply(x, compressed, self.options)

    @staticmethod
    def multiply(x, compressed, options):
        result = torch._cslt_sparse_mm(compressed, x.t(), **options)
        return result if options["transpose_result"] else result.t()

    def tune(self, sets) -> None:
        """Finds the fastest of the library's ways for this shape."""
        times, error = [], None
        x, (compressed, _) = sets[0]
        for options in self.variants(x, compressed):
            def calls():
                for x, (compressed, _) in sets:
                    self.multiply(x, compressed, options)
            try:
                calls()
                graph, _ = capture(calls)
            except RuntimeError as refused:
                error = error or refused
                continue
            graph.replay()
            times.append((min(elapsed(graph.replay) for _ in range(3)), len(times), options))
        if not times:
            raise error or RuntimeError("cuSPARSELt offers no algorithm")
        self.options = min(times)[2]

    @staticmethod
    def variants(x, compressed) -> Iterator[dict]:
        """Options of `torch._cslt_sparse_mm`."""
        arguments = torch.ops.aten._cslt_sparse_mm.default._schema.arguments
        split = [argument.name for argument in arguments if argument.name.startswith("split_k")]
        for transposes in (True, False):
            base = {"transpose_result": transposes}
            try:
                # The library's own search: an algorithm with its split of k, and how
                # many algorithms there are.
                found, *values, count = torch._C._cusparselt.mm_search(
                    compressed, x.t(), None, None, None, transposes)
                yield base | {"alg_id": found} | dict(zip(split, values))
            except (RuntimeError, AttributeError):
                count = 64
            for algorithm in range(count):
                yield base | {"alg_id": algorithm}


RIVALS = ("torch.mm", "low rank", "2:4", "bmm", "eager", "compile")


def rivals(group: Sequence[Layer], names: Sequence[str]) -> list[Contender]:
    """The others' ways to compute the group's layers. Low rank keeps as many
    parameters as BLAST; 2:4 keeps half of them."""
    result = []
    tokens, m, n = group[0].tokens, group[0].m, group[0].n
    dense = Layer.dense(tokens, m, n)
    if "torch.mm" in names:
        result.append(Contender(dense, "torch.mm", dense_mm))
    if "2:4" in names:
        sparse = SemiStructured()
        result.append(Contender(dense, "2:4", sparse, prepare=sparse.prepare,
                                reference=sparse.reference, rows=sparse.ROWS,
                                factors_read=sparse.FACTORS_READ, tune=sparse.tune))
    if "low rank" in names:
        result += [Contender(Layer.blast(tokens, m, n, 1, keep), "low rank", low_rank,
                             prepare=lambda u, s, vt: (u[0] * s[0], vt[0]))
                   for keep in sorted({layer.keep for layer in group if layer.b})]
    for name, function in (("bmm", blast_bmm), ("eager", blast_eager), ("compile", None)):
        if name in names:
            result += [Contender(layer, name, function) for layer in group if layer.b]
    return result


def ours(layer: Layer, kernel: str, modules: Modules) -> Contender:
    module = runtime.Module.load(modules.path(layer, kernel))

    def call(x, *factors):
        result, = module.run_on_stream(x, *factors,
                                       stream=torch.cuda.current_stream().cuda_stream)
        return result

    return Contender(layer, ours_name(kernel), call, TOLERANCE)


def relative_error(result: torch.Tensor, x: torch.Tensor, factors: Sequence[torch.Tensor],
                   reference: Callable, tolerance: float) -> float:
    """That of some tokens' results; `Wrong` if it is too large."""
    rows = torch.randperm(len(x), device="cuda")[:CHECKED_TOKENS]
    expected = reference(x[rows], factors)
    error = ((result[rows].float() - expected).norm() / expected.norm()).item()
    if not error < tolerance:
        raise Wrong(f"relative error {error:.2e}")
    return error


class Sample:
    """Somebody's calls as CUDA graphs, ready to be timed."""

    def __init__(self, layer: Layer, who: str):
        self.layer, self.who = layer, who
        self.stream = torch.cuda.Stream()
        self.error, self.seconds = 0.0, []
        #: Calls of one `replay`.
        self.launches = 0

    def replay(self) -> None:
        """Enqueues the graphs on the current stream."""
        raise NotImplementedError

    def close(self) -> None:
        """Gives back the graphs."""
        raise NotImplementedError

    def count_replays(self) -> None:
        """Chooses how many make a sample."""
        self.replays = max(1, math.ceil(SAMPLE_SECONDS / elapsed(self.replay)))

    def measure(self) -> None:
        with torch.cuda.stream(self.stream):
            # Meanwhile the others are enqueued.
            self.replay()
            seconds = elapsed(lambda: [self.replay() for _ in range(self.replays)])
        self.seconds.append(seconds / (self.replays * self.launches))


class Calls(Sample):
    """A contender's calls in a graph that PyTorch captures."""

    def __init__(self, contender: Contender, pool: Pool, memory, l2_bytes: int):
        layer, call = contender.layer, contender.call
        super().__init__(layer, contender.who)
        self.contender = contender
        pool.offset = 0
        count = contender.count_sets(l2_bytes)
        rows = -(-layer.tokens // contender.rows) * contender.rows
        self.sets = []
        for _ in range(count):
            x = pool.take((rows, layer.n))
            self.sets.append((x, contender.prepare(*map(pool.take, layer.shapes.values()))))
        torch.cuda.synchronize()
        if contender.who == "compile":
            # The compiled code of other shapes would count against a limit.
            torch._dynamo.reset()
            call = torch.compile(blast_eager, dynamic=False)
        with torch.cuda.stream(self.stream):
            contender.tune(self.sets)
            for _ in range(2):  # the first call may load code, tune, or allocate
                first = elapsed(lambda: call(self.sets[0][0], *self.sets[0][1]))
            if first > LONGEST_SECONDS:
                raise Skip(f"{1e3 * first:.0f} ms")
            for x, factors in self.sets:
                last = call(x, *factors)
            self.check(last)
            self.launches = count * math.ceil(8 / count) if first < 1e-3 else count

            def calls():
                for i in range(self.launches):
                    x, factors = self.sets[i % count]
                    result = call(x, *factors)
                return result

            self.graph, result = capture(calls, memory)
            self.graph.replay()
            self.check(result)
            self.count_replays()

    def check(self, result) -> None:
        """Of the last set."""
        x, factors = self.sets[-1]
        result = result if isinstance(result, torch.Tensor) else torch.from_dlpack(result)
        self.error = max(self.error, relative_error(
            result, x, factors, self.contender.reference, self.contender.tolerance))

    def replay(self) -> None:
        self.graph.replay()

    def close(self) -> None:
        del self.graph  # before the module whose kernels it has


class Series(Sample):
    """A layer of ours whose module makes a series of calls: graphs of the runtime."""

    def __init__(self, layer: Layer, kernel: str, modules: Modules, pool: Pool, l2_bytes: int):
        super().__init__(layer, ours_name(kernel))
        calls, sets = layer.series("cuda")
        pool.offset = 0
        self.graphs = []
        for _ in range(math.ceil(count_sets(layer.bytes(2), l2_bytes) / sets)):
            inputs = [pool.take((layer.tokens, layer.n)) for _ in range(calls)]
            factors = {name: pool.take(shape) for name, shape in
                       parameters(layer, "cuda").items()}
            torch.cuda.synchronize()
            with tempfile.TemporaryDirectory() as directory:
                weights = Path(directory) / "weights.safetensors"
                save_file({name: value.cpu() for name, value in factors.items()}, weights)
                module = runtime.Module.load(modules.path(layer, kernel), weights)
            graph = module.capture(*inputs)
            graph.launch(self.stream.cuda_stream)
            self.stream.synchronize()
            for i, (x, result) in enumerate(zip(inputs, graph.outputs)):
                of_call = [factors[f"{name}{i % sets}"] for name in layer.shapes]
                self.error = max(self.error, relative_error(
                    torch.from_dlpack(result), x, of_call, reference, TOLERANCE))
            self.graphs.append(graph)
        self.launches = calls * len(self.graphs)
        with torch.cuda.stream(self.stream):
            self.count_replays()

    def replay(self) -> None:
        stream = torch.cuda.current_stream().cuda_stream
        for graph in self.graphs:
            graph.launch(stream)

    def close(self) -> None:
        self.stream.synchronize()
        self.graphs.clear()


def capture(calls: Callable, memory=None) -> tuple[torch.cuda.CUDAGraph, object]:
    """A graph of what `calls` enqueues on the current stream, and what it returns."""
    graph = torch.cuda.CUDAGraph()
    # torch.cuda.graph would give all cached memory back, each time.
    torch.cuda.synchronize()
    graph.capture_begin(pool=memory, capture_error_mode="thread_local")
    try:
        result = calls()
    finally:
        graph.capture_end()
    return graph, result


def elapsed(call: Callable) -> float:
    """Seconds of a call on the current stream."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1e3


class Skip(Exception):
    """A contender that is not measured, with the reason."""


class Wrong(Exception):
    """A contender whose result is not the layer's."""


class Runner:
    """Measures groups of layers."""

    def __init__(self, modules: Modules, kernels: Sequence[str], rival_names: Sequence[str],
                 turns: int):
        self.modules, self.kernels = modules, kernels
        self.rival_names, self.turns = rival_names, turns
        self.pool, self.machine = Pool(), machine()
        # As the library would be used by one who cares for speed; rivals' is too.
        runtime.tune_cuda_matmul(True)
        # Nothing else runs.
        runtime.caller_keeps_cuda_turns(True)
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False

    def contenders(self, group: Sequence[Layer]) -> list[tuple[Layer, str]]:
        """Layer and name of all that `run` would measure."""
        return ([(layer, ours_name(kernel)) for layer, kernel in self.ours(group)]
                + [(c.layer, c.who) for c in rivals(group, self.rival_names)])

    def ours(self, group: Sequence[Layer]) -> list[tuple[Layer, str]]:
        """The layers and ways of computing them, but for those that have the kernels of
        another."""
        return self.modules.distinct(with_kernels(group, self.kernels))

    def run(self, group: Sequence[Layer], wanted: set[tuple[Layer, str]]) -> list[dict]:
        """A record for each wanted one, with "us" or "skipped" or "wrong"."""
        memory, l2_bytes = torch.cuda.graph_pool_handle(), self.machine["l2_bytes"]
        samples, records = [], []

        def sample_ours(layer, kernel):
            if layer.series("cuda"):
                return Series(layer, kernel, self.modules, self.pool, l2_bytes)
            return Calls(ours(layer, kernel, self.modules), self.pool, memory, l2_bytes)

        entrants = [(layer, ours_name(kernel), lambda key=(layer, kernel): sample_ours(*key))
                    for layer, kernel in self.ours(group)]
        entrants += [(c.layer, c.who, lambda c=c: Calls(c, self.pool, memory, l2_bytes))
                     for c in rivals(group, self.rival_names)]
        for layer, who, make in entrants:
            if (layer, who) not in wanted:
                continue
            try:
                samples.append(make())
            except Skip as reason:
                records.append({"layer": layer, "who": who, "skipped": str(reason)})
            except Wrong as reason:
                records.append({"layer": layer, "who": who, "wrong": str(reason)})
            except (RuntimeError, ValueError, NotImplementedError, AttributeError) as error:
                if kernel_of(who):
                    raise
                torch.cuda.empty_cache()
                # The first sentence says what; torch has much to add.
                reason = (str(error) or repr(error)).splitlines()[0].partition(". ")[0]
                records.append({"layer": layer, "who": who, "skipped": reason})
        for turn in range(self.turns + 1):
            for sample in samples:
                sample.measure()
        for sample in samples:
            sample.close()
            seconds = sorted(sample.seconds[1:])  # the first turn warms up
            records.append({
                "layer": sample.layer, "who": sample.who,
                "us": 1e6 * seconds[len(seconds) // 2],
                "spread": (seconds[-1] - seconds[0]) / seconds[len(seconds) // 2],
                "error": sample.error})
        del samples
        gc.collect()
        torch.cuda.empty_cache()
        return records

    def limit(self, layer: Layer) -> float | None:
        return limit_seconds(layer, self.machine["device"])
