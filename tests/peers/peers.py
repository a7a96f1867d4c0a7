"""The U-Nets of `make bench` in PyTorch: checked against ours, timed, and written as ONNX files.

peers.py STAGE cpu|cuda NETWORK=TRAINING_BATCH...  prints a JSON object for each result; benches/peers.rs reads them.
"""

import json
import logging
import pathlib
import sys
import time

import numpy as np
import torch
from safetensors import safe_open
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

BATCHES = [1, 16, 64, 256]
# On a card: how it multiplies, in the order of interest.
PRECISIONS = ["fp32", "tf32", "bf16"]
SKIP_SCALE = 0.5**0.5


class NormSilu(nn.GroupNorm):
    def __init__(self, channels):
        most = min(max(channels // 4, 1), 32)
        super().__init__(max(g for g in range(1, most + 1) if channels % g == 0), channels, eps=1e-6)

    def forward(self, x):
        return F.silu(super().forward(x))


def conv(c_in, c_out, kernel=3, stride=1):
    return nn.Conv2d(c_in, c_out, kernel, stride, kernel // 2)


class ResBlock(nn.Module):
    def __init__(self, c_in, c_out, widths):
        super().__init__()
        self.norm1, self.conv1 = NormSilu(c_in), conv(c_in, c_out)
        self.shift = slice(sum(widths), sum(widths) + c_out)
        widths.append(c_out)
        self.norm2, self.conv2 = NormSilu(c_out), conv(c_out, c_out)
        self.skip = conv(c_in, c_out, 1) if c_in != c_out else nn.Identity()

    def forward(self, x, time):
        h = self.conv1(self.norm1(x)) + time[:, self.shift, None, None]
        return (self.skip(x) + self.conv2(self.norm2(h))) * SKIP_SCALE


class Attention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.norm = NormSilu(channels)
        self.qkv, self.out = conv(channels, 3 * channels, 1), conv(channels, channels, 1)

    def forward(self, x):
        normalised = F.group_norm(x, self.norm.num_groups, self.norm.weight, self.norm.bias, self.norm.eps)
        q, k, v = self.qkv(normalised).flatten(2).transpose(1, 2).chunk(3, 2)
        weights = torch.softmax(q @ k.transpose(1, 2) / q.shape[2] ** 0.5, 2)
        return (x + self.out((weights @ v).transpose(1, 2).reshape(x.shape))) * SKIP_SCALE


class Stage(nn.Module):
    def __init__(self, c_in, c_out, widths, attends=False):
        super().__init__()
        self.block = ResBlock(c_in, c_out, widths)
        self.attention = Attention(c_out) if attends else None

    def forward(self, x, time):
        x = self.block(x, time)
        return x if self.attention is None else self.attention(x)


class Level(nn.Module):
    def __init__(self, stages, resample):
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.resample = resample


class TimeMlp(nn.Module):
    def __init__(self, dim, widths):
        super().__init__()
        self.first, self.second = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, 4 * dim)
        self.blocks = nn.Linear(4 * dim, sum(widths))

    def forward(self, features):
        return self.blocks(F.silu(self.second(F.silu(self.first(features)))))


class UNet(nn.Module):
    """Module names are those of the model file."""

    def __init__(self, config, channels):
        super().__init__()
        dim, patch, attention = config["channels"], config["patch"], config["attention_levels"]
        shifts = []
        widths = [m * dim for m in config["multipliers"]]
        self.patch = patch
        self.stem = conv(channels * patch**2, widths[0])
        width, kept, down, up = widths[0], [widths[0]], [], []
        for level, level_width in enumerate(widths):
            stages = []
            for _ in range(config["blocks"]):
                stages.append(Stage(width, level_width, shifts, level in attention))
                width = level_width
                kept.append(width)
            last = level + 1 == len(widths)
            down.append(Level(stages, None if last else conv(width, width, 3, 2)))
            if not last:
                kept.append(width)
        self.down = nn.ModuleList(down)
        attends = len(widths) - 1 in attention
        self.middle = nn.ModuleList([Stage(width, width, shifts, attends), Stage(width, width, shifts)])
        for level in reversed(range(len(widths))):
            stages = []
            for _ in range(config["blocks"] + 1):
                stages.append(Stage(width + kept.pop(), widths[level], shifts, level in attention))
                width = widths[level]
            up.append(Level(stages, conv(width, width) if level else None))
        self.up = nn.ModuleList(up)
        self.time = TimeMlp(dim, shifts)
        self.norm, self.head = NormSilu(width), conv(width, channels * patch**2)

    def forward(self, x, features):
        time = self.time(features)
        x = self.stem(F.pixel_unshuffle(x, self.patch) if self.patch > 1 else x)
        kept = [x]
        for level in self.down:
            for stage in level.stages:
                x = stage(x, time)
                kept.append(x)
            if level.resample is not None:
                x = level.resample(x)
                kept.append(x)
        for stage in self.middle:
            x = stage(x, time)
        for level in self.up:
            for stage in level.stages:
                x = stage(torch.cat([x, kept.pop()], 1), time)
            if level.resample is not None:
                x = level.resample(F.interpolate(x, scale_factor=2, mode="nearest"))
        x = self.head(self.norm(x))
        return F.pixel_shuffle(x, self.patch) if self.patch > 1 else x

    def load(self, file):
        """Fills every parameter from the file and uses every tensor of it."""
        modules = dict(self.named_modules())
        parameters = dict(self.named_parameters())
        for name in file.keys():
            owner, leaf = name.rsplit(".", 1)
            module, value = modules[owner], file.get_tensor(name).float()
            if isinstance(module, nn.Conv2d) and leaf == "weight":
                k = module.kernel_size[0]
                value = value.reshape(k, k, module.in_channels, module.out_channels).permute(3, 2, 0, 1)
            elif isinstance(module, nn.Linear) and leaf == "weight":
                value = value.T
            leaf = {"gamma": "weight", "beta": "bias"}.get(leaf, leaf)
            parameter = parameters.pop(f"{owner}.{leaf}")
            assert parameter.shape == value.shape, name
            parameter.data = value.clone(memory_format=torch.contiguous_format)
        assert not parameters, list(parameters)
        return self


def seconds(work, device, at_least=3, budget=2.0):
    """The seconds of single calls, after some that warm up. On a card several are on their way at once, as ours are."""
    calls, budget = (20, 0.5) if device == "cuda" else (1, budget)
    times = []
    for run in range(50):
        begun = time.perf_counter()
        for _ in range(calls):
            work()
        if device == "cuda":
            torch.cuda.synchronize()
        if run:
            times.append((time.perf_counter() - begun) / calls)
        if len(times) >= at_least and calls * sum(times) > budget:
            break
    return times


def training_step(network, batch, shape, features, device, precision):
    """Denoising score matching as in src/objective/dsm.rs, Adam, clipping, moving average."""
    half = torch.autocast(device, torch.bfloat16, enabled=precision == "bf16")
    parameters = list(network.parameters())
    average = [p.detach().clone() for p in parameters]
    optimiser = torch.optim.Adam(parameters, lr=1e-3)
    x0 = torch.rand(batch, *shape, device=device) * 2 - 1
    features = features.expand(batch, -1)

    def step():
        sigma = torch.exp(1.2 * torch.randn(batch, 1, 1, 1, device=device) - 0.5)
        noisy = x0 + sigma * torch.randn_like(x0)
        variance = sigma**2 + 0.25
        with half:
            raw = network(noisy / variance.sqrt(), features)
        denoised = noisy * 0.25 / variance + raw * sigma * 0.5 / variance.sqrt()
        loss = ((denoised - x0) ** 2 * variance / (0.5 * sigma) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, parameters, 0.001)
        # On a card, ours reads the loss of a step while the next one runs.
        return loss.detach() if device == "cuda" else loss.item()

    return step


def load(stage, name):
    """The network of that name with its inputs and its output by our program."""
    with safe_open(stage / "models" / f"{name}.safetensors", "pt") as file:
        card = json.loads(file.metadata()["scorefield"])
        network = UNet(card["architecture"]["config"], card["channels"]).load(file).eval()
    shape = [card[k] for k in ("channels", "height", "width")]
    read = lambda part: torch.from_numpy(np.fromfile(stage / "examples" / f"{name}.{part}.f32", "<f4"))
    x, features, expected = read("x").reshape(-1, *shape), read("features")[None], read("output").reshape(-1, *shape)
    return network, x, features, expected


def export(stage, name):
    network, x, features, _ = load(stage, name)
    (stage / "onnx").mkdir(exist_ok=True)
    batch = torch.export.Dim("batch")
    torch.onnx.export(
        network, (x, features), stage / "onnx" / f"{name}.onnx", input_names=["x", "features"], output_names=["output"],
        dynamic_shapes=({0: batch}, None), dynamo=True, external_data=False, verbose=False,
    )


def measure(stage, name, training_batch, device, precision="fp32", compiled=False):
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    network, x, features, expected = load(stage, name)
    network, x, features, shape = network.to(device), x.to(device), features.to(device), x.shape[1:]
    half = precision == "bf16"
    if half:
        network, features = network.bfloat16(), features.bfloat16()
    run = torch.compile(network, mode="reduce-overhead") if compiled else network
    with torch.inference_mode():
        output = network(x.to(features.dtype), features).float().cpu()
        error = ((output - expected).abs().max() / expected.abs().max()).item()
        assert error < (0.1 if half else 1e-2 if precision == "tf32" else 1e-3), f"{name} on {device}: an error of {error}"
        with FlopCounterMode(display=False) as counter:
            network(x[:1].to(features.dtype), features)
        forward = {}
        for batch in BATCHES:
            x = torch.randn(batch, *shape, device=device, dtype=features.dtype)
            forward[batch] = seconds(lambda: run(x, features), device)
    training = None
    if not compiled:
        step = training_step(network.float().train(), training_batch, shape, features.float(), device, precision)
        training = seconds(step, device)
    return {
        "network": name, "device": device, "precision": precision, "compiled": compiled, "relative_error": error,
        "flops": counter.get_total_flops(), "forward": forward, "training": training,
        "version": torch.__version__, "threads": torch.get_num_threads(),
    }


def main():
    stage, device, networks = pathlib.Path(sys.argv[1]), sys.argv[2], [argument.split("=") for argument in sys.argv[3:]]
    networks = [(name, int(batch)) for name, batch in networks]
    printed, sys.stdout = sys.stdout, sys.stderr  # the exporter talks,
    logging.disable(logging.WARNING)  # and warns of packages that it does not need
    tell = lambda result: print(json.dumps(result), file=printed, flush=True)
    if device == "cuda" and torch.cuda.is_available():
        for compiled in [False, True]:
            for precision in PRECISIONS:
                for name, batch in networks:
                    tell(measure(stage, name, batch, "cuda", precision, compiled))
    if device == "cpu":
        for name, batch in networks:
            export(stage, name)
            tell(measure(stage, name, batch, "cpu"))


if __name__ == "__main__":
    main()
