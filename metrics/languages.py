"""Which languages are written without spaces between words, and what stands for a word there."""

import re
import unicodedata
from collections.abc import Iterable

from ..errors import InputError

UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my"})
"""Chinese, Japanese, Thai, Lao, Khmer and Burmese are scored character by character."""
_UNSPACED_LETTERS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]"
)
"""Thai and Lao, Burmese, Khmer, kana, Chinese characters."""


def base_language(code: str) -> str:
    """Return the language of a code such as zh-CN, in small letters.

    >>> base_language("zh-CN"), base_language("zh_Hans"), base_language("EN")
    ('zh', 'zh', 'en')

    Raises:
        InputError: if it is no code, but a language's name.
    """
    base = re.split("[-_]", code.lower())[0]
    if not re.fullmatch("[a-z]{2,3}", base):
        raise InputError(f"the language is '{code}'; give its code, such as en, zh or zh-CN.")
    return _TWO_LETTERS.get(base, base)


def check_spaces(texts: Iterable[str], language: str, option: str = "--language") -> None:
    """Refuse texts as English if half of them or more are in letters of `UNSPACED` languages.

    What stands between their spaces would be taken for a word.

    >>> check_spaces(["我爱北京。", "ok"], "en")
    Traceback (most recent call last):
    kerazoo.errors.InputError: the text '我爱北京。', like 1 of 2, is in letters of a language ...

    Args:
        texts: the texts; those without letters do not count.
        language: the code of their language.
        option: the one that gives it.

    Raises:
        InputError: if that is English, and most letters in so many texts are none of it.
    """
    if base_language(language) != "en":
        return
    written = [text for text in texts if any(map(str.isalpha, text))]
    unspaced = [
        text
        for text in written
        if 2 * len(_UNSPACED_LETTERS.findall(text)) > sum(map(str.isalpha, text))
    ]
    if unspaced and 2 * len(unspaced) >= len(written):
        raise InputError(
            f"the text {unspaced[0][:40]!r}, like {len(unspaced)} of {len(written)}, is in "
            "letters of a language without spaces, and would be scored as English; give its "
            f"language with {option}, such as zh, or zh-x-tok if its words stand apart already."
        )


def is_tokenised(code: str) -> bool:
    """Tell whether a code says that the words of the texts stand apart already.

    >>> is_tokenised("de-x-tok"), is_tokenised("de-DE")
    (True, False)
    """
    return code.lower().replace("_", "-").endswith("-x-tok")


_TWO_LETTERS = {
    **dict.fromkeys(("zho", "chi", "cmn", "yue", "wuu", "nan", "hak", "gan", "hsn", "lzh"), "zh"),
    **dict.fromkeys(("mya", "bur"), "my"),
    "jpn": "ja",
    "tha": "th",
    "lao": "lo",
    "khm": "km",
    "kor": "ko",
    "eng": "en",
}
"""Codes of three letters (ISO 639-3, and 639-2 where it has another) of languages that are scored
in a way of their own."""


def words(text: str) -> list[str]:
    """Return the words of letters, marks and digits of any alphabet, in small letters.

    >>> words("¡El Niño llegó a las 10:30!")
    ['el', 'niño', 'llegó', 'a', 'las', '10', '30']
    """
    return "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in text.lower()).split()


def characters(text: str) -> list[str]:
    """Return the characters; words of the letters a-z and numbers stay whole.

    >>> characters("我爱 Keras 3！")
    ['我', '爱', 'keras', '3']
    """
    return words("".join(c if c.isascii() else f" {c} " for c in text))
