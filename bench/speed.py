"""Speed of training steps and of generation, next to PyTorch and keras-nlp, in one run.

    python bench/speed.py                  all cases; needs the extra `parity`
    python bench/speed.py --cases nano     only cases whose name has "nano" in it

The contenders of a case take turns, so that a machine that slows down slows all of them down; what
counts is the median of each and the median of the ratios, turn by turn. The result goes to
bench/results/, with the machine and its own limits: the rate of a large matrix product and of
reading memory.
"""

import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import kerazoo  # isort: skip  # noqa: F401, before TensorFlow, which then starts quietly
import keras
import keras_nlp
import numpy as np
import tensorflow as tf
import torch
import tyro
from peers import TorchGPT, TorchLSTM, training_step
from rich.console import Console
from rich.table import Table

from kerazoo import recipes, run_folder
from kerazoo.models import families
from kerazoo.models.configs import GPTConfig, RNNConfig
from kerazoo.models.decoding import generate
from kerazoo.models.sampling import Sampling
from kerazoo.tasks.language_modeling import BitsPerByte
from kerazoo.tasks.losses import CrossEntropy
from kerazoo.training.config import TrainConfig
from kerazoo.training.optimizers import make_optimizer

TRAINING = TrainConfig(steps=1, learning_rate=1e-3, beta_2=0.99, weight_decay=0.1, clip_norm=1.0)
NANO = replace(recipes.find("gpt-nano").model, vocab_size=66)
BABY = replace(recipes.find("gpt-baby").model, vocab_size=66, dropout=0.0)
GPT2_SMALL = GPTConfig(
    vocab_size=50_257, context_length=1024, num_layers=12, num_heads=12, width=768, use_bias=False
)


@dataclass(frozen=True)
class Options:
    """What `python bench/speed.py` takes."""

    cases: str = ""
    """Run the cases whose name has this in it."""
    turns: int = 5
    """How often each contender takes its turn."""
    out: Path = Path("bench/results")
    """Folder for the result."""


Contender = Callable[[], float]
"""Does a piece of work and returns how long one unit of it took, in seconds."""


def timed(work: Callable[[], object], units: int) -> Contender:
    """Return a contender whose work consists of so many units; the first run, here, compiles."""
    work()

    def contender() -> float:
        start = time.perf_counter()
        work()
        return (time.perf_counter() - start) / units

    return contender


# === Training ===


def random_ids(vocab_size: int, batch_size: int, length: int) -> np.ndarray:
    """Return ids (B, T + 1) for inputs and targets."""
    rng = np.random.default_rng(0)
    return rng.integers(0, vocab_size, (batch_size, length + 1)).astype("int32")


def keras_training(
    model: keras.Model, inputs: object, targets: np.ndarray, steps: int
) -> Contender:
    """Time the training function that `fit` calls."""
    batches = tf.data.Dataset.from_tensors((inputs, targets)).repeat().prefetch(4)
    iterator = iter(batches)
    model.make_train_function()
    return timed(lambda: float(model.train_function(iterator)["loss"]), steps)


def kerazoo_training(config: object, token_ids: np.ndarray, steps: int) -> Contender:
    """Train a model of kerazoo's with the loss, metric and compilation of `train.py`."""
    model = families.build(config)
    optimizer = make_optimizer(TRAINING, 1e-3, model.trainable_variables)
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer,
        loss=CrossEntropy(),
        weighted_metrics=[BitsPerByte(tokens_per_byte=1.0)],
        jit_compile=model.prefers_xla,
        steps_per_execution=steps,
    )
    return keras_training(model, token_ids[:, :-1], token_ids[:, 1:], steps)


def keras_nlp_gpt2(config: GPTConfig) -> keras.Model:
    """Return keras-nlp's GPT-2 of the same size."""
    backbone = keras_nlp.models.GPT2Backbone(
        vocabulary_size=config.vocab_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
        hidden_dim=config.width,
        intermediate_dim=4 * config.width,
        dropout=0.0,
        max_sequence_length=config.context_length,
    )
    return keras_nlp.models.GPT2CausalLM(backbone=backbone, preprocessor=None)


def keras_nlp_training(config: GPTConfig, token_ids: np.ndarray, steps: int) -> Contender:
    """Train keras-nlp's GPT-2 with the same optimizer, compiled by XLA."""
    model = keras_nlp_gpt2(config)
    optimizer = make_optimizer(TRAINING, 1e-3, model.trainable_variables)
    optimizer.build(model.trainable_variables)
    model.compile(
        optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=True,
        steps_per_execution=steps,
    )
    inputs = {"token_ids": token_ids[:, :-1], "padding_mask": np.ones_like(token_ids[:, :-1])}
    return keras_training(model, inputs, token_ids[:, 1:], steps)


def torch_training(model: torch.nn.Module, token_ids: np.ndarray, steps: int) -> Contender:
    """Train the plain PyTorch model."""
    step = training_step(model.to(DEVICE), torch.tensor(token_ids, device=DEVICE).long())
    return timed(lambda: [step() for _ in range(steps)], steps)


def torch_gpt(config: GPTConfig) -> TorchGPT:
    """Return the plain PyTorch GPT of the same size."""
    return TorchGPT(
        config.vocab_size,
        config.context_length,
        config.num_layers,
        config.num_heads,
        config.width,
    )


def gpt_training(config: GPTConfig, batch_size: int, steps: int) -> dict[str, Contender]:
    """Return the contenders for the training step of a GPT."""
    token_ids = random_ids(config.vocab_size, batch_size, config.context_length)
    return {
        "kerazoo": kerazoo_training(config, token_ids, steps),
        "PyTorch": torch_training(torch_gpt(config), token_ids, steps),
        "keras-nlp": keras_nlp_training(config, token_ids, steps),
    }


def lstm_training(config: RNNConfig, batch_size: int, steps: int) -> dict[str, Contender]:
    """Return the contenders for the training step of an LSTM."""
    token_ids = random_ids(config.vocab_size, batch_size, config.context_length)
    theirs = TorchLSTM(config.vocab_size, config.width, config.num_layers)
    return {
        "kerazoo": kerazoo_training(config, token_ids, steps),
        "PyTorch": torch_training(theirs, token_ids, steps),
    }


# === Generation ===


def gpt_generation(config: GPTConfig, number: int) -> dict[str, Contender]:
    """Return the contenders for greedy generation with a cache, one text at a time."""
    prompt = random_ids(config.vocab_size, 1, 15)
    ours = families.build(config)
    theirs = keras_nlp_gpt2(config)
    theirs.compile(sampler="greedy")
    plain = torch_gpt(config).to(DEVICE).eval()
    padded = np.zeros((1, 16 + number), "int32")
    padded[:, :16] = prompt
    inputs = {"token_ids": padded, "padding_mask": np.arange(16 + number)[None] < 16}
    return {
        "kerazoo": timed(lambda: generate(ours, list(prompt), number, Sampling("greedy")), number),
        "PyTorch": timed(
            lambda: plain.generate(torch.tensor(prompt, device=DEVICE).long(), number).cpu(), number
        ),
        "keras-nlp": timed(lambda: theirs.generate(inputs, stop_token_ids=None), number),
    }


# === The machine ===

HAS_GPU = bool(tf.config.list_physical_devices("GPU")) and torch.cuda.is_available()
DEVICE = "cuda" if HAS_GPU else "cpu"  # or one side would compute on the card alone


def machine() -> dict[str, object]:
    """Return what the figures were measured on, and its own limits."""
    size = 4096
    a = tf.random.normal((size, size))
    product = tf.function(lambda: tf.reduce_sum(tf.matmul(a, a)))
    block = tf.random.normal((1 << 26,))  # 256 MiB
    total = tf.function(lambda: tf.reduce_sum(block))

    def best(function: Callable) -> float:
        contender = timed(lambda: function().numpy(), 1)
        return min(contender() for _ in range(5))

    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "gpu": [device.name for device in tf.config.list_physical_devices("GPU")],
        "torch_device": DEVICE,
        "platform": platform.platform(),
        "matmul_gflops": round(2 * size**3 / best(product) / 1e9, 1),
        "memory_gb_per_s": round(4 * (1 << 26) / best(total) / 1e9, 1),
        **run_folder.environment(),
        "torch": torch.__version__,
    }


def processor() -> str:
    """Return the processor's name."""
    if platform.system() == "Linux":
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor()


# === The run ===

CASES: dict[str, tuple[str, Callable[[], dict[str, Contender]]]] = {
    "train nano": (
        "ms a step; 4 layers x 128, batch 12 x 64",
        lambda: gpt_training(NANO, batch_size=12, steps=10),
    ),
    "train baby": (
        "ms a step; 6 layers x 384, batch 16 x 256",
        lambda: gpt_training(BABY, batch_size=16, steps=1),
    ),
    "train lstm": (
        "ms a step; 1 layer x 256, batch 32 x 64",
        lambda: lstm_training(RNNConfig(vocab_size=82, width=256), batch_size=32, steps=5),
    ),
    "generate nano": (
        "ms a token; 4 layers x 128",
        lambda: gpt_generation(replace(NANO, context_length=512), number=480),
    ),
    "generate gpt2-small": (
        "ms a token; 12 layers x 768, 50,257 tokens",
        lambda: gpt_generation(replace(GPT2_SMALL, context_length=128), number=96),
    ),
}


def measure(contenders: dict[str, Contender], turns: int) -> dict[str, object]:
    """Let the contenders take turns; return medians in ms and kerazoo's ratio to each peer."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(turns):
        for name, contender in contenders.items():
            times[name].append(1000 * contender())
    ratios = {
        name: statistics.median(
            ours / theirs for ours, theirs in zip(times["kerazoo"], times[name], strict=True)
        )
        for name in contenders
        if name != "kerazoo"
    }
    return {
        "ms": {name: round(statistics.median(each), 3) for name, each in times.items()},
        "ratio": {name: round(ratio, 3) for name, ratio in ratios.items()},
        "all_ms": {name: [round(value, 3) for value in each] for name, each in times.items()},
    }


def main() -> None:
    """Measure, print a table and write the result."""
    options = tyro.cli(Options, description=__doc__)
    result: dict[str, object] = {"date": time.strftime("%Y-%m-%d %H:%M"), "machine": machine()}
    table = Table(title="kerazoo next to its peers; a ratio below 1: kerazoo is faster")
    for column in ("case", "unit", "kerazoo", "PyTorch", "ratio", "keras-nlp", "ratio"):
        table.add_column(column, justify="left" if column in ("case", "unit") else "right")
    for name, (unit, make) in CASES.items():
        if options.cases not in name:
            continue
        result[name] = measured = measure(make(), options.turns)
        cells = [f"{measured['ms']['kerazoo']:.2f}"]
        for peer in ("PyTorch", "keras-nlp"):
            there = peer in measured["ms"]
            cells.append(f"{measured['ms'][peer]:.2f}" if there else "-")
            cells.append(f"{measured['ratio'][peer]:.2f}" if there else "-")
        table.add_row(name, unit, *cells)
        keras.backend.clear_session()
    console = Console()
    if not console.is_terminal:
        console.width = 120
    console.print(table)
    about = result["machine"]
    print(
        f"{about['processor']}, {about['cores']} cores, GPU: {about['gpu'] or 'none'}; "
        f"matrix product {about['matmul_gflops']} GFLOP/s, memory {about['memory_gb_per_s']} GB/s"
    )
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / f"{time.strftime('%Y%m%d-%H%M%S')}.json"
    path.write_text(json.dumps(result, indent=2) + "\n")
    print(f"Written to {path}")


if __name__ == "__main__":
    main()
