"""ROUGE-1, ROUGE-2, ROUGE-L and ROUGE-Lsum, by rouge-score.

ROUGE (Lin 2004) counts what a summary shares with a reference: words (1), pairs of words (2), the
longest common subsequence of words (L), the same for each sentence of the reference (Lsum). Recall
is the share of the reference that was found, precision the share of the summary that is in the
reference, and the score their harmonic mean, F1. rouge-score takes lines for sentences; of a text
in one line, Lsum is L.

rouge-score knows the letters a-z alone. Other alphabets get a tokenizer here, as the signature
says; what is counted stays its own.
"""

import re
from collections.abc import Iterable, Sequence
from importlib import metadata

from rouge_score import rouge_scorer, tokenizers

from ..errors import InputError
from .examples import References, check_pairs, reference_lists
from .languages import UNSPACED, base_language, characters, words
from .score import Score, mean_scores

ROUGE = {
    "ROUGE-1": "rouge1",
    "ROUGE-2": "rouge2",
    "ROUGE-L": "rougeL",
    "ROUGE-Lsum": "rougeLsum",
}
"""The scores by name, and what rouge-score calls them."""
_ENGLISH = re.compile("[a-z0-9]")
_AFTER_SENTENCE = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])(?![。！？])\s*")


class UnicodeTokenizer(tokenizers.Tokenizer):
    """Splits text into words of any alphabet."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words of a text."""
        return words(text)


class CharacterTokenizer(tokenizers.Tokenizer):
    """Splits text into characters."""

    def tokenize(self, text: str) -> list[str]:
        """Return the characters of a text."""
        return characters(text)


def score(
    predictions: Sequence[str],
    references: References,
    language: str = "en",
    stemmer: bool = False,
    split: bool = False,
) -> dict[str, Score]:
    """Score summaries.

    >>> scores = score(["the cat sat"], [["the cat lay", "a cat sat down"]])
    >>> round(scores["ROUGE-1"].value, 3), round(scores["ROUGE-1 recall"].value, 3)
    (0.667, 0.667)
    >>> print(score(["猫坐着"], ["猫躺着"], "zh")["ROUGE-1"].signature)
    rouge-score|tok:characters|stemmer:no|sentences:lines|refs:best F1|version:0.1.2

    Args:
        predictions: what the system wrote, one text for each example; for ROUGE-Lsum, with a new
            line after each sentence, unless they are to be split.
        references: for each example its reference, or several, of which the one with the best F1
            counts.
        language: the code of the language. English is tokenized by rouge-score, languages without
            spaces by character, all else by Unicode's letters and digits.
        stemmer: whether endings of English words are cut off first (Porter 1980).
        split: whether predictions and references are split into sentences: see `in_lines`.

    Returns:
        The mean F1 of each kind under its name, its precision and its recall; from 0 to 1.

    Raises:
        InputError: if predictions and references do not go together, or the references are not in
            the letters of the language.
    """
    references = reference_lists(references)
    check_pairs(predictions, references)
    check_letters(references, language)
    if split:
        predictions = [in_lines(text) for text in predictions]
        references = [[in_lines(text) for text in several] for several in references]
    tokenizer, name = _tokenizer(base_language(language), stemmer)
    scorer = rouge_scorer.RougeScorer(list(ROUGE.values()), tokenizer=tokenizer)
    results = [
        scorer.score_multi(several, prediction)
        for several, prediction in zip(references, predictions, strict=True)
    ]
    columns = {}
    for shown, kind in ROUGE.items():
        columns[shown] = [result[kind].fmeasure for result in results]
        columns[f"{shown} precision"] = [result[kind].precision for result in results]
        columns[f"{shown} recall"] = [result[kind].recall for result in results]
    sentences = "after .!? and space, after 。！？, lines" if split else "lines"
    version = metadata.version("rouge-score")
    signature = f"rouge-score|{name}|sentences:{sentences}|refs:best F1|version:{version}"
    return mean_scores(columns, signature)


def check_letters(references: Iterable[Sequence[str]], language: str) -> None:
    """Refuse references if ROUGE would find no word in half of them or more.

    Args:
        references: the references of each example.
        language: the code of their language.

    Raises:
        InputError: if those of so many examples have letters or digits, and none that English has.
    """
    if base_language(language) != "en":
        return
    texts = [" ".join(several) for several in references]
    unread = [
        text for text in texts if any(map(str.isalnum, text)) and not _ENGLISH.search(text.lower())
    ]
    if unread and 2 * len(unread) >= len(texts):
        raise InputError(
            f"the reference {unread[0][:40]!r}, like {len(unread)} of {len(texts)}, has none of "
            "the letters a-z and digits that ROUGE of English counts; give their language, such as "
            "zh, with --language, or for a run with --data.language."
        )


def in_lines(text: str) -> str:
    """Return a text with a line for each sentence.

    A sentence ends after a full stop, an exclamation or a question mark (.!?) that white space
    follows, after a Chinese one (。！？), and at the end of a line. So it does after "Dr.", too.

    >>> in_lines("He came. He saw 3.5 of them! 他来了。他看见了。").split("\\n")
    ['He came.', 'He saw 3.5 of them!', '他来了。', '他看见了。']
    """
    return _AFTER_SENTENCE.sub("\n", text).strip()


def _tokenizer(language: str, stemmer: bool) -> tuple[tokenizers.Tokenizer, str]:
    """Return the tokenizer for a language, and what the signature says of it."""
    if language == "en":
        stemmed = "yes" if stemmer else "no"
        return tokenizers.DefaultTokenizer(stemmer), f"tok:a-z and digits|stemmer:{stemmed}"
    if language in UNSPACED:
        return CharacterTokenizer(), "tok:characters|stemmer:no"
    return UnicodeTokenizer(), "tok:letters and digits|stemmer:no"
