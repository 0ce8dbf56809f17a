# REQUIRES: python-models
# RUN: rm -rf %t && mkdir %t
# RUN: %python %s %S/Inputs %t
"""Checkpoints in and out, against matrices written from the definitions."""

import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import unittest
import zipfile
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors.numpy

DIRECTORY = Path(sys.argv.pop())
sys.path.insert(0, sys.argv.pop())
import published
from published import blast_matrix, gblr_matrix, named, random_blast, random_gblr

from structured.checkpoints import blast, gblr, layouts, lowrank, report
from structured.checkpoints.matrices import Blast, Gblr, cheaper_dense
from structured.checkpoints.store import Store
from structured.driver import main
from structured.errors import StructuredError

#: Rounding of products and sums of f32 numbers near 1.
CLOSE = {"rtol": 1e-4, "atol": 1e-5}


class Case(unittest.TestCase):
    def setUp(self):
        self.random = np.random.default_rng(int.from_bytes(self.id().encode()[-7:]))
        self.directory = DIRECTORY / self.id().replace(".", "_")
        self.directory.mkdir()

    def save(self, tensors, name="in.safetensors"):
        path = self.directory / name
        safetensors.numpy.save_file(
            {key: np.ascontiguousarray(array).reshape(array.shape)
             for key, array in tensors.items()}, path)
        return path

    def run_command(self, *arguments, status=0):
        """The command's standard output, and error; checks its exit status."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.assertEqual(main(["checkpoint", *map(str, arguments)]), status, err)
        return out.getvalue(), err.getvalue()

    def imported(self, tensors, *arguments):
        """The factor file of a checkpoint."""
        out = self.directory / "factors.safetensors"
        path = tensors if isinstance(tensors, Path) else self.save(tensors)
        self.run_command("import", path, "-o", out, *arguments)
        return Store.open([out])

    def exported(self, *arguments):
        out = self.directory / "back.safetensors"
        self.run_command("export", self.directory / "factors.safetensors", "-o", out, *arguments)
        return safetensors.numpy.load_file(out)

    def refused(self, message, tensors, *arguments):
        """Import fails with the message and leaves nothing."""
        paths = [self.save(tensors)] if isinstance(tensors, dict) else tensors
        out = self.directory / "refused"
        _, err = self.run_command("import", *paths, "-o", out / "f.safetensors", *arguments,
                                  status=1)
        self.assertRegex(err, message)
        self.assertEqual(err.count("\n"), 1)
        self.assertEqual(list(out.iterdir()) if out.exists() else [], [])


class BlastCheckpoints(Case):
    #: How each order is made from [b_out,b_in,r].
    D_FROM = {"out-in-r": (0, 1, 2), "r-out-in": (2, 0, 1), "in-out-r": (1, 0, 2)}

    def check(self, store, layer, bcd):
        factors = layouts.read_blast(store, layer)
        for array, key in ((factors.u, "B"), (factors.s, "D"), (factors.vt, "C")):
            np.testing.assert_array_equal(array, bcd[key])
        np.testing.assert_allclose(factors.dense(), blast_matrix(
            *(np.float64(bcd[key]) for key in "BCD")), rtol=1e-12)

    def stored(self, bcd, d="out-in-r", transposed=()):
        return {key: array.transpose(self.D_FROM[d]) if key == "D"
                else array.transpose(0, 2, 1) if key in transposed else array
                for key, array in bcd.items()}

    def test_orders_by_shape(self):
        for d in self.D_FROM:
            for transposed in ((), ("B",), ("C",), ("B", "C")):
                bcd = random_blast(self.random, 2, 3, 5, 4, 6)
                store = self.imported(named("a.fc", self.stored(bcd, d, transposed)))
                self.check(store, "a.fc", bcd)
                self.assertEqual(self.exported().keys(), {"a.fc.B", "a.fc.C", "a.fc.D"})
                for key, array in self.stored(bcd, d, transposed).items():
                    np.testing.assert_array_equal(self.exported()[f"a.fc.{key}"], array)

    def test_ambiguous_is_refused(self):
        # b_out = b_in; then r = b, too; then r = p = q.
        for sizes, count in (((3, 3, 5, 4, 6), 2), ((3, 3, 5, 4, 3), 3), ((2, 2, 6, 6, 6), 8)):
            bcd = random_blast(self.random, *sizes)
            self.refused(fr"in.safetensors: layer 'fc': the shapes B .* fit {count} orders of "
                         "different matrices .*--reference, or say which: .*--d-order",
                         named("fc", bcd))

    def test_ambiguous_by_option(self):
        for d in self.D_FROM:
            bcd = random_blast(self.random, 3, 3, 5, 4, 3)
            store = self.imported(named("fc", self.stored(bcd, d)), "--d-order", d)
            self.check(store, "fc", bcd)
            np.testing.assert_array_equal(self.exported()["fc.D"], self.stored(bcd, d)["D"])

    def test_ambiguous_by_reference(self):
        for d in self.D_FROM:
            for transposed in ((), ("B", "C")):
                bcd = random_blast(self.random, 4, 4, 4, 4, 4)
                weight = blast_matrix(bcd["B"], bcd["C"], bcd["D"])
                # As far from it as a weight compressed by half is.
                weight += self.random.standard_normal(weight.shape) * weight.std() / 2
                reference = self.save({"fc.weight": weight.astype(np.float32)}, "dense.safetensors")
                store = self.imported(named("fc", self.stored(bcd, d, transposed)),
                                      "--reference", reference)
                self.check(store, "fc", bcd)

    def test_reference_that_does_not_decide(self):
        bcd = random_blast(self.random, 3, 3, 5, 4, 6)
        reference = self.save({"fc.weight": self.random.standard_normal((15, 12)).astype("f4")},
                              "dense.safetensors")
        self.refused("dense.safetensors: 'fc.weight' does not decide .*relative errors .*"
                     r"D \[\S+\]: \d[.]\d+; .*D \[\S+\]: \d[.]\d+; give --d-order",
                     named("fc", bcd), "--reference", reference)
        # As close to one order's matrix as to the other's.
        symmetric = bcd["D"] + bcd["D"].transpose(1, 0, 2)
        weight = blast_matrix(bcd["B"], bcd["C"], symmetric / 2)
        close = bcd | {"D": symmetric / 2 + 0.1 * (bcd["D"] - symmetric / 2)}
        reference = self.save({"fc.weight": weight.astype("f4")}, "dense.safetensors")
        self.refused("does not decide .*: 0[.]", named("fc", close), "--reference", reference)
        reference = self.save({"fc.weight": np.zeros((15, 13), "f4")}, "dense.safetensors")
        self.refused(r"dense.safetensors: 'fc.weight' is \[15, 13\], which the shapes",
                     named("fc", bcd), "--reference", reference)
        reference = self.save({"other.weight": np.zeros((15, 12), "f4")}, "dense.safetensors")
        self.refused("the reference holds no 'fc.weight'", named("fc", bcd),
                     "--reference", reference)

    def test_ambiguous_by_another_layer(self):
        for d in self.D_FROM:
            square = random_blast(self.random, 3, 3, 5, 4, 3)
            clear = random_blast(self.random, 2, 3, 5, 4, 6)
            store = self.imported(named("square", self.stored(square, d))
                                  | named("clear", self.stored(clear, d)))
            self.check(store, "square", square)
            self.check(store, "clear", clear)
        # Two others that disagree decide nothing.
        self.refused("layer 'square': .* no other layer decides", named("square", square)
                     | named("a", self.stored(clear)) | named("b", self.stored(clear, "in-out-r")))

    def test_orders_of_the_same_matrix(self):
        bcd = random_blast(self.random, 3, 3, 5, 4, 6)
        bcd["D"] = bcd["D"] + bcd["D"].transpose(1, 0, 2)
        self.check(self.imported(named("fc", bcd)), "fc", bcd)

    def test_configuration(self):
        bcd = random_blast(self.random, 3, 3, 5, 4, 3)
        config = self.directory / "config.json"
        self.assertEqual([blast.block_counts(v) for v in (4, [4], [[[4]]], [2, 3], [[2], [[3]]],
                                                          [[2, 3]])],
                         [(4, 4), (4, 4), (4, 4), (2, 3), (2, 3), (2, 3)])
        for value in ([2, 3, 4], [], "4", [True], [0], None, 2.5):
            with self.assertRaisesRegex(ValueError, "not a block count"):
                blast.block_counts(value)
        wide = random_blast(self.random, 2, 3, 5, 4, 6)
        for blocks in ([[2], [[3]]], {"fc": [[[2, 3]]]}):
            config.write_text(json.dumps({"blast_num_blocks": blocks, "blast_rank": {"fc": 6}}))
            self.check(self.imported(named("x.fc", wide), "--config", config), "x.fc", wide)
        config.write_text(json.dumps({"blast_num_blocks": [[4]]}))
        self.refused(r"config.json: layer 'fc': block counts \(4, 4\) and rank None do not agree",
                     named("fc", bcd), "--config", config)
        config.write_text(json.dumps({"blast_num_blocks": [[1, 2, 3]]}))
        self.refused("config.json: blast_num_blocks: .*not a block count", named("fc", bcd),
                     "--config", config)
        config.write_text("{")
        self.refused("config.json: not a configuration", named("fc", bcd), "--config", config)

    def test_element_types(self):
        for dtype in (np.float16, ml_dtypes.bfloat16):
            bcd = random_blast(self.random, 2, 3, 5, 4, 6, dtype)
            store = self.imported(named("fc", bcd))
            self.assertEqual(store.dtype("fc.U"), dtype)
            self.check(store, "fc", bcd)
        self.refused("'fc.B' is float64", named("fc", random_blast(
            self.random, 2, 3, 5, 4, 6, np.float64)))
        bcd["B"] = np.full(bcd["B"].shape, 1e30, np.float32)
        self.refused("'fc.U': a number does not fit float16", named("fc", bcd), "--dtype", "f16")

    def test_bad_tensors(self):
        bcd = named("fc", random_blast(self.random, 2, 3, 5, 4, 6))
        for key in "BCD":
            self.refused(f"in.safetensors: layer 'fc' .blast. lacks 'fc.{key}'",
                         {name: a for name, a in bcd.items() if name != f"fc.{key}"})
            broken = {name: a.copy() for name, a in bcd.items()}
            broken[f"fc.{key}"][1, 2, 3] = np.nan
            self.refused(fr"in.safetensors: 'fc.{key}' holds nan at \[1, 2, 3\]", broken)
        self.refused(r"layer 'fc': the shapes B \[2, 5, 5\], C \[3, 6, 4\], D \[2, 3, 6\] do not "
                     "agree in any known order", bcd | {"fc.B": bcd["fc.B"][:, :, :5]})
        self.refused(r"do not agree in the order D \[r-out-in\]", bcd, "--d-order", "r-out-in")
        # What --layers leaves out may lack keys.
        self.imported(bcd | {"x.B": bcd["fc.B"], "x.C": bcd["fc.C"]}, "--layers", "fc")
        self.refused("no structured layers", {"fc.weight": np.zeros((2, 2), "f4")})
        self.refused("no structured layers match 'x'", bcd, "--layers", "x")

    def test_export_of_bad_files(self):
        def fails(message, tensors, origin):
            path = self.directory / "factors.safetensors"
            safetensors.numpy.save_file(tensors, path, {layouts.METADATA: origin})
            out = self.directory / "none.safetensors"
            _, err = self.run_command("export", path, "-o", out, status=1)
            self.assertRegex(err, message)
            self.assertFalse(out.exists())

        self.imported(named("fc", random_blast(self.random, 2, 3, 5, 4, 6)))
        factors = safetensors.numpy.load_file(self.directory / "factors.safetensors")
        for origin, message in (("{", "Expecting property name"), ("[]", "not an object"),
                                ('{"fc": 1}', "not an object"),
                                ('{"fc": {"shape": [2]}}', r"layer 'fc': 'shape' cannot be \[2\]"),
                                ('{"fc": {"taps": 0}}', "'taps' cannot be 0"),
                                ('{"fc": {"layout": []}}', "'layout' cannot be"),
                                ('{"fc": {"orders": {"b": "x"}}}', "'orders' cannot be"),
                                ('{"fc": {"new": 1}}', "'new' cannot be 1")):
            fails(f"factors.safetensors: metadata 'structured.checkpoint': .*{message}", factors,
                  origin)
        for key in ("U", "S", "Vt"):
            fails(f"factors.safetensors: 'fc[.].*' has no 'fc.{key}' beside it",
                  {name: a for name, a in factors.items() if name != f"fc.{key}"}, "{}")
        fails(r"'fc.U' \[2, 5, 6\], S \[2, 3, 6\], Vt \[3, 4, 6\] are not",
              factors | {"fc.Vt": np.ascontiguousarray(factors["fc.Vt"].transpose(0, 2, 1))}, "{}")
        fails("no factors", {"x": np.zeros(3)}, "{}")
        matrix = Gblr.pack((4, 6), [(3, 5, np.ones((1, 2)), np.ones((1, 3)))], np.dtype("f4"))
        origin = '{"g": {"layout": "%s", "shape": [4, 6]%s}}'
        fails("'g.gblr.components' needs 2 numbers in U and 3 in V, there are 3 and 3",
              named("g", matrix.tensors() | {"gblr.U": np.zeros(3, "f4")}), origin % ("gblr", ""))
        fails("'g.gblr.components': an interval is longer than the matrix",
              named("g", matrix.tensors()), '{"g": {"shape": [1, 6]}}')
        fails("layer 'g': the components are not those of a Monarch matrix",
              named("g", matrix.tensors()), origin % ("monarch", ', "blocks": [2, 2, 2]'))
        fails("layer 'g': the columns 5 . 3 cover more than one tap of 3 channels",
              named("g", matrix.tensors()), origin % ("gblr", ', "kind": "taps", "taps": 2'))

    def test_others(self):
        others = self.directory / "others.safetensors"
        rest = {"fc.bias": np.ones(10, "f4"), "norm.weight": np.arange(3.)}
        bcd = named("fc", random_blast(self.random, 2, 3, 5, 4, 6))
        self.imported(bcd | rest, "--others", others)
        stored = safetensors.numpy.load_file(others)
        self.assertEqual(stored.keys(), rest.keys())
        back = self.exported("--others", others)
        self.assertEqual(back.keys(), (bcd | rest).keys())
        for name, array in (bcd | rest).items():
            np.testing.assert_array_equal(back[name], array)


    def test_renaming(self):
        bcd = random_blast(self.random, 3, 3, 5, 4, 6)
        tensors = named("model.a.fc", bcd) | {"model.a.fc.bias": np.ones(15, "f4")}
        reference = self.save({"b.fc.weight": blast_matrix(*bcd.values()).astype("f4")},
                              "dense.safetensors")
        others = self.directory / "others.safetensors"
        store = self.imported(tensors, "--rename", "^model[.]=", "--rename", "^a=b",
                              "--others", others, "--reference", reference)
        self.check(store, "b.fc", bcd)
        self.assertEqual(list(safetensors.numpy.load_file(others)), ["b.fc.bias"])
        back = self.exported("--others", others)
        self.assertEqual(back.keys(), tensors.keys())
        for name, array in tensors.items():
            np.testing.assert_array_equal(back[name], array)
        self.refused("two layers would have the name 'fc'",
                     named("a.fc", bcd) | named("b.fc", bcd), "--rename", "^.[.]=",
                     "--d-order", "out-in-r")


class GblrCheckpoints(Case):
    def matrix(self, store, layer, shape):
        return layouts.read_gblr(store, layer, shape).dense()

    def test_masks(self):
        for n in (1, 2, 7, 16, 33):
            widths = self.random.uniform(-0.3, 1.6, 40).astype(np.float32)
            locations = self.random.uniform(-3, 3, 40).astype(np.float32)
            for sigma in (None, 0.7, 3.0, 100.0):
                ours = gblr.masks(widths, locations, n, sigma)
                for k in range(40):
                    if widths[k] < -1 / n:
                        continue  # The definition has no box of negative width.
                    np.testing.assert_allclose(
                        ours[k], published.mask(widths[k], locations[k], n, sigma), atol=1e-12)

    def test_support(self):
        for mask, interval in (([0, 0, 0], (0, 0)), ([1, 2, 3], (0, 3)), ([0, 1, 0], (1, 1)),
                               ([1, 0, 0, 1], (3, 2)), ([0, 1, 0, 1, 0, 0], (1, 3)),
                               ([1, 0, 1, 0, 0, 0, 1], (6, 4)), ([1, 0, 0], (0, 1))):
            self.assertEqual(gblr.support(np.array(mask)), interval)

    def test_linear(self):
        for m, n, components, rank in ((12, 8, 5, 1), (9, 15, 6, 2), (16, 16, 1, 4)):
            for sigma in (1.5, 100.0, np.inf):
                tensors = random_gblr(self.random, m, n, components, rank, sigma)
                store = self.imported(named("fc", tensors))
                np.testing.assert_allclose(self.matrix(store, "fc", (m, n)),
                                           gblr_matrix(tensors, sigma), **CLOSE)
            store = self.imported(named("fc", tensors), "--no-gaussian")
            np.testing.assert_allclose(self.matrix(store, "fc", (m, n)),
                                       gblr_matrix(tensors, None), **CLOSE)

    def test_wraps_and_empty_components(self):
        tensors = random_gblr(self.random, 10, 20, 4, 1)
        tensors["widths"] = np.float32([[0.5, 0.05, 0.25, 0.0], [0.4, 0.5, 0.2, 1.0]])
        tensors["locations"] = np.float32([[0.8, 0.2, -0.1, 0.3], [0.9, 0.5, 1.3, 0.0]])
        store = self.imported(named("fc", tensors), "--no-gaussian")
        # Component 1 has a width of one column, 3 none: both are empty.
        np.testing.assert_array_equal(store.read("fc.gblr.components"),
                                      [[9, 4, 16, 10, 1], [3, 2, 18, 5, 1]])

    def test_round_trip(self):
        for sigma in (1.5, 100.0):
            tensors = random_gblr(self.random, 12, 9, 6, 3, sigma)
            store = self.imported(named("fc", tensors))
            back = self.exported()
            self.assertEqual(back.keys(), named("fc", tensors).keys())
            for key, array in tensors.items():
                self.assertEqual(back[f"fc.{key}"].shape, array.shape)
                self.assertEqual(back[f"fc.{key}"].dtype, array.dtype)
            self.assertEqual(back["fc.sigma"], np.inf)
            module = {key: back[f"fc.{key}"] for key in tensors}
            # With the authors' definition the exported module is the matrix, with
            # or without its infinitely wide Gaussian; and it comes in again.
            np.testing.assert_allclose(gblr_matrix(module, np.inf), gblr_matrix(tensors, sigma),
                                       **CLOSE)
            matrix = self.matrix(store, "fc", (12, 9))
            again = self.imported(self.directory / "back.safetensors")
            np.testing.assert_allclose(self.matrix(again, "fc", (12, 9)), matrix, rtol=0,
                                       atol=1e-6)

    def test_export_of_other_factors(self):
        # Mixed ranks, an interval of length 1, an empty component.
        matrix = Gblr.pack((5, 7), [
            (4, 6, self.random.standard_normal((4, 3)), self.random.standard_normal((4, 2))),
            (1, 0, self.random.standard_normal((2, 1)), self.random.standard_normal((2, 7))),
            (0, 0, np.zeros((0, 2)), np.zeros((0, 3)))], np.dtype("f4"))
        tensors = matrix.tensors()
        module = gblr.to_components(matrix)
        self.assertEqual(module["lr_weight1"].shape, (3, 2, 7))
        np.testing.assert_allclose(gblr_matrix(module, None), matrix.dense(), **CLOSE)
        for shape in ((1, 3), (3, 1), (1, 1)):
            matrix = Gblr.pack(shape, [(0, 0, self.random.standard_normal((1, shape[0])),
                                        self.random.standard_normal((1, shape[1])))],
                               np.dtype("f4"))
            np.testing.assert_allclose(gblr_matrix(gblr.to_components(matrix), None),
                                       matrix.dense(), **CLOSE)
        # A file that did not come from a checkpoint does not say [m, n].
        path = self.save(named("fc", tensors), "factors.safetensors")
        out = self.directory / "none.safetensors"
        _, err = self.run_command("export", path, "-o", out, status=1)
        self.assertIn("layer 'fc': the file does not say its shape", err)
        self.assertFalse(out.exists())
        dense = self.save({"fc.weight": np.zeros((5, 7), "f4")}, "dense.safetensors")
        back = self.exported("--reference", dense)
        np.testing.assert_allclose(
            gblr_matrix({key: back[f"fc.{key}"] for key in module}, None),
            Gblr((5, 7), *(tensors[f"gblr.{key}"] for key in ("components", "U", "V"))).dense(),
            **CLOSE)

    def convolution(self, sigma, taps=None, unified=False):
        """Checkpoint and [oc, ic, k1, k2] of a 3x2 convolution."""
        oc, ic, k1, k2 = 6, 8, 3, 2
        if taps is None:
            module = random_gblr(self.random, oc, k1 * k2 * ic, 5, 2, sigma)
            weight = gblr_matrix(module, sigma).reshape(oc, k1, k2, ic).transpose(0, 3, 1, 2)
            return named("conv.gaudi_module", module), weight
        modules = [random_gblr(self.random, oc, ic, 4, 1, sigma) for _ in range(k1 * k2)]
        weight = np.empty((oc, ic, k1, k2))
        for i, module in enumerate(modules):
            masks = modules[0] if unified else module
            weight[:, :, i // k2, i % k2] = gblr_matrix(
                module | {key: masks[key] for key in ("widths", "locations")}, sigma)
        return {name: a for i, module in enumerate(modules)
                for name, a in named(f"conv.gaudi_modules.{i}", module).items()}, weight

    def test_convolutions(self):
        for sigma in (1.0, 100.0):
            for arguments, options in (((), {}), ((), {"taps": 6}),
                                       (("--unified-mask",), {"taps": 6, "unified": True})):
                tensors, weight = self.convolution(sigma, **options)
                store = self.imported(tensors | {"conv.bias": np.zeros(6, "f4")}, *arguments)
                matrix = self.matrix(store, "conv", (6, 48))
                # Columns in the order k1, k2, ic.
                np.testing.assert_allclose(
                    matrix, weight.transpose(0, 2, 3, 1).reshape(6, 48), **CLOSE)
                back = self.exported()
                self.assertEqual(back.keys(), tensors.keys())
                for name, array in tensors.items():
                    self.assertEqual(back[name].shape, array.shape)
                again = self.imported(self.directory / "back.safetensors")
                np.testing.assert_allclose(self.matrix(again, "conv", (6, 48)), matrix,
                                           rtol=0, atol=1e-6)

    def test_channels_first(self):
        for options in ({}, {"taps": 6}):
            tensors, weight = self.convolution(100.0, **options)
            store = self.imported(tensors, "--channels-first", "--taps", "6")
            matrix = self.matrix(store, "conv", (6, 48))
            np.testing.assert_allclose(matrix, weight.reshape(6, 48), **CLOSE)
            self.assertEqual(self.exported().keys(), tensors.keys())
            again = self.imported(self.directory / "back.safetensors")
            np.testing.assert_allclose(self.matrix(again, "conv", (6, 48)), weight.transpose(
                0, 2, 3, 1).reshape(6, 48), **CLOSE)
        integrated, _ = self.convolution(100.0)
        for taps in ((), ("--taps", "5")):
            self.refused("layer 'conv': the checkpoint does not say the kernel's size",
                         integrated, "--channels-first", *taps)

    def test_wrap_within_a_tap(self):
        # Cut in two where that is fewer numbers, else filled up.
        short, long = np.ones((1, 2)), np.ones((1, 7))
        cut = gblr.place_tap([(0, 6, short, np.ones((1, 4)))], 1, 8)
        self.assertEqual([(c, v.shape[1]) for _, c, _, v in cut], [(14, 2), (8, 2)])
        (_, column, _, v), = gblr.place_tap([(0, 6, long, np.ones((1, 4)))], 1, 8)
        self.assertEqual((column, v.tolist()), (8, [[1, 1, 0, 0, 0, 0, 1, 1]]))
        with self.assertRaisesRegex(ValueError, "cover more than one tap"):
            gblr.take_taps([(0, 6, short, np.ones((1, 4)))], 2, 8)

    def test_merge(self):
        tensors = random_gblr(self.random, 12, 9, 8, 2)
        tensors["widths"][:, 4:] = np.float32([[3 / 9], [2 / 12]])
        tensors["locations"][:, 4:] = np.float32([[4 / 9], [5 / 12]])
        expected = gblr_matrix(tensors, None)
        plain = self.imported(named("fc", tensors), "--no-gaussian")
        count = len(plain.read("fc.gblr.components"))
        out, _ = self.run_command("import", self.directory / "in.safetensors", "-o",
                                  self.directory / "m.safetensors", "--no-gaussian", "--merge")
        merged = Store.open([self.directory / "m.safetensors"])
        components = merged.read("fc.gblr.components")
        # Four of rank 2 on 2 x 3 elements are one of rank 2.
        self.assertEqual(len(components), count - 3)
        self.assertIn([5, 2, 4, 3, 2], components.tolist())
        self.assertIn(f"merged {count} components into {count - 3}", out)
        np.testing.assert_allclose(self.matrix(merged, "fc", (12, 9)), expected, **CLOSE)

    def test_bad_tensors(self):
        good = named("fc", random_gblr(self.random, 12, 8, 5, 2))
        for key in ("lr_weight1", "lr_weight2", "widths", "locations"):
            self.refused(f"in.safetensors: layer 'fc' .gblr. lacks 'fc.{key}'",
                         {name: a for name, a in good.items() if name != f"fc.{key}"})
            broken = {name: a.copy() for name, a in good.items()}
            broken[f"fc.{key}"].flat[0] = np.nan
            self.refused(f"in.safetensors: 'fc.{key}' holds nan", broken)
            self.refused("layer 'fc': .* do not agree; expected lr_weight1",
                         good | {f"fc.{key}": good[f"fc.{key}"][:-1]})
        self.refused("layer 'fc' lacks 'fc.sigma'; --no-gaussian",
                     {name: a for name, a in good.items() if name != "fc.sigma"})
        for sigma in (0.0, -1.0, np.nan):
            self.refused("'fc.sigma' is not one positive number",
                         good | {"fc.sigma": np.array(sigma, "f4")})
        self.refused("'fc.widths' holds 1e[+]30, which is no fraction",
                     good | {"fc.widths": np.full((2, 5), 1e30, "f4")})
        taps, _ = self.convolution(100.0, taps=6)
        self.refused("layer 'conv': the kernel taps are not numbered from 0",
                     {name: a for name, a in taps.items() if ".2." not in name})
        other = random_gblr(self.random, 6, 9, 4, 1)
        self.refused(r"layer 'conv': tap 2 is \[6, 9\], the taps before it \[6, 8\]",
                     taps | named("conv.gaudi_modules.2", other))
        self.refused("layer 'conv' is there in two layouts",
                     taps | named("conv.gaudi_module", other))


class OtherLayouts(Case):
    def test_low_rank(self):
        left, right = (self.random.standard_normal(shape).astype("f4")
                       for shape in ((6, 2), (2, 5)))
        for tensors in ({"left": left, "right": right},
                        {"lr_weight2": left, "lr_weight1": right}):
            store = self.imported(named("fc", tensors))
            self.assertEqual(store.shape("fc.S"), (1, 1, 2))
            np.testing.assert_allclose(layouts.read_blast(store, "fc").dense(), left @ right,
                                       **CLOSE)
            back = self.exported()
            self.assertEqual(back.keys(), named("fc", tensors).keys())
            for key, array in tensors.items():
                np.testing.assert_array_equal(back[f"fc.{key}"], array)
        self.refused(r"'fc.left' \[6, 2\] and 'fc.right' \[5, 2\] are not \[m, r\] and \[r, n\]",
                     named("fc", {"left": left, "right": right.T}))

    def test_monarch(self):
        for (k, q, p), (blocks, s, r) in (((4, 6, 5), (4, 3, 6)), ((2, 6, 4), (3, 5, 4)),
                                          ((3, 4, 2), (1, 7, 12)), ((2, 3, 4), (6, 2, 1))):
            first = self.random.standard_normal((k, q, p)).astype("f4")
            second = self.random.standard_normal((blocks, s, r)).astype("f4")
            tensors = named("fc", {"blkdiag1": first, "blkdiag2": second})
            store = self.imported(tensors)
            matrix = layouts.read_gblr(store, "fc", (blocks * s, k * p))
            np.testing.assert_allclose(matrix.dense(), published.monarch_matrix(first, second),
                                       **CLOSE)
            back = self.exported()
            for name, array in tensors.items():
                np.testing.assert_array_equal(back[name], array)
        self.refused("layer 'fc': blkdiag1 .* are not .*K·q = B·r: 2·3 is not 6·2",
                     tensors | {"fc.blkdiag2": np.zeros((6, 2, 2), "f4")})

    def test_block_low_rank(self):
        u, vt = (self.random.standard_normal(shape) for shape in ((2, 3, 4, 2), (2, 3, 2, 5)))
        matrix = lowrank.block_low_rank(u, vt)
        np.testing.assert_allclose(matrix.dense(), np.block(
            [[u[i, j] @ vt[i, j] for j in range(3)] for i in range(2)]))
        self.assertEqual(matrix.u.size + matrix.v.size, u.size + vt.size)


class Files(Case):
    def test_shards_and_directories(self):
        bcd = random_blast(self.random, 2, 3, 5, 4, 6)
        model = self.directory / "model"
        model.mkdir()
        for key, array in bcd.items():
            self.save({f"fc.{key}": array}, f"model/{key}.safetensors")
        store = self.imported(model)
        np.testing.assert_array_equal(store.read("fc.S"), bcd["D"])
        index = model / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": {f"fc.{k}": f"{k}.safetensors" for k in "BC"}}))
        self.refused("layer 'fc' .blast. lacks 'fc.D'", [model])
        index.write_text("[]")
        self.refused("index.json: not an index of shards", [model])
        self.save({"fc.B": bcd["B"]}, "twice.safetensors")
        self.refused("twice.safetensors: 'fc.B' is in .*B.safetensors, too",
                     [model / "B.safetensors", self.directory / "twice.safetensors"])
        self.refused("none.safetensors: No such file", [self.directory / "none.safetensors"])
        bad = self.directory / "bad.safetensors"
        bad.write_bytes(b"\x08")
        self.refused("bad.safetensors: not a safetensors file", [bad])

    def test_inputs_are_kept(self):
        path = self.save(named("fc", random_blast(self.random, 2, 3, 5, 4, 6)))
        before = path.read_bytes()
        _, err = self.run_command("import", path, "-o", path, status=1)
        self.assertIn("is an input, too", err)
        self.assertEqual(path.read_bytes(), before)

    def test_report_without_place(self):
        path = self.save(named("fc", random_blast(self.random, 2, 3, 5, 4, 6)))
        _, err = self.run_command("import", path, "-o", path / "x" / "f.safetensors", status=1)
        self.assertIn("cannot write", err)


class _Storage:
    """Pickles as the reference to a storage that torch.save writes."""

    def __init__(self, kind, key, size):
        self.kind, self.key, self.size = kind, key, size


class TorchFiles(Case):
    """Archives of torch.save, written here without torch."""

    def torch_file(self, name, tensors, wrap=lambda state: state, extra=None):
        """`tensors`: name -> (array, its strides in elements, offset)."""
        import types
        torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")

        def _rebuild_tensor_v2():
            pass
        _rebuild_tensor_v2.__module__ = "torch._utils"
        _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
        utils._rebuild_tensor_v2 = _rebuild_tensor_v2
        torch._utils = utils
        for kind in ("FloatStorage", "HalfStorage"):
            setattr(torch, kind, type(kind, (), {"__module__": "torch"}))

        class Tensor:
            def __init__(self, *arguments):
                self.arguments = arguments

            def __reduce__(self):
                return _rebuild_tensor_v2, self.arguments

        class Pickler(pickle.Pickler):
            def persistent_id(self, item):
                if isinstance(item, _Storage):
                    return "storage", getattr(torch, item.kind), item.key, "cpu", item.size
                return None

        state, data = dict(extra or {}), {}
        for i, (key, (array, strides, offset)) in enumerate(tensors.items()):
            kind = {"float32": "FloatStorage", "float16": "HalfStorage"}[array.dtype.name]
            shape = array.shape
            buffer = np.full(offset + sum((n - 1) * s for n, s in zip(shape, strides)) + 1, 7,
                             array.dtype)
            np.lib.stride_tricks.as_strided(
                buffer[offset:], shape, [s * buffer.itemsize for s in strides])[...] = array
            data[str(i)] = buffer.tobytes()
            state[key] = Tensor(_Storage(kind, str(i), buffer.size), offset, shape,
                                tuple(strides), False, {})
        text = io.BytesIO()
        saved = {name: sys.modules.get(name) for name in ("torch", "torch._utils")}
        sys.modules |= {"torch": torch, "torch._utils": utils}
        try:
            Pickler(text, 2).dump(wrap(state))
        finally:
            for module, old in saved.items():
                if old is None:
                    del sys.modules[module]
                else:
                    sys.modules[module] = old
        path = self.directory / name
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", text.getvalue())
            for key, content in data.items():
                archive.writestr(f"archive/data/{key}", content)
        return path

    def test_state_dict(self):
        bcd = random_blast(self.random, 2, 3, 5, 4, 6, np.float16)
        strides = {"B": (30, 1, 5), "C": (24, 4, 1), "D": (18, 6, 1)}  # B is a transpose.
        path = self.torch_file(
            "model.ckpt", {f"fc.{key}": (array, strides[key], 3) for key, array in bcd.items()},
            lambda state: {"epoch": 3, "hyper": pathlike(), "state_dict": state})
        store = self.imported(path)
        for name, key in (("fc.U", "B"), ("fc.S", "D"), ("fc.Vt", "C")):
            np.testing.assert_array_equal(store.read(name), bcd[key])

    def test_decomposer_files(self):
        bcd = random_blast(self.random, 2, 3, 5, 4, 6)
        bcd["D"] = np.ascontiguousarray(bcd["D"].transpose(2, 0, 1))
        for key, array in bcd.items():
            strides = [int(s) // 4 for s in array.strides]
            self.torch_file(f"model.fc-{key}.tensor", {"t": (array, strides, 0)},
                            lambda state: state["t"])
        store = self.imported(self.directory)
        np.testing.assert_array_equal(store.read("model.fc.S"), bcd["D"].transpose(1, 2, 0))

    def test_runs_no_code(self):
        class Evil:
            def __reduce__(self):
                return os.system, (f"touch {DIRECTORY}/evil",)
        bcd = random_blast(self.random, 2, 3, 5, 4, 6)
        path = self.torch_file(
            "m.pt", {f"fc.{k}": (a, [int(s) // 4 for s in a.strides], 0) for k, a in bcd.items()},
            extra={"evil": Evil()})
        store = self.imported(path)
        np.testing.assert_array_equal(store.read("fc.U"), bcd["B"])
        self.assertFalse((DIRECTORY / "evil").exists())

    def test_bad_files(self):
        path = self.directory / "m.pt"
        path.write_bytes(b"\x80\x02.")
        self.refused("m.pt: not an archive of torch.save", [path])
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/x", "")
        self.refused("m.pt: .* no data.pkl", [path])
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"garbage")
        self.refused("m.pt: cannot be unpickled", [path])
        path = self.torch_file("n.pt", {"fc.B": (np.zeros((2, 3), "f4"), (3, 1), 0)})
        with zipfile.ZipFile(path) as archive:
            text = archive.read("archive/data.pkl")
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", text)
            archive.writestr("archive/data/0", b"1234")
        with self.assertRaisesRegex(StructuredError, "n.pt: damaged: a tensor lies outside"):
            Store.open([path]).read("fc.B")


def pathlike():
    """An object of a class that the reader does not know."""
    return Path("x")


class Reports(Case):
    def test_numbers(self):
        matrix = Gblr.pack((8, 6), [(6, 4, np.ones((1, 4)), np.ones((1, 3))),
                                    (0, 0, np.ones((2, 2)), np.ones((2, 2)))], np.dtype("f4"))
        self.assertEqual(cheaper_dense(matrix.components), (1, 4))
        layer = layouts.Layer("fc", "gblr", (8, 6), "gblr, 2 components", 15, [], {}, [],
                              components=matrix.components)
        record = report.layer_record(layer, 0.25)
        self.assertEqual((record["parameters"], record["paper_multiply_adds"], record["rank"]),
                         (15, 11, 3))
        self.assertEqual(record["relative_multiply_adds"], 11 / 48)
        self.assertIn("1 components are cheaper dense", record["notes"])
        # The first wraps on both sides: four pieces.
        self.assertEqual(sorted(report.rectangles((8, 6), matrix.components)),
                         [(0, 2, 0, 1, 1), (0, 2, 0, 2, 2), (0, 2, 4, 2, 1), (6, 2, 0, 1, 1),
                          (6, 2, 4, 2, 1)])

    def test_files(self):
        bcd = random_blast(self.random, 2, 3, 5, 4, 6)
        module = random_gblr(self.random, 12, 8, 5, 2)
        dense = {"a.fc.weight": blast_matrix(*bcd.values()).astype("f4"),
                 "b.fc.weight": 2 * gblr_matrix(module, 100.0).astype("f4")}
        reference = self.save(dense, "dense.safetensors")
        folder = self.directory / "report"
        self.imported(named("a.fc", bcd) | named("b.fc", module)
                      | {"norm": np.zeros(100, "f4")}, "--reference", reference,
                      "--report", folder)
        result = json.loads((folder / "report.json").read_text())
        a, b = result["layers"]
        self.assertEqual((a["parameters"], a["multiply_adds"], a["dense_parameters"]),
                         (6 * (10 + 12 + 6),) * 2 + (120,))
        self.assertLess(a["relative_error"], 1e-6)
        self.assertAlmostEqual(b["relative_error"], 0.5, 5)
        self.assertEqual(result["totals"]["model_parameters_dense"], 120 + 96 + 100)
        self.assertEqual(result["totals"]["parameters"], a["parameters"] + b["parameters"])
        page = (folder / "report.html").read_text()
        self.assertEqual((page.count("<svg"), page.count("<table>")), (1, 2))
        for outside in ("<img", "<script", "src=", '<link'):
            self.assertNotIn(outside, page)
        self.assertIn("![b.fc](b.fc.svg)", (folder / "report.md").read_text())
        pieces = len(report.rectangles((12, 8), Store.open(
            [self.directory / "factors.safetensors"]).read("b.fc.gblr.components")))
        self.assertEqual((folder / "b.fc.svg").read_text().count("opacity: "), pieces)
        again = self.directory / "again"
        self.run_command("report", self.directory / "factors.safetensors", "-o", again,
                         "--reference", reference)
        self.assertEqual(json.loads((again / "report.json").read_text())["layers"][1]
                         ["relative_error"], b["relative_error"])
        self.assertEqual((again / "b.fc.svg").read_text(), (folder / "b.fc.svg").read_text())

    def test_sums_per_sample(self):
        path = self.save(named("a", random_blast(self.random, 2, 3, 5, 4, 6))
                         | named("b", random_blast(self.random, 1, 2, 7, 4, 3)))
        counts = self.directory / "tokens.json"
        folder = self.directory / "report"
        a, b = 6 * (10 + 12 + 6), 3 * (7 + 8 + 2)
        for tokens, of_a, of_b in (("9", 9, 9), (counts, 100, 4)):
            counts.write_text(json.dumps({"a": 100, "b": 4}))
            self.imported(path, "--report", folder, "--tokens", tokens)
            sums = json.loads((folder / "report.json").read_text())["totals"]
            self.assertEqual((sums["dense_multiply_adds"], sums["multiply_adds"]),
                             (of_a * 120 + of_b * 56, of_a * a + of_b * b))
            self.assertEqual((sums["dense_parameters"], sums["parameters"]), (176, a + b))
            self.assertIn("multiply-adds per sample", (folder / "report.md").read_text())
        for text, message in (('{"a": 1}', "no number for layer 'b'"), ("{", "neither a number"),
                              ('{"a": 1, "b": 0}', "layer 'b': 0 is no number"), ("[]", "neither")):
            counts.write_text(text)
            self.refused(f"--tokens .*tokens.json: {message}", [path], "--tokens", counts)
        self.refused("none: No such file", [path], "--tokens", self.directory / "none")

    def test_errors_of_convolutions(self):
        for arguments in ((), ("--channels-first", "--taps", "6")):
            module = random_gblr(self.random, 6, 48, 5, 2)
            weight = gblr_matrix(module, 100.0).reshape(6, 3, 2, 8).transpose(0, 3, 1, 2)
            reference = self.save({"conv.weight": weight.astype("f4")}, "dense.safetensors")
            self.imported(named("conv.gaudi_module", module), "--reference", reference, "--report",
                          self.directory / "report", *arguments)
            result = json.loads((self.directory / "report" / "report.json").read_text())
            self.assertLess(result["layers"][0]["relative_error"], 1e-6)

    def test_inspect(self):
        path = self.save(named("a", random_blast(self.random, 3, 3, 5, 4, 6))
                         | named("b", random_gblr(self.random, 12, 8, 5, 2))
                         | {"a.bias": np.zeros(15, "f4")})
        out, _ = self.run_command("inspect", path, "--json")
        result = json.loads(out)
        self.assertEqual([(r["layer"], r["layout"], len(r.get("orders", ())))
                          for r in result["layers"]], [("a", "blast", 2), ("b", "gblr", 0)])
        self.assertEqual(result["other_tensors"], ["a.bias"])
        out, _ = self.run_command("inspect", path)
        self.assertIn("2 structured layers, 1 other tensors", out)


class CommandLine(Case):
    def test_exit_status(self):
        done = subprocess.run([sys.executable, "-m", "structured", "checkpoint", "inspect",
                               str(self.directory / "none")], capture_output=True, text=True)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stderr, "^structured: error: .*none: No such file\n$")


unittest.main()
