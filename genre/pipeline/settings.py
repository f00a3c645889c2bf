"""The file params.yaml: read, overridden from the command line, and checked section by section.

Each section is described by a pydantic model that stands beside the code that uses it, for example
`genre.audio.params.Spectrogram`. A stage loads the models of the parameters that it reads, and no others.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from reprlib import Repr
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

SHOWN = Repr()  # a few lines of YAML can expand to a huge value, so messages show values shortened
SHOWN.maxstring = SHOWN.maxother = 100
SHOWN.maxlevel = 2


class Section(BaseModel):
    """Parameters of one section of params.yaml; a subclass names the section and its keys.

    Values are strict: a text is no number, a key that is unknown or missing is an error.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")
    section: ClassVar[str]


Kind = TypeVar("Kind", bound=Section)


def repository() -> Path:
    """Returns the root of the user's repository, also inside a temporary experiment.

    `dvc exp run --temp` and queued experiments work in a copy that is thrown away; DVC sets `DVC_ROOT` there.
    """
    return Path(os.environ.get("DVC_ROOT") or Path.cwd()).resolve()


@dataclass(frozen=True)
class Settings:
    """The content of a params file, with the overrides of the command line applied.

    Attributes:
        path: The params file, for messages.
        sections: section -> key -> value, not checked yet.
    """

    path: Path
    sections: Mapping[str, Any]

    def flat(self) -> dict[str, Any]:
        """Returns `section.key` -> value."""
        return {f"{name}.{key}": value for name, section in self.sections.items() for key, value in section.items()}

    @classmethod
    def read(cls, path: Path = Path("params.yaml"), overrides: Sequence[str] = ()) -> "Settings":
        """Reads a params file and applies overrides of the form `section.key=value`.

        Raises:
            ValueError: The file is missing, not YAML, or not a mapping; or an override has another form.
        """
        return cls.parse(_text(path), path, overrides)

    @classmethod
    def parse(cls, text: str, path: Path, overrides: Sequence[str] = ()) -> "Settings":
        """Takes the text of a params file, YAML 1.2 (so `3e-4` is a number); see `read`. Messages name `path`."""
        sections = _yaml(text, f"{path}")
        if not isinstance(sections, dict):
            raise ValueError(f"{path} must map section names to their keys, got {type(sections).__name__}")
        for override in overrides:
            _apply(sections, override)
        return cls(path, sections)

    def load(self, kind: type[Kind]) -> Kind:
        """Returns the parameters that `kind` describes, each of them checked.

        Other keys of the section are not looked at: `genre.console.check` does that for the whole file.

        Raises:
            ValueError: The section or one of the keys is missing, of the wrong type or out of range.
        """
        values = self.sections.get(kind.section)
        if not isinstance(values, dict):
            raise ValueError(f"{self.path} must have a section {kind.section}, got {shown(values)}")
        return build(kind, {key: values[key] for key in kind.model_fields if key in values}, f"{self.path}")


def build(kind: type[Kind], values: Mapping[str, Any], where: str) -> Kind:
    """Makes the section `kind` from `values` and checks each of them.

    Args:
        kind: A subclass of `Section`.
        values: key -> value.
        where: The file that holds the values, for messages.

    Raises:
        ValueError: A value is missing, unknown, of the wrong type or out of range; the message names the rule.
    """
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise ValueError(_problem(kind, error.errors(), where)) from None


def flat(*sections: Section) -> dict[str, Any]:
    """Returns sections as one mapping `section.key -> value`."""
    return {f"{section.section}.{key}": value for section in sections for key, value in section.model_dump().items()}


def shown(value: Any) -> str:
    """Returns a value as it is shown in a message: shortened, in one line."""
    try:
        return SHOWN.repr(value)
    except ValueError:  # Python refuses to print a whole number of thousands of digits
        return "a number too long to show"


def _problem(kind: type[Section], details: Sequence[ErrorDetails], where: str) -> str:
    """Says in one line which parameter is wrong, by which rule, and what its value is."""
    detail = details[0]
    if not detail["loc"]:  # a rule about several keys, with a message of its own
        return detail["msg"].removeprefix("Value error, ")
    key = str(detail["loc"][0])[:100]
    name, value = f"{kind.section}.{key}", detail["input"]
    if detail["type"] == "missing":
        return f"{name} is missing in {where}"
    if detail["type"] == "extra_forbidden":
        return f"{name} is not a parameter; {kind.section} has {', '.join(kind.model_fields)}"
    field = kind.model_fields[key]
    rules = [_rule(field, other) for other in details if other["loc"][0] == detail["loc"][0]]  # by kind of value
    rule = " or ".join(rules + ["null"] * (type(None) in get_args(field.annotation)))
    kind_of_value = f" ({type(value).__name__})" if "type" in detail["type"] or "from" in detail["type"] else ""
    return f"{name} must be {rule}, got {shown(value)}{kind_of_value}"


def _rule(field: FieldInfo, detail: ErrorDetails) -> str:
    """Returns what a value must be, to follow on "must be"."""
    if detail["type"] in ("greater_than_equal", "less_than_equal"):
        limits = dict(_limits(field))
        return f"in {limits['ge']}..{limits['le']}"
    if detail["type"] == "string_too_short":
        return "a text that is not empty"
    return detail["msg"].removeprefix("Input should be ")


def _limits(field: FieldInfo) -> Iterator[tuple[str, Any]]:
    """Yields the bounds `ge` and `le` of a field; those of `number | None` stand in the first part of the union."""
    inner = [part for kind in get_args(field.annotation) for part in getattr(kind, "__metadata__", ())]
    for part in [*field.metadata, *(bound for one in inner for bound in one.metadata)]:
        yield from ((name, getattr(part, name)) for name in ("ge", "le") if getattr(part, name, None) is not None)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{path} is missing; run in the repository's root, or name it with --params") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} must be text in UTF-8: {error}") from error


def _yaml(text: str, where: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except (YAMLError, ValueError, RecursionError) as error:
        raise ValueError(f"{where} must be YAML: {error}") from error


def _apply(sections: dict[str, Any], override: str) -> None:
    name, equals, value = override.partition("=")
    section, dot, key = name.partition(".")
    if not (equals and dot and isinstance(sections.get(section), dict)):
        raise ValueError(f"--set must be SECTION.KEY=VALUE with a section of the params file, got {override!r}")
    sections[section][key] = _yaml(value, f"--set {name}")
