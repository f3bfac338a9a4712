import argparse

import pytest

from tarn.sharding.errors import UsageError
from tarn.sharding.storage.persistence import Patience
from tarn.sharding.storage.told import TOLD, Store, told
from tarn.sharding.storage.words import add_words, parse_options, store_of


def parsed(*words: str) -> Store:
    parser = argparse.ArgumentParser()
    add_words(parser)
    return store_of(parser.parse_args(words))


def test_options_come_one_by_one_or_as_a_mapping_in_yaml_or_json() -> None:
    whole = {"anon": True, "client_kwargs": {"endpoint_url": "http://h:1", "region_name": "x"}}
    yaml = "{anon: true, client_kwargs: {endpoint_url: 'http://h:1', region_name: x}}"
    json = '{"anon": true, "client_kwargs": {"endpoint_url": "http://h:1", "region_name": "x"}}'
    each = ["anon=true", "client_kwargs.endpoint_url=http://h:1", "client_kwargs.region_name=x"]
    for words in ([yaml], [json], each):
        assert parsed(*(part for word in words for part in ("--storage-option", word))).options == whole


def test_a_later_word_replaces_an_earlier_one_s_value() -> None:
    assert parse_options(["{a: 1, b: {c: 2, d: 3}}", "b.c=4", "a=x=y", "e="]) == {
        "a": "x=y",
        "b": {"c": 4, "d": 3},
        "e": None,
    }


@pytest.mark.parametrize("word", ["secret", "=x", "a..b=hidden", "{a: [hidden", "{1: hidden}", "{hidden"])
def test_what_is_no_option_is_refused_without_telling_its_value(word: str) -> None:
    with pytest.raises(UsageError, match="--storage-option") as caught:
        parse_options([word])
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("words", [("--client=curl",), ("--deadline=0",), ("--deadline=nan",)])
def test_a_client_or_deadline_that_is_none_is_refused_by_name(words: tuple[str]) -> None:
    with pytest.raises(UsageError, match=words[0].split("=")[0]):
        parsed(*words)


def test_what_was_told_holds_until_the_command_is_over() -> None:
    with told(parsed("--deadline=7")):
        assert Patience().deadline == 7
        assert Patience(deadline=3).deadline == 3
    assert Patience().deadline == 120
    assert TOLD.store == Store()
