# Part of the Structured project, under the Apache License v2.0 with LLVM Exceptions.
# See LICENSE for license information.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python binding to CUDA modules, on those of entries.c and linear.c."""

import gc
import sys
import unittest

import numpy as np

from structured import runtime
from structured.errors import StructuredError

CPU_MODULE, MODULE = sys.argv.pop(), sys.argv.pop()


class Foreign:
    """A tensor of another library, which notes what it is asked."""

    def __init__(self, tensor):
        self.tensor, self.streams = tensor, []

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, *, stream=None):
        self.streams.append(stream)
        return self.tensor.__dlpack__(stream=stream)


class Strided:
    """NumPy's DLPack, as what is no NumPy array."""

    def __init__(self, array):
        self.array = array

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, *, stream=None):
        return self.array.__dlpack__(stream=stream)


class Cuda(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.module = runtime.Module.load(MODULE)
        cls.x = np.arange(16, dtype=np.float32).reshape(4, 4)

    def check_fails(self, message, call):
        with self.assertRaisesRegex(StructuredError, message):
            call()

    def test_host(self):
        y, = self.module(self.x, entry="plus3")
        np.testing.assert_array_equal(y, self.x + 3)
        y, = self.module(x=self.x.T, entry="plus3")
        np.testing.assert_array_equal(y, self.x.T + 3)

    def test_device(self):
        y, = self.module.run_on_stream(self.x, entry="plus1")
        self.assertEqual((y.shape, y.dtype), ((4, 4), "f32"))
        self.assertEqual(y.__dlpack_device__(), (2, 0))
        np.testing.assert_array_equal(y.numpy(), self.x + 1)
        # In, by DLPack; the module's stream is what the producer is told.
        foreign = Foreign(y)
        z, = self.module.run_on_stream(foreign, entry="plus3")
        np.testing.assert_array_equal(z.numpy(), self.x + 4)
        z, = self.module(x=foreign, entry="plus3")
        np.testing.assert_array_equal(z, self.x + 4)
        self.assertEqual(foreign.streams, [1, 1])

    def test_on_the_host_by_dlpack(self):
        y, = self.module(Strided(self.x), entry="plus3")
        np.testing.assert_array_equal(y, self.x + 3)
        self.check_fails("not dense and row-major: dimension 1 has stride 4",
                         lambda: self.module(Strided(self.x.T), entry="plus3"))

    def test_outputs_keep_their_module(self):
        module = runtime.Module.load(MODULE)
        capsule = module.run_on_stream(self.x, entry="plus1")[0].__dlpack__()
        y, = module.run_on_stream(self.x, entry="plus3")
        del module
        gc.collect()
        np.testing.assert_array_equal(y.numpy(), self.x + 3)
        del y, capsule
        gc.collect()

    def test_tensor_maps(self):
        for entry in ("maps", "maps", "maps4"):
            y, = self.module(self.x, entry=entry)
            np.testing.assert_array_equal(y, self.x)

    def test_graph(self):
        x, = self.module.run_on_stream(self.x, entry="plus1")
        graph = self.module.capture(x, entry="plus3")
        graph.launch()
        np.testing.assert_array_equal(graph.outputs[0].numpy(), self.x + 4)
        # The launch reads the input anew.
        self.module.run_on_stream(2 * self.x, entry="plus1")
        graph.launch()
        np.testing.assert_array_equal(graph.outputs[0].numpy(), 2 * self.x + 4)
        self.check_fails("must be on the device",
                         lambda: self.module.capture(self.x, entry="plus3"))

    def test_update(self):
        given = self.x.copy()
        total, y = self.module(self.x, given, entry="update")
        self.assertIs(total, given)
        np.testing.assert_array_equal(given, self.x + 1)
        np.testing.assert_array_equal(y, self.x + 1)
        self.check_fails("input 'sum': it is updated there, so it must be on the device",
                         lambda: self.module.run_on_stream(self.x, given, entry="update"))
        self.check_fails("input 'sum', which is updated, shares memory with input 'x'",
                         lambda: self.module(given, given, entry="update"))
        read_only = given.copy()
        read_only.flags.writeable = False
        for other in (given.T, given.tolist(), read_only):
            self.check_fails("input 1 of entry 'update' is updated, so it must be a row-major "
                             "array that may be written to",
                             lambda: self.module(self.x, sum=other, entry="update"))
        np.testing.assert_array_equal(given, self.x + 1)
        np.testing.assert_array_equal(read_only, self.x + 1)
        # Of another library.
        strided = Strided(given)
        self.assertIs(self.module(self.x, strided, entry="update")[0], strided)
        np.testing.assert_array_equal(given, self.x + 2)

    def test_update_on_the_device(self):
        given, = self.module.run_on_stream(self.x, entry="plus1")
        x, = self.module.run_on_stream(self.x, entry="plus3")
        total, y = self.module.run_on_stream(self.x, given, entry="update")
        self.assertIs(total, given)
        np.testing.assert_array_equal(given.numpy(), self.x + 2)
        np.testing.assert_array_equal(y.numpy(), self.x + 1)
        foreign = Foreign(given)
        self.assertIs(self.module(self.x, sum=foreign, entry="update")[0], foreign)
        np.testing.assert_array_equal(given.numpy(), self.x + 3)
        # A capture updates nothing, each launch does.
        graph = self.module.capture(x, given, entry="update")
        self.assertIs(graph.outputs[0], given)
        np.testing.assert_array_equal(given.numpy(), self.x + 3)
        for i in (4, 5):
            graph.launch()
            np.testing.assert_array_equal(given.numpy(), self.x + i)
            np.testing.assert_array_equal(graph.outputs[1].numpy(), self.x + 4)
        self.check_fails("input 'sum': it is updated there, so it must be on the device",
                         lambda: self.module.capture(x, self.x.copy(), entry="update"))

    def test_errors(self):
        self.check_fails("entry 'missing': kernel 'decrement' is not in",
                         lambda: self.module(self.x, entry="missing"))
        self.check_fails("there is no CUDA device 99", lambda: runtime.set_cuda_device(99))
        self.assertGreaterEqual(runtime.cuda_device_count(), 1)
        y, = self.module.run_on_stream(self.x, entry="plus1")
        with self.assertRaises(BufferError):
            y.__dlpack__(copy=True)
        cpu = runtime.Module.load(CPU_MODULE)
        self.check_fails("an input is on a CUDA device, the module runs on the CPU",
                         lambda: cpu(y))
        self.check_fails("has no streams", lambda: cpu.run_on_stream(self.x[:, :3]))


unittest.main()
