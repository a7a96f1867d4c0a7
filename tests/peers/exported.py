"""Whether `diffusers` reads what `scorefield export` writes, and computes the same.

exported.py FOLDER EXPECTED.safetensors  prints the largest error relative to the largest value of `y`, as the network of the
folder returns it for `x` and `timesteps` (and `classes`, or `sigma`).
"""

import sys

import torch
from diffusers import DiffusionPipeline
from safetensors.torch import load_file

pipeline = DiffusionPipeline.from_pretrained(sys.argv[1])
expected = load_file(sys.argv[2])
time = expected.get("timesteps", expected.get("sigma"))
more = {"class_labels": expected["classes"].long()} if "classes" in expected else {}
with torch.no_grad():
    y = pipeline.unet(expected["x"], time, **more).sample
error = ((y - expected["y"]).abs().max() / expected["y"].abs().max()).item()
print(f"{pipeline.__class__.__name__}, {pipeline.scheduler.__class__.__name__}: {error:.1e}")
sys.exit(error > 1e-4)
