"""Words of a text that a person has typed, about as the datasets take them."""

import re
from collections.abc import Callable

HAN_OR_KANA = (
    r"\u3005-\u3007\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    r"\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff"
)
"""Of a class of characters: those of Chinese and Japanese, which are written without spaces."""
LETTER = rf"[^\W{HAN_OR_KANA}]"
"""A letter, digit or underscore, but none of Chinese or Japanese, which set no spaces."""
WORD = re.compile(
    rf"[{HAN_OR_KANA}]|(?:{LETTER}\.){{2,}}(?!{LETTER})"
    rf"|[@#]?{LETTER}+(?:[-.&/]{LETTER}+)*|(?<=\w)['’]{LETTER}+|[^\w\s]"
)
"""U.S., Jean-Luc, @ada, the 's of Ada's, punctuation; each character of Chinese and Japanese."""
_WORD_OR_NOT = re.compile(rf"{LETTER}+(?=n['’]t\b)|(?<=\w)n['’]t\b|{WORD.pattern}", re.IGNORECASE)
_IS_APART = re.compile(r"(?<!\S)[.,;:?!](?!\S)")


def apart(text: str, is_known: Callable[[str], bool]) -> str:
    """Set punctuation and contractions apart, as in texts that have been cut into words.

    What is known stays whole, be it "Mr." or "it's", and so does all of a text in which a mark
    stands apart already. A curly apostrophe becomes a straight one.

    >>> apart("Isn't Mr. Ito's (first) home in the U.S.?", {"Mr."}.__contains__)
    "Is n't Mr. Ito 's ( first ) home in the U.S. ?"
    >>> apart("It isn’t.", is_known=lambda word: False)
    "It is n't ."
    >>> apart("Who is Mr. Ito ?", is_known=lambda word: False)
    'Who is Mr. Ito ?'
    """
    if _IS_APART.search(text):
        return text

    def parts(match: re.Match) -> str:
        word = match.group().replace("’", "'")
        return word if is_known(word) else " ".join(_WORD_OR_NOT.findall(word))

    return re.sub(r"\S+", parts, text)
