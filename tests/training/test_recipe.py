from __future__ import annotations

import pytest

from fewshot_llm.errors import TuningError
from fewshot_llm.training import Recipe, list_recipes, load_recipe, recipes_folder, suggest_recipe, take_recipe


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["small", "default", "many-classes", "many-rows"])
def test_shipped_recipes_load_and_give_a_reason_beside_each_value(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    lines = (recipes_folder() / f"{name}.toml").read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if "=" in line and not line.startswith("#"):
            assert "#" in line or lines[number - 1].startswith("#"), f"{name}: no reason beside {line}"
    given = {line.split("=")[0].strip() for line in lines if "=" in line and not line.startswith("#")}
    assert given == set(Recipe.model_fields) - {"name"}, "a shipped recipe states every value"


def test_suggestions_are_shipped():
    assert {suggest_recipe(*size) for size in ((2, 32), (5, 20), (27, 108), (77, 385))} == set(list_recipes())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ranks = 8", "unknown key 'ranks'.*Did you mean rank"),
        ("rank = 0", "rank = 0"),
        ("learning_rate = -1", "learning_rate = -1"),
        ('layers = "bottom:2"', "layers"),
        ("targets = []", "targets"),
        ('loss = "focal"', "loss"),
        ("dropout = 1.0", "dropout"),
        ("rank = ", "not readable TOML"),
    ],
)
def test_bad_recipes_say_what_is_wrong(tmp_path, text, message):
    with pytest.raises(TuningError, match=message):
        load_recipe(write(tmp_path, text))


def test_unknown_names_get_the_nearest_ones():
    with pytest.raises(TuningError, match="many-classes"):
        load_recipe("many-clases")


def test_a_file_of_ones_own_is_named_after_the_file(tmp_path):
    assert load_recipe(write(tmp_path, 'rank = 4\ntargets = ["q_proj"]')) == Recipe(
        name="mine", rank=4, targets=("q_proj",)
    )


def test_the_recipe_follows_the_numbers_of_labels_and_rows():
    own = Recipe(rank=2)
    assert take_recipe(None, 2, 32).name == "small"
    assert take_recipe(None, 2, 1000).name == "small"
    assert take_recipe(None, 27, 108).name == "many-classes"
    assert take_recipe(None, 77, 385).name == "many-rows"
    assert take_recipe("default", 2, 32).name == "default"
    assert take_recipe(own, 2, 32) is own
