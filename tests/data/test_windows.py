import numpy as np
import pytest

from kerazoo.data.windows import context, windows


@pytest.mark.parametrize("length", [1, 2, 5, 8])
@pytest.mark.parametrize("num_tokens", range(20))
def test_windows_have_every_token_and_the_last_one_is_needed(num_tokens, length):
    for stride in range(1, length + 1):
        found = windows(num_tokens, length, stride)
        assert all(0 <= stop - start <= length for start, stop in found)
        covered = [set(range(start, stop)) for start, stop in found]
        assert set().union(*covered) == set(range(num_tokens))
        assert set().union(*covered[:-1]) != set(range(num_tokens)) or len(found) == 1
        assert np.all(np.diff([start for start, _ in found]) == stride)


def test_context_is_the_shorter_side():
    for number in range(6):
        expected = [min(n, number - 1 - n) for n in range(number)]
        assert context(number).tolist() == expected
