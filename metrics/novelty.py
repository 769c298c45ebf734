"""What of a generated list was in the training text, in held-out text, or in neither."""

from collections.abc import Sequence


def by_novelty(lines: Sequence[str], training: str, held_out: str) -> dict[str, list[str]]:
    """Sort generated lines, each once, by where they have been before.

    A model that repeats its training text scores well by eye and has learnt nothing; a line that is
    in held-out text, which the model has never seen, shows that it has learnt the kind.

    >>> by_novelty(["ann", "bo", "cy", "ann"], training="ann\\ndee\\n", held_out="bo\\n")
    {'seen in training': ['ann'], 'held out': ['bo'], 'new': ['cy']}
    """
    in_training, in_held_out = set(training.splitlines()), set(held_out.splitlines())
    groups: dict[str, list[str]] = {"seen in training": [], "held out": [], "new": []}
    for line in dict.fromkeys(lines):
        if line in in_training:
            groups["seen in training"].append(line)
        elif line in in_held_out:
            groups["held out"].append(line)
        else:
            groups["new"].append(line)
    return groups
