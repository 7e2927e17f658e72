"""Which losses train which task with which head, and what a sum of losses says."""

from collections.abc import Mapping
from typing import Any

from trainwright.spec.losses import name_of

# Which losses train which task; the first one that goes with the head is what `auto` takes.
FITTING: Mapping[str, tuple[str, ...]] = {
    "classification": ("cross_entropy", "focal", "kl"),
    "multi_label": ("binary_cross_entropy", "binary_focal"),
    "segmentation": ("cross_entropy", "focal"),
    "regression": (
        "mse",
        "mae",
        "huber",
        "gaussian_nll",
        "laplace_nll",
        "student_t_nll",
        "mixture_nll",
        "quantile",
    ),
    "embedding": ("supervised_contrastive", "triplet", "reconstruction", "nt_xent"),
}
HEADS: Mapping[str, str] = {  # all others: point
    "gaussian_nll": "mean_variance",
    "laplace_nll": "laplace",
    "student_t_nll": "student_t",
    "mixture_nll": "mixture",
    "quantile": "quantiles",
}
OF_CLASSES = ("cross_entropy", "focal")  # of one class per record or per pixel
SELF_SUPERVISED = ("reconstruction", "nt_xent")  # they look at no target


def parts_of(loss: Any) -> tuple[Any, ...]:
    """Gives the losses that are added, names or parts; a loss that is no sum is itself the only one.

    Example:
        >>> parts_of("mse")
        ('mse',)
    """
    return tuple(share.loss for share in loss.losses) if name_of(loss) == "composite" else (loss,)


def names_of(loss: Any) -> tuple[str, ...]:
    """Names the losses that are added.

    Example:
        >>> from trainwright.spec.losses import Composite, Share
        >>> names_of(Composite(name="composite", losses=[Share(loss="mse"), Share(loss="mae", weight=0.5)]))
        ('mse', 'mae')
    """
    return tuple(name_of(one) for one in parts_of(loss))


def head_of(loss: Any) -> str:
    """Names the head that a loss of a regression trains; that of code of one's own is `point`.

    Example:
        >>> head_of("gaussian_nll"), head_of("mae")
        ('mean_variance', 'point')
    """
    return HEADS.get(names_of(loss)[0], "point")


def class_weights_of(loss: Any) -> Any:
    """Gives the weights of classes that a loss multiplies those of records by; None where there are none."""
    first = parts_of(loss)[0]
    return first.class_weights if name_of(first) in OF_CLASSES and not isinstance(first, str) else None


def fitting_losses(task_type: str, head: str) -> tuple[str, ...]:
    """Names the losses that train a task with a head; the first is the usual one.

    Example:
        >>> fitting_losses("regression", "point"), fitting_losses("regression", "quantiles")
        (('mse', 'mae', 'huber'), ('quantile',))
    """
    return tuple(name for name in FITTING[task_type] if HEADS.get(name, "point") == head)
