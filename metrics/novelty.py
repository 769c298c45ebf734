"""What of a generated list was in the training text, in the test text, or in neither."""

from collections.abc import Sequence


def by_novelty(lines: Sequence[str], training: str, test: str) -> dict[str, list[str]]:
    """Sort generated lines, each once, by where they have been before.

    A model that repeats its training text scores well by eye and has learnt nothing; a line that is
    in the test text, which the model has never seen, shows that it has learnt the kind.

    >>> by_novelty(["ann", "bo", "cy", "ann"], training="ann\\ndee\\n", test="bo\\n")
    {'seen in training': ['ann'], 'seen in test': ['bo'], 'new': ['cy']}
    """
    in_training, in_test = set(training.splitlines()), set(test.splitlines())
    groups: dict[str, list[str]] = {"seen in training": [], "seen in test": [], "new": []}
    for line in dict.fromkeys(lines):
        if line in in_training:
            groups["seen in training"].append(line)
        elif line in in_test:
            groups["seen in test"].append(line)
        else:
            groups["new"].append(line)
    return groups
