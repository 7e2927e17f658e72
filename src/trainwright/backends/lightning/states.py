"""The states of Lightning's callbacks as trees that a checkpoint can keep."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainwright.base.blame import raised_in, spell_place
from trainwright.base.errors import BackendError
from trainwright.base.tree import Tree
from trainwright.train.resuming import pair_states


def keep_states(callbacks: Sequence[Any]) -> list[Tree]:
    """Gives what each callback wants to find again after a resume.

    Raises:
        BackendError: If one wants to keep what is neither number, text, tensor, list nor mapping.
    """
    where = "train.lightning.callbacks"
    kept: list[Tree] = []
    for number, one in enumerate(callbacks):
        with raised_in(f"{where}.{number}: {spell_place(one)}.state_dict"):
            state = one.state_dict()
        kept.append([type(one).__name__, keep(state, where=f"{where}: {type(one).__name__}")])
    return kept


def give_back(callbacks: Sequence[Any], kept: Any) -> None:
    """Gives each callback what `keep_states` kept of it.

    Raises:
        BackendError: If it was kept of other callbacks.
    """
    for callback, state in pair_states(callbacks, kept, where="train.lightning.callbacks"):
        if state:  # as Lightning itself does
            callback.load_state_dict(find_again(state))


def keep(value: Any, *, where: str) -> Tree:
    """Gives a state as a tree; `find_again` is the way back.

    Raises:
        BackendError: If it holds what is neither number, text, tensor, list nor mapping; `where` begins the message.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu().numpy().copy()
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return {key: keep(one, where=f"{where}.{key}") for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [keep(one, where=f"{where}.{number}") for number, one in enumerate(value)]
    if value is None or type(value) in (bool, int, float, str):
        kept: Tree = value
        return kept
    raise BackendError(
        f"{where} of state_dict() is a {type(value).__name__}, which a checkpoint cannot "
        "keep; give numbers, text, tensors, lists, and mappings with text as keys"
    )


def find_again(kept: Any) -> Any:
    """Gives back what `keep` was given: arrays as tensors."""
    if isinstance(kept, np.ndarray):
        return torch.tensor(kept)
    if isinstance(kept, dict):
        return {key: find_again(one) for key, one in kept.items()}
    return [find_again(one) for one in kept] if isinstance(kept, list) else kept
