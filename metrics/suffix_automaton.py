"""Which parts of some texts occur in another, much larger one.

The suffix automaton (Blumer et al. 1985) of a text is the smallest automaton that reads exactly its
substrings. A state stands for all substrings that end at the same places; its link leads to the
longest shorter suffix that ends at more places. It is built in time linear in the text, and a
second text can then be read through it, keeping in each moment the longest suffix of what was read
that is a substring of the first.

Here the automaton is that of the small texts, and the large text is read through it once, in
pieces, so that it may be of any size.
"""

from collections.abc import Iterable, Sequence


class SuffixAutomaton:
    """The suffix automaton of several texts.

    >>> automaton = SuffixAutomaton(["to be or not", "a rose"])
    >>> automaton.longest_shared(["or not", " a roof"])
    ['or not', 'a ro']

    Args:
        texts: the texts; what spans the end of one and the beginning of the next is none of them.
    """

    def __init__(self, texts: Sequence[str]):
        self.texts = texts
        self._next: list[dict[str | None, int]] = [{}]
        self._link = [-1]
        self._length = [0]  # of the longest substring of each state
        last = 0
        for text in texts:
            for character in (*text, None):  # None ends a text and is no character of any other
                last = self._extend(last, character)

    def _extend(self, last: int, character: str | None) -> int:
        """Add a character behind the state of the whole text; return the new such state."""
        following, link, length = self._next, self._link, self._length
        new = len(length)
        following.append({})
        link.append(0)
        length.append(length[last] + 1)
        state = last
        while state >= 0 and character not in following[state]:
            following[state][character] = new
            state = link[state]
        if state < 0:
            return new
        target = following[state][character]
        if length[target] > length[state] + 1:
            # Not all substrings of `target` end here as well: those that do become a state.
            clone = len(length)
            following.append(following[target].copy())
            link.append(link[target])
            length.append(length[state] + 1)
            while state >= 0 and following[state].get(character) == target:
                following[state][character] = clone
                state = link[state]
            link[target] = link[new] = clone
        else:
            link[new] = target
        return new

    def longest_shared(self, pieces: Iterable[str]) -> list[str]:
        """Return the longest substring of each text that another text has, too.

        Args:
            pieces: the other text, in pieces of any length.
        """
        longest = self._read(pieces)
        shared = []
        for text in self.texts:
            state, best, end = 0, 0, 0
            for position, character in enumerate(text, start=1):
                state = self._next[state][character]
                length = min(longest[state], position)
                if length > best:
                    best, end = length, position
            shared.append(text[end - best : end])
        return shared

    def _read(self, pieces: Iterable[str]) -> list[int]:
        """Return the length of the longest suffix of each state that occurs in the text."""
        following, link, length = self._next, self._link, self._length
        longest = [0] * len(length)
        state = matched = 0
        for piece in pieces:
            for character in piece:
                target = following[state].get(character)
                while target is None and state:
                    state = link[state]
                    matched = length[state]
                    target = following[state].get(character)
                if target is None:
                    continue
                state = target
                matched += 1
                if matched > longest[state]:
                    longest[state] = matched
        # What occurs, occurs with all its suffixes, which are those of the linked states;
        by_length = sorted(range(1, len(length)), key=length.__getitem__)
        for state in reversed(by_length):
            if longest[state] and link[state]:
                longest[link[state]] = length[link[state]]
        # and a state of which nothing occurs has what its linked state has.
        for state in by_length:
            if not longest[state]:
                longest[state] = longest[link[state]]
        return longest
