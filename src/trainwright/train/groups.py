"""Which options each parameter of a network is trained with."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from trainwright.base.errors import SpecError
from trainwright.spec.optimizer import Group
from trainwright.spec.train import Optimizer

SHOWN = 12  # names that a message lists


@dataclass(frozen=True, slots=True)
class ParameterOptions:
    """How one parameter is trained.

    Args:
        weight_decay: Of the optimizer.
        lr_scale: What the rate is multiplied by.
        frozen: Whether it keeps its value.
    """

    weight_decay: float = 0.0
    lr_scale: float = 1.0
    frozen: bool = False


def settle_groups(
    groups: Sequence[Group], names: Sequence[str], *, optimizer: Optimizer
) -> dict[str, ParameterOptions]:
    """Gives the options of each parameter; the first group that matches a name holds.

    Args:
        groups: From the spec.
        names: Of all parameters that training changes.
        optimizer: Its weight decay holds where no group says otherwise.

    Raises:
        SpecError: If a pattern matches nothing, a group is left with nothing, or everything is frozen.

    Example:
        >>> from trainwright.spec.optimizer import AdamW
        >>> groups = [Group(match="*.bias", weight_decay=0.0)]
        >>> found = settle_groups(groups, ["a.weight", "a.bias"], optimizer=AdamW(name="adamw"))
        >>> {name: one.weight_decay for name, one in found.items()}
        {'a.weight': 0.01, 'a.bias': 0.0}
    """
    usual: float = getattr(optimizer, "weight_decay", 0.0)
    settled = dict.fromkeys(names, ParameterOptions(usual))
    free = set(names)
    for number, group in enumerate(groups):
        where = f"train.groups.{number}.match"
        matched = {name for pattern in group.match.split("|") for name in _match(pattern, names, where)}
        if not matched & free:
            raise SpecError(
                f"{where}: all that {group.match!r} matches belongs to earlier groups; leave it out"
            )
        decay = usual if group.weight_decay is None else group.weight_decay
        for name in matched & free:
            settled[name] = ParameterOptions(decay, group.lr_scale, group.frozen)
        free -= matched
    if names and all(one.frozen for one in settled.values()):
        raise SpecError("train.groups: every parameter is frozen; leave something to train")
    return settled


def frozen_layers(options: Mapping[str, ParameterOptions]) -> frozenset[str]:
    """Names the layers all of whose parameters are frozen.

    Example:
        >>> frozen, trained = ParameterOptions(frozen=True), ParameterOptions()
        >>> sorted(frozen_layers({"a.weight": frozen, "a.bias": frozen, "b.weight": frozen, "b.bias": trained}))
        ['a']
    """
    moving = {name.rpartition(".")[0] for name, one in options.items() if not one.frozen}
    return frozenset(name.rpartition(".")[0] for name in options) - moving


def _match(pattern: str, names: Collection[str], where: str) -> list[str]:
    found = [name for name in names if fnmatchcase(name, pattern.strip())]
    if not found:
        listed = ", ".join(list(names)[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
        raise SpecError(f"{where}: {pattern.strip()!r} matches no parameter; there are {listed}")
    return found
