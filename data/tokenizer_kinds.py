"""How a tokenizer of each kind is built from a training text, by the `tokenizers` library.

What the kinds are is told in `tokenizers`, which wraps what is built here.
"""

import functools
import itertools
import json
import unicodedata
from collections.abc import Callable, Iterable, Iterator

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

from .text import Text

UNKNOWN = "<unk>"
# Encoding short pieces is several times faster than long ones, and runs on all cores.
_PART_CHARACTERS = 1 << 14
# GPT-2's words (Radford et al. 2019): a contraction, or letters / digits / punctuation with at most
# one space before them, or spaces.
_WORDS = tokenizers.Regex(
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
)
_BETWEEN_SPACES = tokenizers.Regex(r" ?\S+|\s+(?!\S)|\s+")


def _parts_of(text: Text) -> Iterator[str]:
    return itertools.chain.from_iterable(map(parts, text.pieces()))


def parts(piece: str) -> Iterator[str]:
    """Cut a piece at line ends into parts of about `_PART_CHARACTERS`."""
    start = 0
    while start < len(piece):
        stop = start + _PART_CHARACTERS
        if stop < len(piece):
            stop = piece.rfind("\n", start, stop) + 1 or stop
        yield piece[start:stop]
        start = stop


def _byte(text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    # No character is in the vocabulary, so each falls back to its bytes; id = byte.
    vocabulary = {f"<0x{byte:02X}>": byte for byte in range(256)}
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, merges=[], byte_fallback=True))
    tokenizer.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
    return tokenizer


def _char(text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    characters: set[str] = set()
    for part in _parts_of(text):
        characters.update(part)
    vocabulary = {token: token_id for token_id, token in enumerate([UNKNOWN, *sorted(characters)])}
    # Byte pair encoding without merges is the library's fastest way to single characters.
    tokenizer = tokenizers.Tokenizer(models.BPE(vocabulary, merges=[], unk_token=UNKNOWN))
    tokenizer.decoder = decoders.Fuse()
    return tokenizer


def _word_level(pattern: tokenizers.Regex, text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordLevel(unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(pattern, "isolated")
    tokenizer.decoder = decoders.Fuse()
    trainer = trainers.WordLevelTrainer(
        vocab_size=vocab_size, special_tokens=[UNKNOWN], show_progress=False
    )
    tokenizer.train_from_iterator(_parts_of(text), trainer)
    return tokenizer


def _bpe(text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_parts_of(text), trainer)
    return tokenizer


def _wordpiece(text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    # The trainer numbers the characters inside words in no fixed order, unless they are there
    # before it begins.
    characters = _characters_inside_words(map(tokenizer.normalizer.normalize_str, _parts_of(text)))
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN, *(f"##{character}" for character in characters)],
        show_progress=False,
    )
    tokenizer.train_from_iterator(_parts_of(text), trainer)
    # None of them is special once the model is trained.
    return _with_model(tokenizer, models.WordPiece(tokenizer.get_vocab(), unk_token=UNKNOWN))


def _characters_inside_words(texts: Iterable[str]) -> list[str]:
    """Return the characters that follow another one in a word as BERT splits words."""

    def is_no_break(character: str) -> bool:
        return not (character.isspace() or unicodedata.category(character)[0] == "P")

    pairs: set[tuple[str, str]] = set()
    for text in texts:
        pairs.update(itertools.pairwise(text))
    return sorted({second for pair in pairs for second in pair[1:] if all(map(is_no_break, pair))})


def _unigram(text: Text, vocab_size: int) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="never")
    trainer = trainers.UnigramTrainer(
        vocab_size=vocab_size,
        special_tokens=[UNKNOWN],
        unk_token=UNKNOWN,
        show_progress=False,
    )
    tokenizer.train_from_iterator(_parts_of(text), trainer)
    # The last digits of the scores differ from training to training; so would the order.
    scores = json.loads(tokenizer.to_str())["model"]["vocab"]
    rounded = [(token, round(score, 3)) for token, score in scores if token != UNKNOWN]
    vocabulary = [(UNKNOWN, 0.0), *sorted(rounded, key=lambda entry: (-entry[1], entry[0]))]
    return _with_model(tokenizer, models.Unigram(vocabulary, unk_id=0))


def _with_model(tokenizer: tokenizers.Tokenizer, model: models.Model) -> tokenizers.Tokenizer:
    """Return a tokenizer with another model and no special tokens."""
    other = tokenizers.Tokenizer(model)
    for part in ("normalizer", "pre_tokenizer", "decoder"):
        if getattr(tokenizer, part) is not None:
            setattr(other, part, getattr(tokenizer, part))
    return other


BUILDERS: dict[str, Callable[[Text, int], tokenizers.Tokenizer]] = {
    "byte": _byte,
    "char": _char,
    "word": functools.partial(_word_level, _WORDS),
    "whitespace": functools.partial(_word_level, _BETWEEN_SPACES),
    "bpe": _bpe,
    "wordpiece": _wordpiece,
    "unigram": _unigram,
}
"""How the backend of each kind is built: from a training text and the most tokens it may have."""
