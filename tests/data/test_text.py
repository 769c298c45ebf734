import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerazoo.data import text as text_module
from kerazoo.data.text import Text
from kerazoo.errors import InputError

STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)


@pytest.fixture
def short_pieces(monkeypatch):
    monkeypatch.setattr(text_module, "PIECE_BYTES", 5)


def write(folder, content):
    path = folder / "text.txt"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@given(content=STORABLE)
def test_pieces_put_together_are_the_text(content, tmp_path_factory):
    text_module.PIECE_BYTES, before = 5, text_module.PIECE_BYTES
    try:
        path = write(tmp_path_factory.mktemp("pieces"), content.removeprefix("\ufeff") + "!")
        assert Text.of(path).read() == path.read_bytes().decode()
    finally:
        text_module.PIECE_BYTES = before


def test_pieces_end_at_line_ends(tmp_path, short_pieces):
    path = write(tmp_path, "ab\ncdefg\nh\n")
    assert list(Text.of(path).pieces()) == ["ab\n", "cdefg\n", "h\n"]


@given(content=STORABLE, fraction=st.floats(0, 1))
def test_a_split_cuts_between_characters_at_the_share(content, fraction, tmp_path_factory):
    content = content.removeprefix("\ufeff") + "!"
    path = write(tmp_path_factory.mktemp("split"), content)
    first, second = Text.of(path).split(fraction)
    cut = int(fraction * len(content))
    assert (first.read(), second.read()) == (content[:cut], content[cut:])


def test_a_split_runs_on_over_several_files(tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path, content in zip(paths, ("äöü", "xyz", "123"), strict=True):
        path.write_text(content)
    first, second = Text.of(*paths).split(0.5)
    assert (first.read(), second.read()) == ("äöü\nx", "yz\n123")


def test_a_file_begins_on_a_line_of_its_own(tmp_path):
    for name, content in (("a", "one\ntwo"), ("b", "three\n"), ("c", "four")):
        (tmp_path / name).write_text(content)
    text = Text.of(*(tmp_path / name for name in "abc"))
    assert text.read() == "one\ntwo\nthree\nfour"
    assert text.num_bytes == len(text.read())
    (tmp_path / "whole").write_text(text.read())
    assert text.sha256() == Text.of(tmp_path / "whole").sha256()


def test_a_byte_order_mark_is_not_part_of_the_text(tmp_path):
    assert Text.of(write(tmp_path, b"\xef\xbb\xbfabc")).read() == "abc"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"abc\0def", "zero byte at position 3"),
        (b"caf\xe9 au lait", "not UTF-8 text .* near byte 3"),
        ("café".encode()[:-1], "not UTF-8 text"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        Text.of(write(tmp_path, content))


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="no file"):
        Text.of(tmp_path / "missing.txt")
