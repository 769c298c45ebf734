"""Words of a text that a person has typed, about as the datasets take them."""

import re
from collections.abc import Callable

WORD = re.compile(r"(?:\w\.){2,}(?!\w)|[@#]?\w+(?:[-.&/]\w+)*|(?<=\w)['’]\w+|[^\w\s]")
"""U.S., Jean-Luc, @ada, the 's of Ada's, punctuation."""
_WORD_OR_NOT = re.compile(rf"\w+(?=n['’]t\b)|(?<=\w)n['’]t\b|{WORD.pattern}", re.IGNORECASE)
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
