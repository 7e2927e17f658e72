"""An experiment as YAML text, for people to read and to run again."""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import SafeRepresenter

from trainwright.spec.experiment import Experiment
from trainwright.spec.text import resolve

WIDTH = 100  # characters of a line
_PLAIN = re.compile(r"\w(?:(?:[\w ./+-]|:(?=\w))*[\w./+-])?")


class _Representer(SafeRepresenter):  # type: ignore[misc]  # ruamel has no types
    """Writes text so that our own reader, not ruamel's, takes it for text; never writes aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, data: str) -> ScalarNode:
        # Unquoted, other text could come back as a number, a truth value, null, or punctuation.
        style = None if _PLAIN.fullmatch(data) and isinstance(resolve(data), str) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=style)

    def number(self, data: float) -> ScalarNode:
        text = {"inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(repr(data), repr(data))
        return self.represent_scalar("tag:yaml.org,2002:float", text)


_Representer.add_representer(str, _Representer.text)
_Representer.add_representer(float, _Representer.number)


def write_yaml(experiment: Experiment, *, defaults: bool = True) -> str:
    """Writes an experiment as YAML that reads back as an equal experiment.

    Args:
        experiment: The experiment.
        defaults: Whether fields that equal their default are written too.

    Example:
        >>> from trainwright.spec.data import DataSpec
        >>> from trainwright.spec.model import ModelSpec
        >>> one = Experiment(name="a", data=DataSpec(path="a.csv"), model=ModelSpec(architecture="mlp"))
        >>> print(write_yaml(one, defaults=False), end="")
        name: a
        data: {path: a.csv}
        model: {architecture: mlp}
    """
    tree = experiment.model_dump(mode="json", exclude_defaults=not defaults)
    writer = YAML(typ="safe", pure=True)
    writer.Representer = _Representer
    writer.default_flow_style = None  # only what holds no lists or mappings is written on one line
    writer.sort_base_mapping_type_on_output = False
    writer.width = WIDTH
    writer.allow_unicode = True
    stream = io.StringIO()
    writer.dump(tree, stream)
    return stream.getvalue()
