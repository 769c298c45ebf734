"""What can be said of generated text without a reference: does it repeat itself, vary, copy?

repetition      share of runs of 4 tokens that their text already had (Welleck et al. 2020)
distinct-1, -2  how many different tokens, and pairs of them, for each one written (Li et al. 2016)
self-BLEU       BLEU of each text with all others as references (Zhu et al. 2018), by sacreBLEU
longest copy    characters of the longest span that is in the training text, too

Texts that are alike have a low distinct-n and a high self-BLEU.

Letters: N texts, n tokens in a run.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from .examples import check_pairs
from .score import Score, mean_score
from .suffix_automaton import SuffixAutomaton
from .translation import bleu, tokenize

REPETITION_ORDER = 4


def score(
    texts: Sequence[str], language: str = "en", training: str | Iterable[str] | None = None
) -> dict[str, Score]:
    """Score generated texts.

    >>> scores = score(["so it is so it is so it is", "so it goes"], training="so it was")
    >>> [round(scores[name].value, 2) for name in ("repetition", "distinct-1", "longest copy")]
    [0.5, 0.33, 6.0]

    Args:
        texts: what was generated.
        language: its code; what a token is depends on it, see `translation.tokenize`.
        training: the text that the model has learnt from, whole or in pieces, of any size; without
            it, there is no longest copy.

    Returns:
        The scores by name: shares from 0 to 1, self-BLEU from 0 to 100, the longest copy in
        characters. Not a number where no text is long enough, or, for self-BLEU, there is only one.

    Raises:
        InputError: if there are no texts.
    """
    check_pairs(texts, texts)
    tokens = [tokenize(text, language) for text in texts]
    scores = {
        "repetition": repetition(tokens),
        "distinct-1": distinct(tokens, 1),
        "distinct-2": distinct(tokens, 2),
        "self-BLEU": self_bleu(texts, language),
    }
    if training is not None:
        lengths = [len(span) for span in longest_copies(texts, training)]
        scores["longest copy"] = mean_score(lengths, "characters")
    return scores


def repetition(tokens: Sequence[Sequence[str]], n: int = REPETITION_ORDER) -> Score:
    """Return the mean share of runs of n tokens that their text already had.

        1 - different runs / runs        of each text that has any

    >>> repetition([["a", "b", "a", "b", "a"]], n=2).value
    0.5

    Args:
        tokens: the tokens of each text.
        n: tokens in a run.
    """
    counts = [_ngrams(text, n) for text in tokens]
    shares = [1 - len(each) / each.total() if each else float("nan") for each in counts]
    return mean_score(shares, f"n:{n}|tok:as BLEU")


def distinct(tokens: Sequence[Sequence[str]], n: int, groups: Sequence[int] | None = None) -> Score:
    """Return the number of different runs of n tokens in all texts, for each one that there is.

    Texts that were drawn twice would have nothing new the second time, so the interval comes from
    draws of how much each text counts (the jackknife's influence, Efron 1982), which add up; a sum
    below 0 or above 1 is taken for 0 or 1.

    >>> distinct([["a", "b"], ["a", "c"]], n=1).value
    0.75

    Args:
        tokens: the tokens of each text.
        n: tokens in a run.
        groups: for each text the number, from 0, of the group that is drawn as one, such as a
            dialogue; without it, each text is drawn by itself.
    """
    counts = [_ngrams(text, n) for text in tokens]
    if groups is not None:
        of_groups: list[Counter] = [Counter() for _ in range(max(groups, default=-1) + 1)]
        for group, each in zip(groups, counts, strict=True):
            of_groups[group] += each
        counts = of_groups
    num_texts = Counter(run for each in counts for run in each)
    different, total = len(num_texts), sum(each.total() for each in counts)
    value = different / total if total else float("nan")
    influences = np.zeros(len(counts))
    for k, each in enumerate(counts):
        own = sum(num_texts[run] == 1 for run in each)  # lost without this text
        if total > each.total():
            influences[k] = value - (different - own) / (total - each.total())
    influences *= len(counts) - 1
    values = value + influences - influences.mean()
    score = mean_score(values, f"n:{n}|tok:as BLEU|draws:jackknife influences")
    return replace(score, drawn=np.clip(score.drawn, 0, 1), num_counted=sum(map(bool, counts)))


def self_bleu(texts: Sequence[str], language: str = "en") -> Score:
    """Return the mean BLEU of each text with all others as its references.

    The interval takes the other texts as given.

    >>> round(self_bleu(["a b c d", "a b c d", "e f g h"]).value, 1)
    66.7

    Args:
        texts: what was generated.
        language: its code.
    """
    metric = bleu(language, effective_order=True)
    prepared = [metric._preprocess_segment(text) for text in texts]
    known = [metric._extract_reference_info([text]) for text in prepared]
    # The highest count of a run in all other texts is the highest of all or, for the text that has
    # that one, the second highest.
    highest: dict[tuple[str, ...], list[int]] = {}
    for each in known:
        for run, count in each["ref_ngrams"].items():
            pair = highest.setdefault(run, [0, 0])
            pair[:] = sorted((*pair, count))[1:]
    lengths = Counter(each["ref_lens"][0] for each in known)
    values = []
    for text, each in zip(prepared, known, strict=True):
        others = {}
        for run, count in each["ref_ngrams"].items():
            second, first = highest[run]
            if count_elsewhere := second if count == first else first:
                others[run] = count_elsewhere
        own = each["ref_lens"][0]
        others_lengths = [length for length, count in lengths.items() if count > (length == own)]
        statistics = metric._compute_segment_statistics(
            text, {"ref_ngrams": others, "ref_lens": others_lengths}
        )
        values.append(metric._compute_score_from_stats(statistics).score / 100)
    if len(texts) < 2:
        values = [float("nan")]
    metric.num_refs = len(texts) - 1
    return mean_score(values, str(metric.get_signature()), scale=100)


def longest_copies(texts: Sequence[str], training: str | Iterable[str]) -> list[str]:
    """Return the longest span of each text that the training text has, too.

    Builds an automaton of the generated texts and reads the training text through it, once: with
    100 texts of 500 characters, some four seconds for five million.

    >>> longest_copies(["to be, or so", "rose"], "To be or not to be, that is")
    ['to be, ', 'r']

    Args:
        texts: what was generated.
        training: the text that the model has learnt from, whole or in pieces, such as
            `Text.pieces()`.
    """
    pieces = [training] if isinstance(training, str) else training
    return SuffixAutomaton(texts).longest_shared(pieces)


def _ngrams(tokens: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[k:] for k in range(n)), strict=False))
