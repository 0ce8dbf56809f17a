"""Kills a factorisation with SIGKILL once its first layers are on the disk,
runs it again, and compares the result with an undisturbed run.

Usage: kill_and_resume.py STRUCTURED_OPT DIRECTORY
"""

import pathlib
import signal
import subprocess
import sys
import time

import numpy as np
from safetensors.numpy import save_file

opt, directory = sys.argv[1], pathlib.Path(sys.argv[2])
layers, size, rank = 8, 256, 64
directory.mkdir(parents=True, exist_ok=True)

rng = np.random.default_rng(0)
weights = {f"l{k}.weight": rng.standard_normal((size, size)).astype(np.float32)
           for k in range(layers)}
save_file(weights, directory / "w.safetensors")
kind = f"tensor<{size}x{size}xf32>"
lines = [f"func.func @main(%x: {kind}, %y: {kind}) -> {kind} {{"]
value = "%y"
for k in range(layers):
    plan = f"#structured.plan<blast, blocks = 4 : 4, rank = {rank}>"
    lines += [f'  %w{k} = structured.parameter "l{k}.weight" : {kind}',
              f'  %y{k} = structured.linear {{layer = "l{k}", plan = {plan}}} '
              f"ins(%x, %w{k} : {kind}, {kind}) outs({value} : {kind}) -> {kind}"]
    value = f"%y{k}"
lines += [f"  return {value} : {kind}", "}"]
(directory / "model.mlir").write_text("\n".join(lines))


def command(name):
    options = (f"weights={directory}/w.safetensors progress iterations=200 "
               f"output={directory}/{name}.safetensors")
    return [opt, str(directory / "model.mlir"), "-o", "/dev/null",
            f"--structured-factorize={options}"]


work = directory / "resumed.safetensors.work"
process = subprocess.Popen(command("resumed"), stderr=subprocess.DEVNULL)
while len(list(work.glob("*.safetensors"))) < 2:
    assert process.poll() is None, "finished before it could be killed"
    time.sleep(0.005)
process.send_signal(signal.SIGKILL)
assert process.wait() == -signal.SIGKILL
finished = len(list(work.glob("*.safetensors")))
assert 2 <= finished < layers, finished
assert not (directory / "resumed.safetensors").exists()

second = subprocess.run(command("resumed"), stderr=subprocess.PIPE, text=True,
                        check=True)
assert second.stderr.count("(reused)") == finished, second.stderr
assert not work.exists()

subprocess.run(command("undisturbed"), stderr=subprocess.DEVNULL, check=True)
resumed = (directory / "resumed.safetensors").read_bytes()
assert resumed == (directory / "undisturbed.safetensors").read_bytes()
leftovers = [p.name for p in directory.iterdir() if "tmp" in p.name]
assert not leftovers, leftovers
print("resumed after", finished, "of", layers, "layers: same result")
