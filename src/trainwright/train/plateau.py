"""Decides when the learning rate is cut because a metric stands still."""

import math
from collections.abc import Mapping

from trainwright.base.tree import Tree
from trainwright.spec.schedule import Plateau


class RateScale:
    """The factor of the learning rate that the loop answers with; 1 unless the schedule is a plateau.

    Args:
        plateau: From the spec, or None.

    Example:
        >>> scale = RateScale(Plateau(name="plateau", patience=2, factor=0.5))
        >>> for loss in [1.0, 1.0, 1.0, 0.5]:
        ...     scale.hear({"val/loss": loss})
        >>> scale.value
        0.5
    """

    def __init__(self, plateau: Plateau | None = None) -> None:
        self._plateau = plateau
        self._best, self._waited, self.value = math.inf, 0, 1.0

    def hear(self, measured: Mapping[str, float]) -> None:
        """Takes the metrics measured at this very step."""
        plateau = self._plateau
        if plateau is None or plateau.metric not in measured:
            return
        value = measured[plateau.metric] * (1.0 if plateau.mode == "min" else -1.0)
        if value < self._best:
            self._best, self._waited = value, 0
            return
        self._waited += 1
        if self._waited >= plateau.patience:
            self.value = max(self.value * plateau.factor, plateau.min_fraction)
            self._waited = 0

    def state(self) -> Tree:
        """Gives what a resumed run needs."""
        return {"best": self._best, "waited": self._waited, "value": self.value}

    def load_state(self, tree: Tree) -> None:
        """Takes back what `state` gave."""
        assert isinstance(tree, dict)
        self._best, self._waited, self.value = tree["best"], tree["waited"], tree["value"]  # type: ignore[assignment]
