"""Graphs with random weights, small converted models, and ncnn in a process of its own."""

import json
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import ncnn
import numpy as np
import pytest

from pocketdet.runtime.ncnn_graph import encode, read_graph, weight_slots, write_graph

WORKER = Path(__file__).with_name("ncnn_worker.py")
DATA = Path(__file__).parents[4] / "shared" / "data"


class Worker:
    """Answers jobs through ncnn_worker.py and starts it again when a job killed it."""

    def __init__(self, folder):
        self.folder, self.process, self.count = folder, None, 0

    def __call__(self, graph, inputs, outputs, **options):
        """Write `graph` and run it: {"shapes": ...}, {"error": ...} or {"crash": exit code}."""
        self.count += 1
        paths = [self.folder / f"{self.count}.{kind}" for kind in ("param", "bin")]
        write_graph(graph, *paths)
        answer = self.run(*paths, inputs, outputs, **options)
        for path in paths:
            path.unlink()
        return answer

    def run(self, param, bin_path, inputs, outputs, **options):
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, str(WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        job = {
            "param": str(param),
            "bin": str(bin_path),
            "inputs": inputs,
            "outputs": list(outputs),
            **options,
        }
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return self._crashed()
        for line in self.process.stdout:
            if line.startswith("answer "):
                answer = json.loads(line.removeprefix("answer "))
                shapes = answer.get("shapes", {})
                return {**answer, "shapes": {blob: tuple(shape) for blob, shape in shapes.items()}}
        return self._crashed()

    def _crashed(self):
        code = self.process.wait()
        self.process = None
        return {"crash": code}

    def close(self):
        if self.process is not None:
            self.process.communicate()


@pytest.fixture(scope="session")
def run_ncnn(tmp_path_factory):
    worker = Worker(tmp_path_factory.mktemp("worker"))
    yield worker
    worker.close()


@pytest.fixture(scope="session")
def layer_exists():
    return lambda name: ncnn.layer_to_index(name) >= 0


@pytest.fixture(scope="session")
def fill():
    """Give every layer of a structure-only graph random weights, in place."""

    def fill_graph(graph, seed=0, storage="fp32"):
        rng = np.random.default_rng(seed)
        for layer in graph.layers:
            layer.weights = {}
            for slot in weight_slots(layer):
                values = rng.uniform(0.1, 1.0, slot.shape).astype(np.float32)
                if slot.tagged and storage == "int8":
                    values = rng.integers(-127, 128, slot.shape).astype(np.int8)
                layer.weights[slot.role] = encode(values, storage if slot.tagged else "raw")
        graph.structure_only = False
        return graph

    return fill_graph


@pytest.fixture(scope="session")
def shared_data():
    if not DATA.is_dir():
        pytest.skip("../shared/data is missing")
    return DATA


def _model(torch):
    nn = torch.nn

    class Block(nn.Module):
        """Half of the channels through a depthwise branch, then a shuffle, as ShuffleNetV2 does."""

        def __init__(self, channels):
            super().__init__()
            half = channels // 2
            self.branch = nn.Sequential(
                nn.Conv2d(half, half, 1),
                nn.ReLU(),
                nn.Conv2d(half, half, 5, padding=2, groups=half),
                nn.SiLU(),
            )

        def forward(self, x):
            kept, changed = x.chunk(2, dim=1)
            x = torch.cat((kept, self.branch(changed)), dim=1)
            n, c, h, w = x.shape
            return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(nn.Conv2d(3, 14, 3, 2, 1), nn.BatchNorm2d(14), nn.PReLU(14))
            self.pool = nn.MaxPool2d(3, 2, 1)
            self.block = Block(14)
            self.norm = nn.GroupNorm(2, 14)
            self.up = nn.ConvTranspose2d(14, 6, 4, 2, 1)
            self.gate = nn.Conv2d(14, 14, 1)
            self.fc = nn.Linear(14, 10)
            self.head = nn.Linear(10, 5)
            self.layer_norm = nn.LayerNorm(9)
            self.scale = nn.Parameter(torch.rand(1, 14, 1, 1))

        def forward(self, x):
            x = self.block(self.pool(self.stem(x)))
            x = self.norm(x) * self.scale
            low = nn.functional.interpolate(x, scale_factor=0.5, mode="bilinear", align_corners=False)
            x = x * torch.sigmoid(self.gate(nn.functional.adaptive_avg_pool2d(x, 1)))
            x = nn.functional.pad(nn.functional.hardswish(x), (1, 0, 0, 1))
            rows = self.layer_norm(nn.functional.avg_pool2d(low, 2).flatten(2)).transpose(1, 2)
            pooled = torch.mean(low, dim=(2, 3))
            return (
                self.up(x),
                self.head(torch.relu(self.fc(rows))),
                torch.softmax(self.head(self.fc(pooled)), 1),
            )

    torch.manual_seed(0)
    torch.set_num_threads(1)
    return Net().eval()


@pytest.fixture(scope="session", params=["fp32", "fp16"])
def converted(request, tmp_path_factory):
    """A small net converted by pnnx: paths of its .param and .bin, its storage, the shapes of its inputs."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("pnnx")
    folder = tmp_path_factory.mktemp(f"pnnx-{request.param}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(_model(torch), torch.rand(1, 3, 48, 48), check_trace=False)
    traced.save(str(folder / "net.pt"))
    command = [Path(sys.executable).with_name("pnnx"), "net.pt", "inputshape=[1,3,48,48]"]
    subprocess.run(
        [*command, f"fp16={int(request.param == 'fp16')}"], cwd=folder, check=True, capture_output=True
    )
    return SimpleNamespace(
        param=folder / "net.ncnn.param",
        bin=folder / "net.ncnn.bin",
        storage=request.param,
        inputs={"in0": (3, 48, 48)},
        read=lambda: read_graph(folder / "net.ncnn.param", folder / "net.ncnn.bin"),
    )
