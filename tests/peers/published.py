"""A full-size published network in `diffusers` with random weights: written as it is published, run, and timed.

published.py STAGE/NAME  writes the model there, an example, and an ONNX file of it beside those of peers.py, and prints a
JSON object; benches/published.rs and benches/browser.rs read them.
"""

import json
import logging
import pathlib
import resource
import sys
import time

import diffusers
import torch
from diffusers import DDPMScheduler, UNet2DModel
from safetensors.torch import save_file

BATCHES = [1, 16]
TRAINING_BATCH = 4

folder = pathlib.Path(sys.argv[1])
printed, sys.stdout = sys.stdout, sys.stderr  # the exporter talks,
logging.disable(logging.WARNING)  # and warns of packages that it does not need
torch.manual_seed(0)
# google/ddpm-cifar10-32, 35,746,307 weights.
network = UNet2DModel(
    sample_size=32,
    in_channels=3,
    out_channels=3,
    block_out_channels=(128, 256, 256, 256),
    down_block_types=("DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    layers_per_block=2,
    downsample_padding=0,
    attention_head_dim=None,
    norm_num_groups=32,
    norm_eps=1e-6,
    freq_shift=1,
    flip_sin_to_cos=False,
)
network.save_pretrained(folder / "unet")
DDPMScheduler(clip_sample=False).save_pretrained(folder / "scheduler")


def inputs(batch):
    return torch.randn(batch, 3, 32, 32), torch.full((batch,), 500)


def seconds(work, runs):
    work()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        work()
        times.append(time.perf_counter() - begun)
    return times




class Told(torch.nn.Module):
    """The network as peers.js knows them: the timestep in a row, for all images."""

    def forward(self, x, features):
        return network(x, features[0].expand(x.shape[0])).sample


def export(x):
    stage, name, features = folder.parent, folder.name, torch.tensor([[500.0]])
    for part in ("onnx", "examples"):
        (stage / part).mkdir(exist_ok=True)
    for part, values in (("x", x), ("features", features), ("output", Told()(x, features))):
        values.numpy().tofile(stage / "examples" / f"{name}.{part}.f32")
    torch.onnx.export(
        Told().eval(), (x, features), stage / "onnx" / f"{name}.onnx", input_names=["x", "features"], output_names=["output"],
        dynamic_shapes=({0: torch.export.Dim("batch")}, None), dynamo=True, external_data=False, verbose=False,
    )


network.eval()
with torch.no_grad():
    x, t = inputs(2)
    save_file({"x": x, "y": network(x, t).sample.contiguous()}, folder / "example.safetensors")
    forward = {}
    for batch in BATCHES:
        x, t = inputs(batch)
        forward[batch] = seconds(lambda: network(x, t), 7 if batch == 1 else 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    export(inputs(2)[0])

network.train()
adam = torch.optim.Adam(network.parameters(), 1e-4)
x, t = inputs(TRAINING_BATCH)


def step():
    adam.zero_grad()
    ((network(x, t).sample - x) ** 2).mean().backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    adam.step()


print(
    json.dumps(
        {
            "version": f"{torch.__version__}, diffusers {diffusers.__version__}, {torch.get_num_threads()} threads",
            "forward": forward,
            "training": seconds(step, 3),
            "training_batch": TRAINING_BATCH,
            "peak": peak,
        }
    ),
    file=printed,
)
