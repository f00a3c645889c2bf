"""Recipes: values of params.yaml that belong together, kept under one name in the folder recipes/."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from genre.console.check import check
from genre.pipeline import files
from genre.pipeline.settings import Settings

FOLDER = Path("recipes")
PARAMS = Path("params.yaml")
NULL = "tag:yaml.org,2002:null"


def names(folder: Path = FOLDER) -> dict[str, str]:
    """Returns name -> what the recipe is: the first line of its file, a comment.

    Raises:
        ValueError: There is no folder of recipes here.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing; run in the repository's root")
    return {path.stem: path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")
            for path in sorted(folder.glob("*.yaml"))}  # fmt: skip


def values(name: str, folder: Path = FOLDER) -> dict[str, Any]:
    """Returns the values of a recipe: `section.key` -> value.

    Raises:
        ValueError: There is no recipe of that name, or its file does not map sections to keys and values.
    """
    known = names(folder)
    if name not in known:
        raise ValueError(f"{name!r} is not a recipe; there are {', '.join(known)}")
    path = folder / f"{name}.yaml"
    try:
        sections = YAML(typ="safe", pure=True).load(path)
        return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}
    except (YAMLError, AttributeError) as error:
        raise ValueError(f"{path} must map sections of params.yaml to keys and values: {error}") from error


def _content(yaml: YAML, params: Path) -> Any:
    """Reads the params file with its comments."""
    try:
        content = yaml.load(params)
    except FileNotFoundError:
        raise ValueError(f"{params} is missing; `git checkout -- {params}` restores it") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{params} must be YAML: {error}") from error
    if not isinstance(content, dict) or not all(isinstance(section, dict) for section in content.values()):
        raise ValueError(f"{params} must map section names to their keys")
    return content


def apply(name: str, params: Path = PARAMS, folder: Path = FOLDER) -> list[str]:
    """Writes the values of a recipe into the params file; its comments and other values stay.

    Returns:
        What was changed, a line each.

    Raises:
        ValueError: There is no such recipe, or the params file would not pass its check.
    """
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 200  # so that a line is not wrapped
    yaml.representer.add_representer(type(None), lambda made, _: made.represent_scalar(NULL, "null"))  # not left out
    wanted = values(name, folder)
    content = _content(yaml, params)
    lines = []
    for key, value in wanted.items():
        section, _, parameter = key.partition(".")
        if parameter not in content.get(section, {}):
            raise ValueError(f"recipe {name}: {key} is not a parameter of {params}")
        before = content[section][parameter]
        if before != value:
            lines.append(f"{key}: {before} -> {value}")
            content[section][parameter] = value
    check(Settings(params, content))
    if lines:
        with files.replacing(params) as temporary, temporary.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)
    return lines
