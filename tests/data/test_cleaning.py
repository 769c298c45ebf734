import time

import pytest

from kerazoo.data import cleaning
from kerazoo.data.cleaning import STEPS, clean
from kerazoo.errors import InputError


def cleaned(text, *steps):
    return "".join(clean([text], steps))


@pytest.mark.parametrize(
    ("step", "before", "after"),
    [
        ("html", '<p class="x">a &lt; b &amp; c<br/></p>', "a < b & c"),
        ("html", "1 < 2 and 3 > 2, I <3 you", "1 < 2 and 3 > 2, I <3 you"),
        ("html", "a<!-- hidden --> b", "a b"),
        ("control", "a\x07b\u200bc\td\ufeff", "abc\td"),
        ("control", "👩\u200d👧", "👩\u200d👧"),
        ("nfc", "cafe\u0301", "café"),
        ("mojibake", "schÃ¶n, â€œquotedâ€\x9d", "schön, “quoted”"),
        ("mojibake", "schön", "schön"),
        ("whitespace", "  a \t b\u00a0c ", "a b c"),
        ("redact", "mail jo.doe@mail.example.org now", "mail <email> now"),
        ("redact", "call +49 30 1234 5678 or (030) 123-4567", "call <phone> or <phone>"),
        ("lowercase", "ÀB Ç", "àb ç"),
        ("redact", "in 1599 or 3.14 or 1,000,000", "in 1599 or 3.14 or 1,000,000"),
        ("redact", "5551234567 (801)5551234", "<phone> <phone>"),
        ("redact", "+14155552671, 555-1234", "<phone>, <phone>"),
        ("redact", "on 2019-05-12, 10.12.2020", "on 2019-05-12, 10.12.2020"),
        ("redact", "10.0.12.10; 1914 1918 1939", "10.0.12.10; 1914 1918 1939"),
        ("redact", "7 8 9 10 11 12 13 14 15", "7 8 9 10 11 12 13 14 15"),
        ("redact", "50 40 30 20 10", "50 40 30 20 10"),
        ("redact", "0033 6 12 34 56 78, 33 6 12 34 56 78", "<phone>, 33 6 <phone>"),
        ("redact", "1 801 555 1234 or 01 23 45 67 89", "1 <phone> or <phone>"),
        ("redact", "on insta @jo.doe_1, @jo.doe.", "on insta <handle>, <handle>."),
        ("redact", "bye@ (@DC) @ home, a@b @#!*", "bye@ (@DC) @ home, a@b @#!*"),
        ("redact", "我的电话13812345678谢谢", "我的电话<phone>谢谢"),
        ("redact", "我的邮箱是a@b.com谢谢,加@jodoe吧", "我的邮箱是<email>谢谢,加<handle>吧"),
        ("redact", "müller@web.de, info@müller.de", "<email>, <email>"),
        ("redact", "иван@почта.рф, nguyễn@gmail.com", "<email>, <email>"),
    ],
)
def test_a_step_does_what_its_name_says(step, before, after):
    assert cleaned(before, step) == after + "\n"


@pytest.mark.parametrize("part", ["x", "x.", "1", "a@", "@a", "1 "])
def test_a_very_long_word_is_soon_redacted(part):
    start = time.process_time()
    cleaned(part * 200_000, "redact")
    assert time.process_time() - start < 2  # at a time that grows with the square, minutes


def test_whitespace_keeps_one_empty_line_between_paragraphs():
    assert cleaned("\n\na\n\n\n\nb\n", "whitespace") == "a\n\nb\n"


def test_near_duplicates_go_and_short_lines_stay():
    text = "To be, or not to be: that is the question.\nHAMLET:\n"
    again = "to be or not to be -- that is THE question!\nHAMLET:\n"
    assert cleaned(text + again, "near_duplicates") == text + "HAMLET:\n"


def test_steps_run_in_the_order_given():
    assert cleaned("&lt;b&gt;x", "html") == "<b>x\n"
    assert cleaned("&lt;b&gt;x", "html", "html") == "x\n"


def test_lines_end_alike_whatever_system_wrote_them():
    assert cleaned("a\r\nb\rc\x0cd\u2028e", "nfc") == "a\nb\nc\x0cd\u2028e\n"


def test_a_line_may_come_in_pieces():
    pieces = ["one ", "li", "ne\r", "\nanother", "\r", "third\r"]
    assert list(clean(pieces, ["lowercase"])) == ["one line\n", "another\n", "third\n"]


@pytest.fixture
def short(monkeypatch):
    """Take lines of more than 100 characters for very long ones."""
    monkeypatch.setattr(cleaning, "MOST_CHARACTERS", 100)


def test_a_very_long_line_comes_in_parts_that_end_between_words(short):
    pieces = iter(["One two three. "] * 20 + ["END\n", "next"])
    parts = clean(pieces, ["lowercase"])
    assert next(parts) == "one two three. " * 6 + "one two"
    assert len(list(pieces)) > 10  # to come
    text = "one two three. " * 20 + "end\nnext\n"
    assert cleaned(text, "lowercase") == text
    assert all(len(part) <= 100 for part in clean([text], ["lowercase"]))


HTML = "<p class='x y'>sch\u00c3\u00b6n &amp;  one two three <b>Kind</b>\u200b, "
CALL = "so call me, +49 30 1234 5678 or a.b@c.de  "
SPACES = " \t" * 100


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    "text",
    [
        (HTML + CALL) * 9,
        f"cafe\u0301 1 < 2\u3000\n\n\n {SPACES}\n\n{' x' * 100}{SPACES}\r\n\n\n{SPACES}y",
        "x" + "\u304b\u3099" * 100 + "\r",
        f"{'word' * 20}{SPACES}<3 a b" * 3,
    ],
)
def test_the_parts_of_a_line_are_cleaned_as_the_line_is(step, text, monkeypatch):
    whole = cleaned(text, step)
    for limit in range(60, 100):
        monkeypatch.setattr(cleaning, "MOST_CHARACTERS", limit)
        assert cleaned(text, step) == whole
    assert "".join(clean(text, [step])) == whole


def test_what_the_parts_of_a_line_repeat_is_no_duplicate(short):
    text = ("abcdefghi " * 45 + "\n") * 2
    assert cleaned(text, "near_duplicates") == text


def test_no_steps_leave_the_lines_alone():
    assert cleaned("  a \x07\n") == "  a \x07\n"


def test_an_unknown_step_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'whitespace'"):
        clean(["x"], ["whitspace"])


def test_every_step_accepts_an_empty_text():
    assert [cleaned("", step) for step in STEPS] == [""] * len(STEPS)
