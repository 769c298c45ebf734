import gzip
import random

import pytest


def without_some_words(texts, share, seed=0):
    """What a bad system would say: the references, with a share of their words left out."""
    chance = random.Random(seed)
    return [" ".join(word for word in text.split() if chance.random() > share) for text in texts]


@pytest.fixture
def spanish(mirror):
    """300 Spanish sentences, and two systems' translations of them."""
    with gzip.open(mirror / "anki-spa-eng" / "spa.txt.gz", "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[60_000:60_300]
    references = [line.split("\t")[1] for line in lines]
    return (
        without_some_words(references, 0.1, seed=1),
        without_some_words(references, 0.13, seed=2),
        references,
    )


@pytest.fixture
def chinese(mirror):
    """Chinese sentences, each with every third character left out, and whole."""
    lines = (mirror / "anki-cmn-eng" / "cmn.txt").read_text(encoding="utf-8").split("\n")
    references = [line.split("\t")[1] for line in lines[10_000:10_200]]
    return ["".join(c for k, c in enumerate(text) if k % 3) for text in references], references


@pytest.fixture
def picked():
    """Which examples the first draw picks, for scores to be computed from them anew."""
    import numpy as np

    from kerazoo.metrics.score import draws

    def pick(num_examples):
        return np.repeat(np.arange(num_examples), next(draws(num_examples))[0].astype(int))

    return pick
