"""What the setting of `gpt-nano` reaches in PyTorch, on the same text, scored in the same way.

    python bench/quality.py                      needs the extra `parity`
    python bench/quality.py --seeds 1337         one training instead of three

The model, its first weights, the windows, the optimizer and the learning rates are those of the
recipe. The result compares with the line `Validation:` that `python train.py gpt-nano` ends with.
"""

import math
from dataclasses import dataclass

import kerazoo  # isort: skip  # noqa: F401, before TensorFlow, which then starts quietly
import numpy as np
import torch
import tyro
from peers import TorchGPT
from torch import nn
from torch.nn import functional

from kerazoo import recipes
from kerazoo.data import datasets, tokenizers
from kerazoo.data.batches import TokenFile, tokenize, training_windows
from kerazoo.training.optimizers import make_schedule

RECIPE = recipes.find("gpt-nano")
MODEL, TRAIN = RECIPE.model, RECIPE.train


@dataclass(frozen=True)
class Options:
    """What `python bench/quality.py` takes."""

    seeds: tuple[int, ...] = (1337, 1, 2)
    """Seeds of the first weights and of the windows, one training each."""


def run(options: Options) -> None:
    """Train once for each seed, and print the loss on the validation split."""
    corpus = datasets.load(RECIPE.data)
    tokenizer = tokenizers.train(RECIPE.data.tokenizer, corpus.train, RECIPE.data.vocab_size)
    learnt, held_out = (tokenize(text, tokenizer) for text in (corpus.train, corpus.validation))
    for seed in options.seeds:
        model = new_model(tokenizer.vocab_size, seed)
        train(model, learnt, seed)
        print(f"seed {seed}: loss {validation_loss(model, held_out):.4f} nats", flush=True)


def new_model(vocab_size: int, seed: int) -> TorchGPT:
    """Return a model with the first weights of GPT-2."""
    torch.manual_seed(seed)
    model = TorchGPT(
        vocab_size, MODEL.context_length, MODEL.num_layers, MODEL.num_heads, MODEL.width
    )
    for name, weight in model.named_parameters():
        if weight.ndim > 1:
            ends_branch = name.endswith((".output.weight", ".feed_forward.2.weight"))
            depth = 2 * MODEL.num_layers if ends_branch else 1
            nn.init.normal_(weight, std=0.02 / math.sqrt(depth))
    return model


def train(model: TorchGPT, tokens: TokenFile, seed: int) -> None:
    """Train as the recipe says."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    scales = [weight for weight in model.parameters() if weight.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices}, {"params": scales, "weight_decay": 0.0}],
        betas=(TRAIN.beta_1, TRAIN.beta_2),
        weight_decay=TRAIN.weight_decay,
    )
    learning_rate = make_schedule(TRAIN, TRAIN.steps)
    windows = training_windows(tokens, MODEL.context_length, TRAIN.batch_size, seed)
    for step, batch in enumerate(windows.take(TRAIN.steps).as_numpy_iterator()):
        for group in optimizer.param_groups:
            group["lr"] = float(learning_rate(step))
        loss = losses(model, *batch).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), TRAIN.clip_norm)
        optimizer.step()


@torch.no_grad()
def validation_loss(model: TorchGPT, tokens: TokenFile) -> float:
    """Return the mean loss of the tokens after the first, in windows side by side."""
    (text,) = tokens.read([0], tokens.num_tokens)
    starts = range(0, len(text) - 1, MODEL.context_length)
    windows = [text[None, start : start + MODEL.context_length + 1] for start in starts]
    return float(torch.cat([losses(model, w[:, :-1], w[:, 1:])[0] for w in windows]).mean())


def losses(model: TorchGPT, token_ids: np.ndarray, next_ids: np.ndarray) -> torch.Tensor:
    """Return the loss of each prediction in nats: two arrays of ids (B, T) to (B, T)."""
    token_ids, next_ids = (torch.from_numpy(ids.astype("int64")) for ids in (token_ids, next_ids))
    return functional.cross_entropy(model(token_ids).transpose(1, 2), next_ids, reduction="none")


if __name__ == "__main__":
    run(tyro.cli(Options, description=__doc__))
