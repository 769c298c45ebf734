"""Tokenizers: from text to token ids and back, seven kinds of one type.

All are built with the `tokenizers` library and saved as its `tokenizer.json`.

- `byte`: a byte of UTF-8.
- `char`: a Unicode character that was seen in training.
- `word`: a word, number or run of punctuation with the space before it, or a run of spaces.
- `whitespace`: what stands between spaces, for text that has been cut into words already.
- `bpe`: a frequent byte sequence; byte pair encoding (Sennrich et al. 2016) on bytes (Radford et
  al. 2019).
- `wordpiece`: a frequent part of a lower-cased word (Schuster & Nakajima 2012; Devlin et al.
  2019).
- `unigram`: a piece of the likeliest segmentation (Kudo 2018).

Encoding and decoding gives any text back for `byte` and `bpe`, and text without unknown parts for
`char`, `word`, `whitespace` and `unigram`; `wordpiece` loses capitals and spaces. Training again
gives the same tokenizer, but for `unigram`: the library adds up its scores in no fixed order, so
that a rare piece may differ. A run keeps its tokenizer.

Special tokens, such as BERT's [CLS] and [MASK], come after all others and stand for no text: a text
that happens to contain "[MASK]" is text. `encode_marked` is for those who write them on purpose.
"""

import hashlib
import itertools
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import tokenizers

from ..errors import InputError
from .text import Text
from .tokenizer_kinds import BUILDERS, UNKNOWN, parts
from .words import HAN_OR_KANA

TokenizerKind = Literal["byte", "char", "word", "whitespace", "bpe", "wordpiece", "unigram"]
KINDS: tuple[TokenizerKind, ...] = get_args(TokenizerKind)
LOSSY: frozenset[str] = frozenset({"wordpiece"})
"""Kinds from whose ids the text, even of known tokens, cannot be restored."""
BERT_TOKENS = ("[PAD]", "[CLS]", "[SEP]", "[MASK]")
"""The special tokens of BERT (Devlin et al. 2019): padding, the beginning, the end of a segment,
and what a masked token is replaced by."""
_LONG_WORD = 5
"""Characters that no word of Chinese or Japanese has on average."""

PAIR_TOKENS = ("[PAD]", "[START]", "[END]")
"""The special tokens of pairs of texts: padding, the beginning of a target, its end."""


class Tokenizer:
    """Turns text into token ids and token ids into text.

    Args:
        kind: one of `KINDS`.
        backend: the `tokenizers.Tokenizer` that does the work.
    """

    def __init__(self, kind: TokenizerKind, backend: tokenizers.Tokenizer):
        self.kind = kind
        self._backend = backend
        self._unknown_id = backend.token_to_id(UNKNOWN)
        backend.encode_special_tokens = True  # that is, their names in a text as text
        self._special_ids = {
            token.content: token_id
            for token_id, token in sorted(backend.get_added_tokens_decoder().items())
            if token.special and token.content != UNKNOWN
        }

    @property
    def vocab_size(self) -> int:
        """How many tokens there are; ids run from 0 to `vocab_size - 1`."""
        return self._backend.get_vocab_size()

    @property
    def unknown_id(self) -> int | None:
        """The id that stands for what the vocabulary lacks; None if it lacks nothing."""
        return self._unknown_id

    @property
    def special_ids(self) -> Mapping[str, int]:
        """The ids of the special tokens, by name; empty for a tokenizer trained without any."""
        return dict(self._special_ids)

    def special_id(self, name: str) -> int:
        """Return the id of a special token such as "[MASK]".

        Raises:
            InputError: if the tokenizer was trained without it.
        """
        if name not in self._special_ids:
            raise InputError(
                f"this {self.kind} tokenizer has no token {name}; train one with the special "
                "tokens of the task, as its recipes do."
            )
        return self._special_ids[name]

    def with_special_tokens(self, names: Sequence[str]) -> "Tokenizer":
        """Return a tokenizer that has these special tokens, too; this one stays as it is.

        Those that it lacks come after all its tokens, so that every id stays what it was, and texts
        are encoded as before.

        Raises:
            InputError: if one of the names is a token that stands for text.
        """
        backend = tokenizers.Tokenizer.from_str(self._backend.to_str())
        missing = [name for name in names if name not in self._special_ids]
        for name in missing:
            if backend.token_to_id(name) is not None:
                raise InputError(
                    f"this {self.kind} tokenizer knows {name} as a piece of text, which cannot be "
                    "a special token, too; train one on a text without it."
                )
        backend.add_special_tokens(missing)
        return Tokenizer(self.kind, backend)

    @property
    def start(self) -> str:
        """What a text may begin with when nothing is given: a line end, if it is known."""
        last = range(self.vocab_size - 1, -1, -1)
        texts = itertools.chain(["\n"], (self.decode(np.array([token_id])) for token_id in last))
        return next(text for text in texts if text and self._knows(text))

    def _knows(self, text: str) -> bool:
        """Whether there is something in a text that is not unknown, and nothing that is."""
        ids = self.encode(text)
        return len(ids) > 0 and self._unknown_id not in ids

    def encode(self, text: str) -> np.ndarray:
        """Return the token ids of `text`: int32, shape (number of tokens,)."""
        return np.array(self._backend.encode(text, add_special_tokens=False).ids, np.int32)

    def encode_with_places(self, text: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the token ids of a text, and the characters that each token stands for.

        Returns:
            Ids, int32 (number of tokens,), and places, int64 (number of tokens, 2): where in the
            text the token begins, without the space before a word, and where it ends.
        """
        encoding = self._backend.encode(text, add_special_tokens=False)
        places = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        for place in places:
            while place[0] < place[1] and text[place[0]].isspace():
                place[0] += 1
        return np.array(encoding.ids, np.int32), places

    def encode_known(self, text: str) -> np.ndarray:
        """Return the token ids of `text`, refusing text that has unknown parts.

        Raises:
            InputError: naming the parts that the tokenizer does not know.
        """
        encoding = self._backend.encode(text, add_special_tokens=False)
        unknown = [
            text[start:stop]
            for token_id, (start, stop) in zip(encoding.ids, encoding.offsets, strict=True)
            if token_id == self._unknown_id
        ]
        if unknown:
            parts = ", ".join(repr(part) for part in dict.fromkeys(unknown))
            raise InputError(
                f"the text has {parts}, unknown to this {self.kind} tokenizer of "
                f"{self.vocab_size} tokens; leave that out, or train with --data.tokenizer bpe, "
                "which knows every text."
            )
        return np.array(encoding.ids, np.int32)

    def encode_marked(self, text: str) -> np.ndarray:
        """Return the token ids of a text in which special tokens are marked by their names.

        Where tokens begin with the space before a word, a special token takes that space in.

        >>> tokenizer.encode_marked("To be or not to [MASK].")  # doctest: +SKIP
        array([  57,   23,   44,   31,   24, 2003,    5], dtype=int32)
        """
        names = "|".join(map(re.escape, self._special_ids))
        if not names:
            return self.encode_known(text)
        space = " ?" if self.kind in ("word", "whitespace", "bpe", "unigram") else ""
        ids = [
            np.array([self._special_ids[part.strip(" ")]], np.int32)
            if n % 2
            else self.encode_known(part)
            for n, part in enumerate(re.split(f"({space}(?:{names}))", text))
        ]
        return np.concatenate(ids)

    def word_joints(self) -> tuple[np.ndarray, np.ndarray]:
        """Tell which tokens go on with a word, and after which it may go on.

        Token t + 1 belongs to the word of token t if it goes on and the word may: in "play|##ing",
        in "pl|aying", not in "play| on" nor in "play|!". Characters of scripts that are written
        without spaces, such as Chinese, are words by themselves.

        Returns:
            Two boolean arrays of shape (vocab_size,): goes on with the word before it; may be
            followed by more of its word. Special tokens do neither.
        """
        if self.kind == "wordpiece":
            names = map(self._backend.id_to_token, range(self.vocab_size))
            goes_on = np.array([name.startswith("##") for name in names])
            may_go_on = np.ones_like(goes_on)
        else:
            # A part of a character decodes as the replacement character.
            texts = [self.text_of(token_id) for token_id in range(self.vocab_size)]
            goes_on = np.array([_is_in_word(text[:1]) for text in texts])
            may_go_on = np.array([_is_in_word(text[-1:]) for text in texts])
        outside = [*self._special_ids.values()]
        if self._unknown_id is not None:
            outside.append(self._unknown_id)
        goes_on[outside] = may_go_on[outside] = False
        return goes_on, may_go_on

    def encode_pieces(self, pieces: Iterable[str]) -> Iterator[np.ndarray]:
        """Yield the token ids of a text of any size, piece by piece.

        Pieces are encoded one by one: a token never spans two. `Text.pieces` ends them at line
        ends, where few tokens would.
        """
        for piece in pieces:
            texts = list(parts(piece))
            for encoding in self._backend.encode_batch_fast(texts, add_special_tokens=False):
                yield np.array(encoding.ids, np.int32)

    def decode(self, token_ids: Sequence[int] | np.ndarray) -> str:
        """Return the text of the ids, shape (number of tokens,)."""
        return self._backend.decode(np.asarray(token_ids).tolist(), skip_special_tokens=False)

    def text_of(self, token_id: int) -> str:
        """Return the token with this id as readable text."""
        return self.decode([token_id])

    def token_bytes(self) -> np.ndarray:
        """Return how many UTF-8 bytes of text each token stands for: int64, (vocab_size,).

        Special tokens, which stand for no text, have 0, and so has the unknown token, whose text
        may be anything.
        """
        tokens = range(self.vocab_size)
        if self.kind == "byte":
            lengths = [1 for _ in tokens]
        elif self.kind == "bpe":  # a character for each byte
            lengths = [len(self._backend.id_to_token(token_id)) for token_id in tokens]
        else:
            lengths = [len(self.text_of(token_id).encode()) for token_id in tokens]
        for token_id in (self._unknown_id, *self._special_ids.values()):
            if token_id is not None:
                lengths[token_id] = 0
        return np.array(lengths, np.int64)

    def fingerprint(self) -> str:
        """Return a sha256 that is the same for tokenizers that encode alike."""
        return hashlib.sha256(self._backend.to_str().encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write `tokenizer.json`; kerazoo's kind is kept in a field of its own."""
        content = json.loads(self._backend.to_str())
        text = json.dumps({"kerazoo_kind": self.kind, **content}, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read what `save` wrote.

        Raises:
            InputError: if the file is missing or is no tokenizer of kerazoo's.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            kind = content.pop("kerazoo_kind")
            return cls(kind, tokenizers.Tokenizer.from_str(json.dumps(content)))
        except FileNotFoundError:
            raise InputError(f"there is no {path}; the run folder is not complete.") from None
        except Exception as error:  # the library raises bare Exception for a malformed file
            raise InputError(f"{path} cannot be read as a tokenizer: {error}.") from None


def train(
    kind: TokenizerKind, text: Text, vocab_size: int, special_tokens: Sequence[str] = ()
) -> Tokenizer:
    """Build a tokenizer of the given kind from a training text.

    Args:
        kind: one of `KINDS`.
        text: the training split, and nothing else: a tokenizer that has seen the held-out text
            would know its words.
        vocab_size: the most tokens for word, whitespace, bpe, wordpiece and unigram (bpe has at
            least the 256 bytes); byte and char have as many as there are.
        special_tokens: names of tokens that stand for no text, such as `BERT_TOKENS`; they get the
            last ids and count towards `vocab_size`.

    Raises:
        InputError: if `vocab_size` has no room for the special tokens and one more, or for all
            characters of the text, which wordpiece and unigram need; or if whitespace is to cut a
            text into words that has no spaces between them.
    """
    if kind == "whitespace":
        _check_spaces(text)
    least = len(special_tokens) + 1
    if vocab_size < least and kind not in ("byte", "char"):
        raise InputError(f"--data.vocab-size is {vocab_size}; it must be at least {least}.")
    room = vocab_size - len(special_tokens)
    too_small = InputError(
        f"--data.vocab-size {vocab_size} has no room for all characters of the text; give a larger "
        "one."
    )
    try:
        backend = BUILDERS[kind](text, room)
    except Exception as error:  # the library raises bare Exception
        if "vocabulary is not large enough" not in str(error):
            raise
        raise too_small from None
    if kind == "wordpiece" and backend.get_vocab_size() > room:
        raise too_small
    backend.add_special_tokens(list(special_tokens))
    return Tokenizer(kind, backend)


def _check_spaces(text: Text) -> None:
    """Refuse Chinese and Japanese, unless the words have been set apart."""
    beginning = next(text.pieces(), "")[:100_000]
    stretches = re.findall(f"[{HAN_OR_KANA}]+", beginning)
    number = sum(map(len, stretches))
    is_most = 2 * number > sum(map(str.isalpha, beginning))
    if is_most and number > _LONG_WORD * len(stretches):
        raise InputError(
            f"the training text has no spaces between its words ('{stretches[0][:20]}'), which "
            "--data.tokenizer whitespace needs; give another one, such as char."
        )


def _is_in_word(character: str) -> bool:
    """Tell whether a character is one of several in a word; not so for "", spaces and Chinese."""
    if character == "\N{REPLACEMENT CHARACTER}":
        return True
    return character.isalnum() and unicodedata.east_asian_width(character) not in "WF"
