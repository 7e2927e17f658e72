"""The JSON Schema of an experiment file, with which editors complete and explain fields."""

import inspect
import re
from typing import Any

from trainwright.spec.experiment import Experiment
from trainwright.spec.fields import fields_of, is_part, options
from trainwright.spec.part import Part

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def experiment_schema() -> dict[str, Any]:
    """Gives the JSON Schema (2020-12) of an experiment file.

    What each field means comes from the `Args` of the docstrings, so that it is written down once.

    Example:
        >>> schema = experiment_schema()
        >>> schema["title"], schema["properties"]["seed"]["description"]
        ('Experiment', 'Of initial values, order and dropout.')
    """
    schema = Experiment.model_json_schema()
    definitions = schema.get("$defs", {})
    for part in _parts(Experiment, []):
        described = schema if part is Experiment else definitions[part.__name__]
        described["description"] = _summary(part)
        for name, text in field_descriptions(part).items():
            described["properties"][name]["description"] = text
    _drop_discriminators(schema)
    return {"$schema": DIALECT, **schema}


def field_descriptions(part: type[Part]) -> dict[str, str]:
    """Reads what each field means from the `Args` of a part's docstring.

    Example:
        >>> from trainwright.spec.part import Use
        >>> field_descriptions(Use)
        {'use': 'The name.', 'args': 'Keyword arguments of its constructor.'}
    """
    section = re.search(r"^Args:\n((?:    .*\n?|\n)+)", inspect.getdoc(part) or "", re.MULTILINE)
    found: dict[str, str] = {}
    name = ""
    for line in section.group(1).splitlines() if section else ():
        if begins := re.match(r"    (\w+): (.*)", line):
            name, found[begins.group(1)] = begins.group(1), begins.group(2)
        elif line.strip():
            found[name] += f" {line.strip()}"
    return found


def _summary(part: type[Part]) -> str:
    return " ".join((inspect.getdoc(part) or "").split("\n\n")[0].split())


def _parts(part: type[Part], found: list[type[Part]]) -> list[type[Part]]:
    if part not in found:
        found.append(part)
        for annotation in fields_of(part).values():
            for option in options(annotation):
                for kind in (option.kind, *(inner.kind for inner in options(option.item))):
                    if is_part(kind):
                        _parts(kind, found)
    return found


def _drop_discriminators(node: Any) -> None:
    # A word of OpenAPI, not of JSON Schema; `oneOf` with a `const` name says the same.
    if isinstance(node, dict):
        if isinstance(node.get("discriminator"), dict) and "oneOf" in node:
            del node["discriminator"]
        for value in node.values():
            _drop_discriminators(value)
    elif isinstance(node, list):
        for value in node:
            _drop_discriminators(value)
