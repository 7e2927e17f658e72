"""Finds the arrays of a model among the tensors of a foreign checkpoint: by name and shape, or as a map says."""

import difflib
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trainwright.base.errors import DataError, SpecError
from trainwright.base.tree import Array
from trainwright.spec.text import MAX_BYTES, Json, Mark, Yaml, read_text

TRUNKS = ("state_dict", "model_state_dict", "model_weights")  # below one of these lie the weights of a model
ASIDE = (
    "optimizer",
    "optimizer_weights",
    "optimizer_state_dict",
)  # else: all but what lies below one of these
MOST_FAULTS, MOST_NEAR = 100, 3
_KEYS = ("from", "transpose", "minus")
_MEAN = ".running_mean"  # of batch normalisation
_SECTIONS = ("weights", "leave_out")

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an array of the model comes from.

    Args:
        name: Of the tensor.
        axes: In which order the tensor's axes make the array's, or None for as they are.
        reverse: Whether all axes are reversed, as in the transposed of a matrix.
        minus: The tensor that is subtracted, if any: so a bias before batch normalisation, which no model here has,
            goes into the mean that is subtracted after it.
    """

    name: str
    axes: tuple[int, ...] | None = None
    reverse: bool = False
    minus: str | None = None

    def __str__(self) -> str:
        return self.name if self.minus is None else f"{self.name} - {self.minus}"

    def shape_of(self, shape: Shape) -> Shape | None:
        """Gives the shape of a tensor after its axes were put in order, or None if that cannot be done."""
        if self.reverse:
            return shape[::-1]
        if self.axes is None:
            return shape
        return tuple(shape[axis] for axis in self.axes) if len(self.axes) == len(shape) else None

    def take(self, found: Mapping[str, Array]) -> Array:
        """Takes the tensor, less what is subtracted, and puts its axes in order."""
        tensor = found[self.name]
        if self.minus is not None:
            tensor = np.subtract(tensor, found[self.minus], dtype=np.float64)
        return tensor.T if self.reverse else tensor if self.axes is None else tensor.transpose(self.axes)


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a map file says.

    Args:
        sources: By the name of the model's array.
        leave_out: Patterns of names of tensors that nothing needs.
    """

    sources: Mapping[str, Source] = field(default_factory=dict)
    leave_out: Sequence[str] = ()


def weights_of(tensors: Mapping[str, Array]) -> tuple[dict[str, Array], str]:
    """Gives the tensors that are weights of a model, without the name they have in common, and that name.

    Example:
        >>> weights_of({"state_dict/fc.bias": np.zeros(1), "optimizer_states/0/step": np.zeros(())})
        ({'fc.bias': array([0.])}, 'state_dict')
    """
    for trunk in TRUNKS:
        below = {
            name.removeprefix(f"{trunk}/"): one
            for name, one in tensors.items()
            if name.startswith(f"{trunk}/")
        }
        if below:
            return below, trunk
    return {name: one for name, one in tensors.items() if name.partition("/")[0] not in ASIDE}, ""


def match_weights(
    wanted: Mapping[str, Shape], found: Mapping[str, Array], said: Assignment, *, what: str
) -> dict[str, Array]:
    """Gives every array of a model, as float32.

    Args:
        wanted: The shape of each array, by neutral name.
        found: Tensors by their own names.
        said: Which array comes from which tensor; others come from the tensor of their own name.
        what: The checkpoint, for the error message.

    Raises:
        DataError: If an array is missing, a tensor is left over or has another shape, or a number is not finite;
            all of it is told, with tensors that might be meant.
    """
    faults: list[str] = []
    for name in said.sources.keys() - wanted.keys():
        near = difflib.get_close_matches(name, wanted, n=1)
        faults.append(
            f"{name} is in the map, but no array of the model{f'; nearest: {near[0]}' if near else ''}"
        )
    sources = {name: said.sources.get(name, Source(name)) for name in wanted}
    used = {name for one in sources.values() for name in (one.name, one.minus) if name is not None}
    spare = {name: one.shape for name, one in found.items() if name not in used and not _left_out(name, said)}
    taken: dict[str, Array] = {}
    for name, shape in wanted.items():
        source = sources[name]
        tensor = found.get(source.name)
        if tensor is None:
            where = "" if source.name == name else f" (mapped from {source.name}, which is not there)"
            faults.append(f"{name} {shape} is missing{where}{_near(source.name, shape, spare)}")
        elif source.shape_of(tensor.shape) != shape:
            faults.append(
                f"{source.name} has the shape {tensor.shape}, {name} needs {shape}{_turn(tensor.shape, shape)}"
            )
        elif tensor.dtype.kind != "f":
            faults.append(f"{source.name} holds {tensor.dtype}, {name} needs floats")
        elif source.minus is not None and (fault := _cannot_subtract(source, found)):
            faults.append(f"{name}: {fault}")
        else:
            with np.errstate(over="ignore"):
                array = np.array(source.take(found), dtype=np.float32, order="C")
            if not np.isfinite(array).all():
                faults.append(f"{source.name} holds numbers that are not finite in float32")
            taken[name] = array
    for pattern in said.leave_out:
        if not any(fnmatch.fnmatchcase(name, pattern) for name in found):
            faults.append(f"{pattern} is in leave_out of the map, but no tensor has such a name")
    faults += [
        f"{name} {shape} is left over; map it, or name it in leave_out of the map{_before_normalising(shape, wanted)}"
        for name, shape in spare.items()
    ]
    if faults:
        more = [f"and {len(faults) - MOST_FAULTS} more"] if len(faults) > MOST_FAULTS else []
        raise DataError(
            "\n".join([f"{what} does not fit the model:", *faults[:MOST_FAULTS], *more]).replace("\n", "\n  ")
        )
    return taken


def lost_biases(wanted: Mapping[str, Shape], found: Mapping[str, Array], said: Assignment) -> dict[str, str]:
    """Gives tensors that a map leaves out though they may be biases before batch normalisation that are not zero.

    Args:
        wanted: The shape of each array, by neutral name.
        found: Tensors by their own names.
        said: The map.

    Returns:
        By name, where each might belong.
    """
    return {
        name: hint
        for name, one in found.items()
        if _left_out(name, said) and one.dtype.kind == "f" and one.any()
        if (hint := _before_normalising(one.shape, wanted))
    }


def read_map(path: Path) -> Assignment:
    """Reads a map file.

    Args:
        path: YAML: `weights` names the tensor of each array, or `{from: tensor, transpose: true}`, where `transpose`
            may be a list of axes too, or `{from: tensor, minus: tensor}`; `leave_out` is a list of patterns.

    Raises:
        SpecError: If it cannot be read; all faults, each with its line.
    """
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError(f"{path}: it cannot be read: {error.strerror}") from error
    found = read_text(content, where=str(path))
    faults = [(mark, text) for mark, _, text in found.faults]
    tree = _mapping(found.value, found, (), faults)
    _refuse_others(tree, _SECTIONS, found, (), faults)
    sources = {}
    for name, value in _mapping(tree.get("weights", {}), found, ("weights",), faults).items():
        made = _source(value, found, ("weights", name), faults)
        if made is not None:
            sources[name] = made
    leave_out = tree.get("leave_out", [])
    if not isinstance(leave_out, list) or not all(isinstance(one, str) for one in leave_out):
        faults.append((found.values[("leave_out",)], "leave_out: a list of names or patterns is needed"))
        leave_out = []
    if faults:
        raise SpecError(
            "\n".join(f"{path}:{mark.line}:{mark.column}: {text}" for mark, text in sorted(faults))
        )
    return Assignment(sources, tuple(leave_out))


_Path = tuple[str | int, ...]
_Faults = list[tuple[Mark, str]]


def _source(value: Json, found: Yaml, path: _Path, faults: _Faults) -> Source | None:
    if isinstance(value, str):
        return Source(value)
    told = _mapping(value, found, path, faults, or_text=True)
    _refuse_others(told, _KEYS, found, path, faults)
    name, turn = told.get("from"), told.get("transpose", False)
    if told and not isinstance(name, str):
        faults.append((found.values[path], f"{_spell(path)}: `from: name` of the tensor is needed"))
    axes = isinstance(turn, list) and sorted(turn, key=str) == list(range(len(turn))) and len(turn) < 10
    if not isinstance(turn, bool) and not (axes and all(type(axis) is int for axis in turn)):
        text = f"{_spell(path)}.transpose: true, or a list of all axes such as [3, 2, 0, 1], is needed"
        faults.append((found.values[(*path, "transpose")], text))
        return None
    minus = told.get("minus")
    if minus is not None and not isinstance(minus, str):
        faults.append(
            (found.values[(*path, "minus")], f"{_spell(path)}.minus: the name of a tensor is needed")
        )
        return None
    if not isinstance(name, str):
        return None
    return Source(name, tuple(turn) if isinstance(turn, list) else None, turn is True, minus)


def _mapping(
    value: Json, found: Yaml, path: _Path, faults: _Faults, *, or_text: bool = False
) -> dict[str, Json]:
    if isinstance(value, dict):
        return value
    text = "the name of a tensor or a mapping" if or_text else "a mapping"
    faults.append((found.values[path], f"{_spell(path)}: {text} is needed" if path else f"{text} is needed"))
    return {}


def _refuse_others(
    tree: Mapping[str, Json], known: Sequence[str], found: Yaml, path: _Path, faults: _Faults
) -> None:
    for key in tree:
        if key not in known:
            text = f"unknown key {key!r}, there are {' and '.join(known)}"
            faults.append((found.keys[(*path, key)], f"{_spell((*path, key))}: {text}"))


def _spell(path: _Path) -> str:
    return ".".join(map(str, path))


def _left_out(name: str, said: Assignment) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in said.leave_out)


def _near(name: str, shape: Shape, spare: Mapping[str, Shape]) -> str:
    alike = [one for one, other in spare.items() if other == shape]
    turned = [one for one, other in spare.items() if other == shape[::-1] and other != shape]
    close = difflib.get_close_matches(
        name[:100], alike, n=MOST_NEAR, cutoff=0.0
    ) or difflib.get_close_matches(name[:100], turned, n=MOST_NEAR, cutoff=0.0)
    if not close:
        return ""
    return f"; of this shape{'' if alike else ' transposed'}: {', '.join(close)}"


def _turn(shape: Shape, wanted: Shape) -> str:
    return "; write transpose: true in the map" if shape[::-1] == wanted else ""


def _cannot_subtract(source: Source, found: Mapping[str, Array]) -> str:
    assert source.minus is not None
    other, shape = found.get(source.minus), found[source.name].shape
    if other is None:
        return f"{source.minus}, which is to be subtracted, is not there"
    if other.shape != shape or other.dtype.kind != "f":
        return f"{source.minus} holds {other.dtype} {other.shape}; only floats {shape} can be subtracted"
    return ""


def _before_normalising(shape: Shape, wanted: Mapping[str, Shape]) -> str:
    """Says where a bias before batch normalisation goes, if there is a mean of its shape."""
    means = [name for name, one in wanted.items() if name.endswith(_MEAN) and one == shape]
    if not means:
        return ""
    more = " and so on" if len(means) > 1 else ""
    return f"; a bias before batch normalisation goes into its mean by `minus`, that of {means[0]}{more}"
