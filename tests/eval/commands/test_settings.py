"""Settings of the help, read from the source, are those of the classes."""

import inspect

import pytest

from eval.commands import settings
from eval.splits.protocols import PROTOCOLS
from gnn.registry import MODELS, model_class
from graphgen.build import BuildConfig


def described(config):
    return [
        (name, str(field.default), " ".join((field.description or "").replace("`", "").split()))
        for name, field in config.model_fields.items()
    ]


@pytest.mark.parametrize("name", MODELS)
def test_settings_of_a_model(name):
    assert settings.settings_of(name) == described(model_class(name).Config)


def test_titles_of_models():
    titles = dict(settings.models_titles())
    assert {name: titles[name] for name in MODELS} == {
        name: inspect.getdoc(model_class(name)).split("\n")[0] for name in MODELS
    }


def test_settings_of_build():
    rows = [(f"{name}={default}", text) for name, default, text in described(BuildConfig)]
    assert settings.build_settings() == rows


def test_options_of_protocols():
    rows = dict(settings.split_settings())
    assert list(rows) == list(PROTOCOLS)
    for name, function in PROTOCOLS.items():
        for option, default in function.__kwdefaults__.items():
            assert (f"{option}={default}" in rows[name]) == (option != "seed")
