"""The user's own callbacks of Keras, made from a spec without importing Keras before they do."""

from collections.abc import Sequence
from typing import Any

from trainwright.base.blame import raised_in, spell_place
from trainwright.base.errors import BackendError
from trainwright.base.tree import Tree, leaves
from trainwright.spec.build import construct
from trainwright.spec.keras import KerasSpec
from trainwright.spec.own_code import choose_listeners
from trainwright.train.resuming import pair_states

CALLBACK = (
    "set_params",
    "set_model",
    "on_train_begin",
    "on_epoch_begin",
    "on_train_batch_begin",
    "on_train_batch_end",
    "on_epoch_end",
    "on_train_end",
)
# Keras' callbacks that change a training, end it or keep it; and what to write instead.
INSTEAD = {
    "EarlyStopping": "`EarlyStopping` in train.callbacks",
    "TerminateOnNaN": "`StopOnNaN` in train.callbacks",
    "ModelCheckpoint": "`Checkpoint` in train.callbacks",
    "OrbaxCheckpoint": "`Checkpoint` in train.callbacks",
    "BackupAndRestore": "`Checkpoint` in train.callbacks, and `trainwright resume`",
    "LearningRateScheduler": "train.schedule",
    "ReduceLROnPlateau": "train.schedule: {name: plateau}",
    "SwapEMAWeights": "train.ema",
}
OF_KERAS = ("keras.",)


def check_listeners(spec: KerasSpec) -> None:
    """Imports what a spec names; makes nothing yet.

    Raises:
        SpecError: If a name or an argument is wrong, or a callback would do what a field of the spec does.
    """
    for _ in _chosen(spec):
        pass


def make_listeners(spec: KerasSpec | None) -> list[Any]:
    """Makes the callbacks of a spec.

    Raises:
        SpecError: As `check_listeners`; or if a constructor refuses its arguments.
    """
    return [] if spec is None else [construct(one, part, where=where) for where, part, one in _chosen(spec)]


def _chosen(spec: KerasSpec) -> Any:
    where = "train.keras.callbacks"
    return choose_listeners(spec.callbacks, where=where, has=CALLBACK, instead=INSTEAD, of=OF_KERAS)


def keep_states(callbacks: Sequence[Any]) -> list[Tree]:
    """Gives what each callback wants to find again after a resume: `state()`, where it has that.

    Raises:
        BackendError: If one wants to keep what a checkpoint cannot.
    """
    kept: list[Tree] = []
    for number, one in enumerate(callbacks):
        name = type(one).__name__
        with raised_in(f"train.keras.callbacks.{number}: {spell_place(one)}.state"):
            state = one.state() if hasattr(one, "state") else None
        try:
            for _ in leaves(state):
                pass
        except TypeError as error:
            raise BackendError(f"train.keras.callbacks: state() of {name}: {error}") from error
        kept.append([name, state])
    return kept


def give_back(callbacks: Sequence[Any], kept: Any) -> None:
    """Gives each callback what `keep_states` kept of it.

    Raises:
        BackendError: If it was kept of other callbacks.
    """
    for callback, state in pair_states(callbacks, kept, where="train.keras.callbacks"):
        if hasattr(callback, "load_state"):
            callback.load_state(state)
