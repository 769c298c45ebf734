"""BLEU, chrF, chrF++ and TER, by sacreBLEU.

BLEU (Papineni et al. 2002) counts the words and runs of up to four words that a translation shares
with its references; chrF (Popović 2015) counts runs of characters, chrF++ (Popović 2017) words and
pairs of words as well; TER (Snover et al. 2006) counts the edits that would turn a translation into
a reference, so less is better. What they count depends on the tokenizer, the smoothing, the
version: the signature (Post 2018) tells.

Intervals come from sacreBLEU's bootstrap, p-values from its approximate randomization (Riezler and
Maxwell 2005), with its seed and its number of draws. Its paired bootstrap counts only one tail of
the differences, which makes p-values half of what they should be.

Letters: N examples, K statistics of an example.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import ClassVar

import numpy as np
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.metrics.base import Metric

from ..errors import InputError, did_you_mean
from .examples import References, check_pairs, reference_lists
from .languages import UNSPACED, base_language, is_tokenised
from .score import NUM_DRAWS, SEED, Score, drawn_sums

NUM_SHUFFLES = 10_000
_CHUNK = 1 << 24  # examples exchanged or not at a time


@dataclass(frozen=True)
class TranslationScore(Score):
    """A score that sacreBLEU computes from sums over the examples.

    Args:
        metric: sacreBLEU's metric.
        statistics: what it counted in each example, (N, K).
    """

    metric: Metric = field(kw_only=True, repr=False, compare=False)
    statistics: np.ndarray = field(kw_only=True, repr=False, compare=False)

    TEST: ClassVar[str] = f"approximate randomization, {NUM_SHUFFLES:,} shuffles"

    def _p_value(self, baseline: "TranslationScore") -> float:
        """Return how often a difference as large comes of exchanging the systems' outputs.

        Each shuffle exchanges the two systems' translations of about half the examples. One that
        makes the same difference again counts, which sacreBLEU's test leaves out: where a single
        example differs, all do.
        """
        mine, theirs = self.statistics, baseline.statistics
        generator = np.random.default_rng(SEED)
        # 32 rows at a time or a multiple: numpy draws 32 bits at once, and these are sacreBLEU's.
        rows = 32 * max(1, _CHUNK // (32 * len(mine)))
        larger = 0
        for start in range(0, NUM_SHUFFLES, rows):
            shape = (min(rows, NUM_SHUFFLES - start), len(mine))
            exchanged = generator.integers(2, size=shape, dtype=bool).astype(np.float64)
            moved = exchanged @ (theirs - mine)
            one, other = (
                _values(self.metric, sums) for sums in (mine.sum(0) + moved, theirs.sum(0) - moved)
            )
            large = abs(self.value - baseline.value) - 1e-9  # equal but for rounding counts, too
            larger += int(np.sum(np.abs(one - other) >= large))
        return (larger + 1) / (NUM_SHUFFLES + 1)


def score(
    predictions: Sequence[str],
    references: References,
    language: str = "en",
    metrics: Sequence[str] = ("BLEU", "chrF", "chrF++", "TER"),
    groups: Sequence[int] | None = None,
) -> dict[str, Score]:
    """Score translations.

    >>> scores = score(["the cat sat on a mat"], [["the cat sat on the mat", "a cat sat there"]])
    >>> {name: round(score.value, 1) for name, score in scores.items()}
    {'BLEU': 56.2, 'chrF': 66.0, 'chrF++': 67.4, 'TER': 20.0}
    >>> print(scores["BLEU"].signature)
    nrefs:2|bs:1000|seed:12345|case:mixed|eff:no|tok:13a|smooth:exp|version:...

    Args:
        predictions: what the system wrote, one text for each example.
        references: for each example its reference, or several.
        language: the code of the language that was translated into. Chinese is tokenized by
            sacreBLEU's `zh`, Japanese and Korean by MeCab where it is installed, and by
            character where it is not, as other languages without spaces are; all else by `13a`.
            Texts whose words stand apart already, as de-x-tok says, are taken as they are.
        metrics: which of `METRICS` to compute.
        groups: for each example the number, from 0, of the group that is drawn as one, such as a
            dialogue; without it, each example is drawn by itself.

    Returns:
        The scores by name, from 0 to 100; TER may be higher.

    Raises:
        InputError: if predictions and references do not go together, or a metric is unknown.
    """
    references = reference_lists(references)
    check_pairs(predictions, references)
    base_language(language)  # or its name would be taken for a language without rules of its own
    for name in metrics:
        if name not in METRICS:
            raise InputError(
                f"there is no metric '{name}' of translations; there are {', '.join(METRICS)}"
                f"{did_you_mean(name, METRICS)}"
            )
    return {
        name: _score(METRICS[name](language), predictions, references, groups) for name in metrics
    }


def tokenize(text: str, language: str = "en") -> list[str]:
    """Return a text's tokens as BLEU counts them.

    >>> tokenize("Hello, world!"), tokenize("你好, world", "zh")
    (['Hello', ',', 'world', '!'], ['你', '好', ',', 'world'])
    """
    return _tokenizer(language)(text.rstrip()).split()


@functools.cache
def _tokenizer(language: str) -> Callable[[str], str]:
    return bleu(language).tokenizer


def bleu(language: str, **settings: bool) -> BLEU:
    """Return sacreBLEU's BLEU with the tokenizer for a language."""
    if is_tokenised(language):
        # Else it warns of what looks tokenized.
        return BLEU(tokenize="none", force=True, **settings)
    language = base_language(language)
    if language == "zh":
        return BLEU(tokenize="zh", **settings)
    if language in ("ja", "ko"):
        try:
            return BLEU(tokenize=f"{language}-mecab", **settings)
        except RuntimeError:  # MeCab is not installed
            return BLEU(tokenize="char", **settings)
    return BLEU(tokenize="char" if language in UNSPACED else "13a", **settings)


def _ter(language: str) -> TER:
    # As it comes, TER takes a Chinese sentence for one word.
    is_one_word = base_language(language) in ("zh", "ja") and not is_tokenised(language)
    return TER(normalized=True, asian_support=True) if is_one_word else TER()


METRICS: dict[str, Callable[[str], Metric]] = {
    "BLEU": bleu,
    "chrF": lambda language: CHRF(),
    "chrF++": lambda language: CHRF(word_order=2),
    "TER": _ter,
}
"""The metrics by name, each a function of the language."""


def _score(
    metric: Metric,
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    groups: Sequence[int] | None,
) -> TranslationScore:
    # sacreBLEU wants all first references, all second ones, ...; None where there are fewer.
    documents = list(zip_longest(*references))
    # Its public functions neither give the draws nor take counts; these give both their numbers.
    statistics = np.array(metric._extract_corpus_statistics(predictions, documents), np.float64)
    if groups is not None:
        summed = np.zeros((max(groups) + 1, statistics.shape[1]))
        np.add.at(summed, np.asarray(groups), statistics)
        statistics = summed
    metric.n_bootstrap, metric.seed = NUM_DRAWS, str(SEED)  # for the signature
    return TranslationScore(
        float(_values(metric, statistics.sum(0, keepdims=True))[0]),
        _values(metric, drawn_sums(statistics)),
        len(statistics),
        str(metric.get_signature()),
        scale=100,
        metric=metric,
        statistics=statistics,
    )


def _values(metric: Metric, sums: np.ndarray) -> np.ndarray:
    """Return the scores that belong to sums over examples: (R, K) to (R,)."""
    return np.array([metric._compute_score_from_stats(list(row)).score for row in sums])
