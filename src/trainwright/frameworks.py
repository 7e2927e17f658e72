"""What a plan settles about the framework that trains, and asks of the user's own parts of it."""

from trainwright.backends.equinox.threads import own_threads
from trainwright.backends.keras.engine import own_engine
from trainwright.backends.keras.listeners import check_listeners as check_keras_listeners
from trainwright.backends.lightning.listeners import check_listeners
from trainwright.backends.lightning.together import check_together
from trainwright.base.errors import SpecError
from trainwright.models.task import ModelTask


def own_frameworks(backend: str, *, threads: int) -> None:
    """Decides what cannot be changed once a framework is imported, which own code may do."""
    if backend.startswith("keras-"):
        own_engine(backend.removeprefix("keras-"), threads=threads)
    elif backend == "equinox":
        own_threads(threads)


def check_own_parts(task: ModelTask, *, in_memory: bool) -> None:
    """Imports what `train.lightning` and `train.keras` name, and says what they cannot do.

    Args:
        task: What is trained.
        in_memory: Whether its records are.

    Raises:
        SpecError: If a name or an argument is wrong, or the task is none for them.
    """
    train, loss = task.train, task.loss
    if train.lightning is not None:
        check_listeners(train.lightning)
    if train.keras is not None:
        check_keras_listeners(train.keras)
    if train.has_own_module and loss.name in ("reconstruction", "nt_xent"):
        raise SpecError(
            f"train.lightning.module: a module of your own does not train by {loss.name!r}; name another loss"
        )
    if train.processes > 1:
        check_together(task, in_memory=in_memory)
