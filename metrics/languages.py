"""Which languages are written without spaces between words, and what stands for a word there."""

import re
import unicodedata

from ..errors import InputError

UNSPACED = frozenset({"zh", "ja", "th", "lo", "km", "my"})
"""Chinese, Japanese, Thai, Lao, Khmer and Burmese are scored character by character."""


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
