"""Search terms: whatever somebody types is understood somehow, in bounds, and finds the text that it was taken from."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from protocol.search.query import MAX_LEXEMES, Branch, Lexeme, Part, Phrase, Query, highlights, parse_query
from protocol.search.words import MAX_WORD, MAX_WORDS, folded, words

SPEECH = st.text(
    alphabet=st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from("abc éÉßﬁ -\"*|()'\\:&!<>東京都カタ 학교 สวัสดี हिन्दी 🎂\u0301\0"),
    ),
    max_size=200,
)


def phrase(*names: str) -> Phrase:
    return Phrase(tuple(Lexeme(name, place) for place, name in enumerate(names)))


@pytest.mark.parametrize(
    ("term", "branches"),
    [
        ("a b", (Branch((phrase("a"), phrase("b"))),)),
        ("a AND b", (Branch((phrase("a"), phrase("b"))),)),
        ('"a b"', (Branch((phrase("a", "b"),)),)),
        ('"a b', (Branch((phrase("a", "b"),)),)),
        ("a b OR c", (Branch((phrase("a"), phrase("b"))), Branch((phrase("c"),)))),
        ("a | b", (Branch((phrase("a"),)), Branch((phrase("b"),)))),
        ("a -b", (Branch((phrase("a"),), (phrase("b"),)),)),
        ('a -"b c"', (Branch((phrase("a"),), (phrase("b", "c"),)),)),
        ("a NOT b", (Branch((phrase("a"),), (phrase("b"),)),)),
        ("a*", (Branch((Phrase((Lexeme("a", is_prefix=True),)),)),)),
        ("*abc*", (Branch((Part("abc"),)),)),
        ("*ab*", (Branch((Phrase((Lexeme("ab", is_prefix=True),)),)),)),
        ("well-known", (Branch((phrase("well", "known"),)),)),
        ("-a", ()),
        ("a OR -b", (Branch((phrase("a"),)),)),
        ("", ()),
        ("OR AND NOT - * \" ''", ()),
    ],
)
def test_what_terms_mean(term: str, branches: tuple[Branch, ...]) -> None:
    assert parse_query(term).branches == branches


def test_limits_of_senders_and_time() -> None:
    query = parse_query("a from:alice from:@bob:one.example after:2024-02 before:2024-03-01 before:2025")
    assert query == Query(
        (Branch((phrase("a"),)),), ("alice", "@bob:one.example"), 1_706_745_600_000, 1_709_251_200_000
    )
    assert parse_query("a before:yesterday after:2024-13").since is None
    assert parse_query('"from:alice"').senders == ()


@given(SPEECH)
@example('"' * 1000)
@example("a OR " * 400)
@example("東" * 2000)
def test_whatever_is_typed_is_bounded(term: str) -> None:
    query = parse_query(term)
    nodes = [node for branch in query.branches for node in (*branch.wanted, *branch.unwanted)]
    lexemes = [lexeme for node in nodes if isinstance(node, Phrase) for lexeme in node.lexemes]
    assert len(lexemes) <= MAX_LEXEMES
    assert all(branch.wanted for branch in query.branches)
    assert all(0 < len(lexeme.word) <= MAX_WORD for lexeme in lexemes)
    assert "\0" not in "".join(lexeme.word for lexeme in lexemes)
    highlights(query, [term])


@given(SPEECH)
def test_a_text_is_found_by_itself(text: str) -> None:
    """Each phrase of a text, taken as a term, is in the words of the text, at the places that it names."""
    there = words(text)
    for branch in parse_query('"' + text.replace('"', " ") + '"').branches:
        for node in branch.wanted:
            assert isinstance(node, Phrase)
            assert any(_stands_at(node, there, start) for start in range(len(there)))


def _stands_at(node: Phrase, there: list[str], start: int) -> bool:
    places = [(lexeme, start + lexeme.place) for lexeme in node.lexemes]
    return all(
        place < len(there)
        and (there[place].startswith(lexeme.word) if lexeme.is_prefix else there[place] == lexeme.word)
        for lexeme, place in places
    )


@given(SPEECH)
def test_case_and_accents_make_no_difference(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert len(words(text)) <= MAX_WORDS
    assert words(text.upper().lower()) == words(text.upper())


def test_words_of_many_languages() -> None:
    assert words("Éclair, don't Straße ﬁne ①") == ["eclair", "don", "t", "strasse", "fine", "1"]
    assert words("東京都 iPhone") == ["東京", "京都", "都", "iphone"]
    assert words("हिन्दी") == ["हिन्दी"]
    assert words("مُحَمَّد") == ["محمد"]
    assert words("👍🏽👍") == ["👍", "👍"]
