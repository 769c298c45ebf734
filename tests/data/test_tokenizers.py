import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kerazoo.data import tokenizers
from kerazoo.data.text import Text
from kerazoo.errors import InputError

ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SENTENCE = "the old king sees a dog.\nmy friend likes the cat.\n"


@pytest.fixture(scope="module")
def trained(small_text):
    text = Text.of(small_text)
    return {kind: tokenizers.train(kind, text, vocab_size=300) for kind in tokenizers.KINDS}


@pytest.mark.parametrize("kind", ["byte", "bpe"])
@given(text=ANY_TEXT)
def test_any_text_survives_encoding_by_bytes(trained, kind, text):
    assert trained[kind].decode(trained[kind].encode(text)) == text


@pytest.mark.parametrize("kind", ["byte", "char", "word", "whitespace", "bpe", "unigram"])
def test_a_text_of_known_parts_survives(trained, kind):
    tokenizer = trained[kind]
    assert tokenizer.decode(tokenizer.encode(SENTENCE)) == SENTENCE
    assert tokenizer.decode(tokenizer.encode_known(SENTENCE)) == SENTENCE


@pytest.mark.parametrize("kind", tokenizers.KINDS)
@pytest.mark.parametrize("vocab_size", [60, 90, 120, 150])
def test_what_a_text_begins_with_is_known(small_text, kind, vocab_size):
    tokenizer = tokenizers.train(kind, Text.of(small_text), vocab_size, ("[MASK]",))
    ids = tokenizer.encode_known(tokenizer.start)
    assert len(ids)
    assert not set(ids) & set(tokenizer.special_ids.values())


def test_wordpiece_lowers_capitals(trained):
    tokenizer = trained["wordpiece"]
    assert tokenizer.decode(tokenizer.encode("The CAT sees")) == "the cat sees"


@pytest.mark.parametrize("kind", ["wordpiece", "unigram"])
def test_a_vocabulary_without_room_for_the_characters_is_refused(tmp_path, kind):
    path = tmp_path / "syllables.txt"
    path.write_text(" ".join(f"{a}{b}" for a, b in itertools.pairwise(map(chr, range(300, 420)))))
    with pytest.raises(InputError, match="--data.vocab-size 60 has no room for all characters"):
        tokenizers.train(kind, Text.of(path), vocab_size=60)


def test_a_byte_is_its_own_id(trained):
    assert trained["byte"].encode("Aé").tolist() == [0x41, 0xC3, 0xA9]


def test_characters_are_numbered_in_order(trained, small_text):
    tokenizer = trained["char"]
    characters = sorted(set(small_text.read_text()))
    assert tokenizer.vocab_size == 1 + len(characters)
    assert tokenizer.encode("".join(characters)).tolist() == list(range(1, 1 + len(characters)))


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_ids_are_within_the_vocabulary(trained, kind):
    ids = trained[kind].encode(SENTENCE + "Ünknown 中文")
    assert ids.dtype == np.int32
    assert ids.min() >= 0
    assert ids.max() < trained[kind].vocab_size


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_piece_by_piece_is_the_same_as_at_once(trained, kind):
    ids = np.concatenate(list(trained[kind].encode_pieces([SENTENCE, SENTENCE])))
    assert ids.tolist() == trained[kind].encode(SENTENCE).tolist() * 2


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_a_saved_tokenizer_comes_back_the_same(trained, kind, tmp_path):
    trained[kind].save(tmp_path / "tokenizer.json")
    loaded = tokenizers.Tokenizer.load(tmp_path / "tokenizer.json")
    assert loaded.kind == kind
    assert loaded.fingerprint() == trained[kind].fingerprint()
    assert loaded.encode(SENTENCE).tolist() == trained[kind].encode(SENTENCE).tolist()


@pytest.mark.parametrize("kind", [kind for kind in tokenizers.KINDS if kind != "unigram"])
def test_training_again_gives_the_same_tokenizer(trained, kind, small_text):
    again = tokenizers.train(kind, Text.of(small_text), vocab_size=300)
    assert again.fingerprint() == trained[kind].fingerprint()


@pytest.mark.parametrize("kind", [kind for kind in tokenizers.KINDS if kind != "wordpiece"])
def test_bytes_of_tokens_add_up_to_the_text(trained, kind):
    tokenizer = trained[kind]
    text = (
        SENTENCE
        if kind not in ("byte", "bpe")
        else f"{SENTENCE} \u201ccaf\u00e9\u201d \u4e2d\u6587"
    )
    counts = np.bincount(tokenizer.encode(text), minlength=tokenizer.vocab_size)
    assert counts @ tokenizer.token_bytes() == len(text.encode())


@pytest.fixture(scope="module")
def with_special(small_text):
    text = Text.of(small_text)
    return {
        kind: tokenizers.train(kind, text, 300, tokenizers.BERT_TOKENS) for kind in tokenizers.KINDS
    }


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_special_tokens_come_last_and_count(trained, with_special, kind):
    tokenizer = with_special[kind]
    number = tokenizer.vocab_size
    assert list(tokenizer.special_ids) == ["[PAD]", "[CLS]", "[SEP]", "[MASK]"]
    assert list(tokenizer.special_ids.values()) == list(range(number - 4, number))
    assert number <= max(300, 256 + 4)
    assert trained[kind].special_ids == {}
    with pytest.raises(InputError, match=r"has no token \[MASK\]"):
        trained[kind].special_id("[MASK]")


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_a_text_that_names_special_tokens_is_text(with_special, kind, tmp_path):
    tokenizer = with_special[kind]
    tokenizer.save(tmp_path / "tokenizer.json")
    for one in (tokenizer, tokenizers.Tokenizer.load(tmp_path / "tokenizer.json")):
        ids = [one.encode("the [MASK]"), *one.encode_pieces(["the [MASK]"])]
        assert not np.isin(np.concatenate(ids), list(one.special_ids.values())).any()


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_a_marked_text_has_special_tokens_where_they_are_named(with_special, kind):
    tokenizer = with_special[kind]
    ids = tokenizer.encode_marked("the [MASK] likes[SEP]").tolist()
    mask, sep = tokenizer.special_id("[MASK]"), tokenizer.special_id("[SEP]")
    assert ids.count(mask) == ids.count(sep) == 1
    assert ids[-1] == sep
    before, after = ids[: ids.index(mask)], ids[ids.index(mask) + 1 : -1]
    if kind in ("word", "bpe", "unigram"):  # the space belongs to the masked word
        assert tokenizer.decode(before) == "the"
    assert tokenizer.decode(before).strip() == "the"
    assert tokenizer.decode(after).strip() == "likes"


@pytest.mark.parametrize("kind", tokenizers.KINDS)
def test_special_tokens_are_added_at_the_end_and_change_no_text(trained, with_special, kind):
    for tokenizer in (trained[kind], with_special[kind]):
        before, special = tokenizer.fingerprint(), tokenizer.special_ids
        more = tokenizer.with_special_tokens(["[PAD]", "[START]", "[END]"])
        added = [name for name in ("[PAD]", "[START]", "[END]") if name not in special]
        ids = range(tokenizer.vocab_size, tokenizer.vocab_size + len(added))
        assert more.special_ids == {**special, **dict(zip(added, ids, strict=True))}
        assert more.vocab_size == tokenizer.vocab_size + len(added)
        for text in (SENTENCE, "[START]the cat [PAD]\n[END]"):
            np.testing.assert_array_equal(more.encode(text), tokenizer.encode(text))
            assert more.decode(more.encode(text)) == tokenizer.decode(tokenizer.encode(text))
        assert (tokenizer.fingerprint(), tokenizer.special_ids) == (before, special)


def test_adding_special_tokens_that_are_there_adds_none(with_special):
    tokenizer = with_special["bpe"]
    again = tokenizer.with_special_tokens(tokenizers.BERT_TOKENS)
    assert again.fingerprint() == tokenizer.fingerprint()


def test_a_piece_of_text_cannot_become_a_special_token(tmp_path):
    (tmp_path / "text.txt").write_text("to be or not to [MASK] .\n" * 20)
    tokenizer = tokenizers.train("whitespace", Text.of(tmp_path / "text.txt"), 30)
    assert tokenizer.with_special_tokens(["[PAD]"]).special_id("[PAD]") == tokenizer.vocab_size
    with pytest.raises(InputError, match=r"knows to as a piece of text"):
        tokenizer.with_special_tokens(["to"])


@pytest.mark.parametrize("kind", [kind for kind in tokenizers.KINDS if kind != "whitespace"])
def test_joints_put_words_together(with_special, kind):
    tokenizer = with_special[kind]
    ids = tokenizer.encode("my friend. the king sees.")
    goes_on, may_go_on = tokenizer.word_joints()
    words = [[ids[0]]]
    for previous, token_id in itertools.pairwise(ids):
        if goes_on[token_id] and may_go_on[previous]:
            words[-1].append(token_id)
        else:
            words.append([token_id])
    words = [tokenizer.decode(word).strip() for word in words]
    assert [word for word in words if word] == ["my", "friend", ".", "the", "king", "sees", "."]


def test_what_a_tokenizer_does_not_know_is_named(trained):
    with pytest.raises(InputError, match="'Z', 'ü'"):
        trained["char"].encode_known("Zür")


@pytest.mark.parametrize("content", ["", "{}", '{"kerazoo_kind": "char"}', "[1]"])
def test_a_damaged_file_is_refused(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    path.write_text(content)
    with pytest.raises(InputError, match=r"tokenizer\.json cannot be read as a tokenizer"):
        tokenizers.Tokenizer.load(path)


@pytest.mark.parametrize("is_cut", [True, False])
def test_a_text_without_spaces_is_not_cut_at_spaces(tmp_path, is_cut):
    path = tmp_path / "text.txt"
    words = ["我们", "昨天", "在", "图书馆", "看", "了", "一", "本", "书"]
    path.write_text((" " if is_cut else "").join(words) + "。", encoding="utf-8")
    if is_cut:
        assert tokenizers.train("whitespace", Text.of(path), 100).vocab_size > len(words)
        return
    with pytest.raises(InputError, match="no spaces between its words .*give another one, such"):
        tokenizers.train("whitespace", Text.of(path), 100)


def test_text_that_has_been_cut_into_words_is_left_as_it_is(tmp_path):
    # As in the Penn Treebank: every token, <unk> among them, between spaces; " \n" ends a sentence.
    path = tmp_path / "cut.txt"
    path.write_text(" mr. <unk> is n't N years old \n it 's u.s. law \n")
    text = Text.of(path)
    tokenizer = tokenizers.train("whitespace", text, 100)
    tokens = [tokenizer.text_of(token_id) for token_id in tokenizer.encode(text.read())]
    assert tokens[:3] == [" mr.", " <unk>", " is"]
    assert tokens[7] == " \n" == tokens[-1]
    assert tokenizer.unknown_id not in tokenizer.encode(text.read())
