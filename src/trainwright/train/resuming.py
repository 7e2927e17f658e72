"""What a loop takes back of a checkpoint."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from trainwright.base.errors import BackendError, StoreError
from trainwright.base.tree import Tree


def branch_state(tree: Tree) -> Tree:
    """Turns the state of a snapshot into the beginning of a new run.

    The learner goes on; callbacks begin anew, as in every run, and neither a stop nor a warning of the parent counts.
    """
    assert isinstance(tree, dict)
    return tree | {"callbacks": None, "stopped": None, "diverged": False}


def pair_states(callbacks: Sequence[Any], kept: Any, *, where: str) -> Iterator[tuple[Any, Any]]:
    """Gives each callback of a framework with the state that was kept of it, as pairs of a name and a state.

    Raises:
        BackendError: If they were kept of other callbacks; `where` begins the message.
    """
    names, found = [type(one).__name__ for one in callbacks], [name for name, _ in kept]
    if found != names:
        raise BackendError(f"{where}: the state was made with {found}, not {names}")
    return zip(callbacks, (state for _, state in kept), strict=True)


@contextmanager
def whole(what: str) -> Iterator[None]:
    """Says so if a state is not whole.

    Args:
        what: Whose state it is, for the message.

    Raises:
        StoreError: If what is read of the state within is missing, or something else.

    Example:
        >>> with whole("the loop"):
        ...     {}["step"]
        Traceback (most recent call last):
        trainwright.base.errors.StoreError: the loop: the state of the checkpoint lacks 'step'; ...
    """
    try:
        yield
    except (LookupError, TypeError, ValueError) as error:
        said = f"lacks {error}" if isinstance(error, KeyError) else f"is not what was kept ({error})"
        raise StoreError(
            f"{what}: the state of the checkpoint {said}; it was not made by this version, resume with the one that did"
        ) from error
