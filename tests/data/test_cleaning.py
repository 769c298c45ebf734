import pytest

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
    ],
)
def test_a_step_does_what_its_name_says(step, before, after):
    assert cleaned(before, step) == after + "\n"


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


def test_no_steps_leave_the_lines_alone():
    assert cleaned("  a \x07\n") == "  a \x07\n"


def test_an_unknown_step_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match="did you mean 'whitespace'"):
        clean(["x"], ["whitspace"])


def test_every_step_accepts_an_empty_text():
    assert [cleaned("", step) for step in STEPS] == [""] * len(STEPS)
