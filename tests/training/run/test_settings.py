"""What a run may be told stands in fit's help and in the documents, made of the same dataclasses."""

import dataclasses

import pytest
import yaml

from support.checkout import ROOT
from tarn.training.__main__ import main
from tarn.training.coercion import load_config, to_yaml
from tarn.training.run.config import RunConfig
from tarn.training.run.settings import as_page, settings_of


def leaves(tree: dict[str, object], prefix: str = "") -> set[str]:
    found = set()
    for key, value in tree.items():
        inner = isinstance(value, dict) and key != "storage_options"
        found |= leaves(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}"}  # type: ignore[arg-type]
    return found


def test_every_setting_is_told_with_its_default_and_its_meaning() -> None:
    told = list(settings_of(RunConfig))
    assert {each.key for each in told} == leaves(yaml.safe_load(to_yaml(RunConfig())))
    assert all(each.meaning.endswith(".") and len(each.meaning) > 10 for each in told)


def test_the_defaults_that_are_told_are_the_defaults() -> None:
    words = [f"--{each.key}={each.default}" for each in settings_of(RunConfig)]
    assert load_config(RunConfig, None, words) == RunConfig()


def test_fits_help_lists_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["fit", "--help"])
    assert ended.value.code == 0
    told = capsys.readouterr().out
    assert "--config" in told
    assert all(f"--{each.key}={each.default}" in told for each in settings_of(RunConfig))


def test_the_page_of_the_documents_is_the_one_that_is_made() -> None:
    made = as_page()
    assert (ROOT / "docs" / "settings.md").read_text() == made, (
        ".venv/bin/python -m tarn.training.run.settings > docs/settings.md"
    )


def test_a_field_without_a_text_beneath_it_is_noticed() -> None:
    @dataclasses.dataclass
    class Config:
        told: int = 1
        """Something."""
        bare: int = 2

    with pytest.raises(KeyError, match="bare"):
        list(settings_of(Config))
