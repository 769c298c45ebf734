"""Which languages are written without spaces between words, and what stands for a word there."""

import re

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
    return {"zho": "zh", "cmn": "zh", "jpn": "ja", "kor": "ko", "eng": "en"}.get(base, base)
