"""The quasi-Newton method with limited memory and a line search, as torch.optim.LBFGS makes its steps."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainwright.spec import optimizer as spec

FLAT = 1e-7  # the largest slope of any weight at which nothing is left to do
STILL = 1e-9  # the smallest change of a weight, or of the loss, that is worth another iteration
SHARP = 1e-10  # the smallest product of two changes that says something of the curvature
ENOUGH, FLATTER = 1e-4, 0.9  # the two constants of the strong Wolfe conditions

Evaluate = Callable[[], tuple[Tensor, Sequence[Tensor]]]


class LBFGS:
    """Minimises the loss of the records of a step along directions that know the curvature.

    Args:
        chosen: The spec; its `lr` is not read.
        tensors: What is trained, by name; all move along one direction.

    Source:
        Nocedal & Wright, Numerical Optimization, 2006, algorithms 7.4 (direction), 3.5 and 3.6 (line search).
    """

    def __init__(self, chosen: spec.LBFGS, tensors: Mapping[str, Tensor]) -> None:
        self.spec = chosen
        self._tensors = list(tensors.values())
        self._started = False
        self._pairs: list[
            tuple[Tensor, Tensor]
        ] = []  # changes of the weights and of the gradient, oldest first
        self._move = self._gradient = _flatten(self._tensors).zero_()

    def step(self, evaluate: Evaluate, loss: Tensor, gradients: Sequence[Tensor], *, lr: float) -> None:
        """Makes the iterations of one step.

        Args:
            evaluate: Gives the loss and its gradients at the present weights.
            loss: At the beginning of the step.
            gradients: At the beginning of the step.
            lr: Length of an iteration's step, or the first one that is tried.
        """
        value, slope = float(loss), _flatten(gradients)
        if lr == 0.0:
            return
        evaluations, most = 1, self.spec.max_iter * 5 // 4
        for iteration in range(1, self.spec.max_iter + 1):
            if float(slope.abs().max()) <= FLAT:
                return
            first = not self._started
            direction = self._direction(slope)
            length = min(1.0, 1.0 / max(float(slope.abs().sum()), FLAT)) * lr if first else lr
            # Until it moves, it has not moved: torch.optim keeps the move it meant to make, and then trusts it.
            self._gradient, self._move = slope, torch.zeros_like(slope)
            along = float(slope.dot(direction))
            if along > -STILL:
                return
            before = value
            if self.spec.line_search == "strong_wolfe":
                search = _Search(self._along(evaluate, direction), most - evaluations)
                found = search.run(_Point(0.0, value, slope, along), length, float(direction.abs().max()))
                length, value, slope = found.length, found.loss, found.gradient
                evaluations += search.count
                self._shift(direction, length)
            else:
                self._shift(direction, length)
                if iteration < self.spec.max_iter:
                    now, gradients = evaluate()
                    value, slope = float(now), _flatten(gradients)
                    evaluations += 1
            self._move = direction * length
            if evaluations >= most or float(self._move.abs().max()) <= STILL or abs(value - before) < STILL:
                return

    def state(self) -> dict[str, Any]:
        """Gives a copy of the curvature pairs, shape `(pairs, 2, weights)`, and of what makes the next pair."""
        pairs = [torch.stack(pair) for pair in self._pairs]
        return {
            "started": self._started,
            "pairs": _copy(torch.stack(pairs) if pairs else self._move.new_empty((0, 2, len(self._move)))),
            "move": _copy(self._move),
            "gradient": _copy(self._gradient),
        }

    def load_state(self, tree: Mapping[str, Any]) -> None:
        """Takes back what `state` gave."""
        pairs, move, gradient = (
            torch.tensor(tree[key], device=self._move.device) for key in ("pairs", "move", "gradient")
        )
        # Tensors of their own: the last bits of a product depend on where in memory its factors begin.
        self._pairs = [(one[0].clone(), one[1].clone()) for one in pairs]
        self._move, self._gradient, self._started = move, gradient, tree["started"]

    def _direction(self, slope: Tensor) -> Tensor:
        if not self._started:
            self._started = True
            return -slope
        change = slope - self._gradient
        if float(change.dot(self._move)) > SHARP:
            self._pairs = [*self._pairs, (self._move, change)][-self.spec.history_size :]
        left, shares = -slope, []
        for move, change in reversed(self._pairs):
            share = move.dot(left) / change.dot(move)
            left = left - share * change
            shares.append(share)
        if self._pairs:
            move, change = self._pairs[-1]
            left = left * (change.dot(move) / change.dot(change))
        for (move, change), share in zip(self._pairs, reversed(shares), strict=True):
            left = left + (share - change.dot(left) / change.dot(move)) * move
        return left

    def _along(self, evaluate: Evaluate, direction: Tensor) -> Callable[[float], "_Point"]:
        start = [tensor.detach().clone() for tensor in self._tensors]

        def look(length: float) -> _Point:
            self._shift(direction, length)
            loss, gradients = evaluate()
            with torch.no_grad():
                torch._foreach_copy_(self._tensors, start)
            slope = _flatten(gradients)
            return _Point(length, float(loss), slope, float(slope.dot(direction)))

        return look

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _shift(self, direction: Tensor, length: float) -> None:
        sizes = [tensor.numel() for tensor in self._tensors]
        for tensor, piece in zip(self._tensors, direction.split(sizes), strict=True):
            tensor.add_(piece.view(tensor.shape), alpha=length)


class _Point(NamedTuple):
    """A place on the line: how far, the loss there, its gradient, its slope along the line."""

    length: float
    loss: float
    gradient: Tensor
    slope: float


class _Search:
    """Looks along a line for a point that satisfies the strong Wolfe conditions.

    Args:
        look: Evaluates a point of the line.
        most: Evaluations after which it takes the best of what it knows.
    """

    def __init__(self, look: Callable[[float], _Point], most: int) -> None:
        self._look, self._most = look, most
        self.count = 0

    def run(self, start: _Point, length: float, reach: float) -> _Point:
        """Gives the point.

        Args:
            start: Where the line begins.
            length: The first try.
            reach: The largest change of a weight per unit of length.
        """
        before, now = start, self._at(length)
        tried = 0
        while tried < self._most:
            if self._too_high(start, now) or (tried > 1 and now.loss >= before.loss):
                return self._zoom(start, before, now, reach=reach, tried=tried)
            if self._is_flat(start, now):
                return now
            if now.slope >= 0:
                return self._zoom(start, before, now, reach=reach, tried=tried)
            least, largest = now.length + 0.01 * (now.length - before.length), now.length * 10
            length = _lowest(before, now, least, largest)
            before, now = now, self._at(length)
            tried += 1
        return start if start.loss <= now.loss else now

    def _zoom(self, start: _Point, left: _Point, right: _Point, *, reach: float, tried: int) -> _Point:
        low, high = (left, right) if left.loss <= right.loss else (right, left)
        stuck = False
        while tried < self._most:
            least, largest = sorted((low.length, high.length))
            if (largest - least) * reach < STILL:
                break
            length = _lowest(left, right, least, largest)
            margin = 0.1 * (largest - least)
            if min(largest - length, length - least) < margin:
                if stuck or length >= largest or length <= least:
                    near_end = abs(length - largest) < abs(length - least)
                    length = largest - margin if near_end else least + margin
                    stuck = False
                else:
                    stuck = True
            else:
                stuck = False
            now = self._at(length)
            tried += 1
            if self._too_high(start, now) or now.loss >= low.loss:
                low, high = (low, now) if low.loss <= now.loss else (now, low)
            else:
                if self._is_flat(start, now):
                    return now
                low, high = now, low if now.slope * (high.length - low.length) >= 0 else high
            left, right = low, high
        return low

    def _at(self, length: float) -> _Point:
        self.count += 1
        return self._look(length)

    @staticmethod
    def _too_high(start: _Point, now: _Point) -> bool:
        return now.loss > start.loss + ENOUGH * now.length * start.slope

    @staticmethod
    def _is_flat(start: _Point, now: _Point) -> bool:
        return abs(now.slope) <= -FLATTER * start.slope


def _lowest(one: _Point, other: _Point, least: float, largest: float) -> float:
    """Gives the minimum of the cubic through two points within bounds (Nocedal & Wright, equation 3.59)."""
    left, right = (one, other) if one.length <= other.length else (other, one)
    width = right.length - left.length
    mean = left.slope + right.slope - 3 * (right.loss - left.loss) / width if width else np.nan
    square = mean * mean - left.slope * right.slope
    if square >= 0:
        root = float(np.sqrt(square))
        below = right.slope - left.slope + 2 * root
        if below:
            length = right.length - width * ((right.slope + root - mean) / below)
            return min(max(length, least), largest)
    return (least + largest) / 2


def _flatten(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])


def _copy(tensor: Tensor) -> Any:
    return tensor.cpu().numpy().copy()
