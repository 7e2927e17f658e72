"""Whether records are rows of token ids: names that stand for words, not quantities."""

from trainwright.base.errors import DataError
from trainwright.data.dataset import Features
from trainwright.data.frame import Frame
from trainwright.data.lazy import is_lazy
from trainwright.data.sequences import Sequences
from trainwright.spec.model import ModelSpec


def holds_tokens(x: Features, model: ModelSpec) -> bool:
    """Says whether records hold token ids: a transformer takes rows of integers for them.

    Args:
        x: The features.
        model: As the user wrote it.

    Raises:
        DataError: If the model is said to read token ids and these are none, or if they stay in their file.
    """
    if model.architecture != "transformer" or model.input not in ("auto", "tokens"):
        return False
    if isinstance(x, Sequences):
        whole = x.tokens
    else:
        whole = not isinstance(x, Frame) and len(x.shape) == 2 and x.dtype.kind in "iu"
    if whole and not isinstance(x, Sequences) and is_lazy(x):
        raise DataError("data.in_memory: token ids are read whole; write in_memory: true")
    if not whole and (model.input == "tokens" or said_vocabulary(model) is not None):
        raise DataError(
            "data.features: token ids are an array of integers, shape (records, length), or lists of them; these are "
            "not: save them so, or leave out model.input and model.vocabulary_size"
        )
    return whole


def said_vocabulary(model: ModelSpec) -> int | None:
    """Gives how many token ids there may be, if the user says so.

    Example:
        >>> said_vocabulary(ModelSpec(architecture="transformer", vocabulary_size=100))
        100
    """
    said = model.vocabulary_size
    return said if isinstance(said, int) else None
