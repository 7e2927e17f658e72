"""Update rules over lists of tensors, by torch's fused kernels and its operations over lists.

They are called without `torch.optim`: constructing an optimizer there imports the compiler, about one second.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainwright.backends.torch.copies import Copies
from trainwright.base.tree import Array
from trainwright.spec.optimizer import SGD, Adagrad, Adam, AdamW, RMSprop
from trainwright.train.groups import ParameterOptions

Spec = SGD | Adam | AdamW | RMSprop | Adagrad


class _Bundle(NamedTuple):
    """Tensors with the same options, changed by one call.

    Args:
        places: Where their gradients are among all; None where the bundle holds all tensors.
        tensors: In the order of the network.
        slots: The moments, lists along the tensors, by name.
        options: What holds for all of them.
    """

    places: list[int] | None
    tensors: list[Tensor]
    slots: dict[str, list[Tensor]]
    options: ParameterOptions


class Optimizer:
    """Changes tensors in place by their gradients.

    Args:
        spec: The rule; its `lr` is not read, `step` is told the rate.
        tensors: What is trained, by name.
        options: Weight decay and rate of each tensor, by name; the spec's where it is not given.

    Attributes:
        slots: The moments, lists along `tensors`, by name.
    """

    def __init__(
        self,
        spec: Spec,
        tensors: Mapping[str, Tensor],
        *,
        options: Mapping[str, ParameterOptions] | None = None,
    ) -> None:
        self.spec = spec
        self._names = list(tensors)
        every = list(tensors.values())
        begin = _first_slots(spec)
        self.slots = {
            slot: [torch.full_like(tensor.detach(), value) for tensor in every]
            for slot, value in begin.items()
        }
        usual = ParameterOptions(spec.weight_decay)
        places: dict[ParameterOptions, list[int]] = {}
        for place, name in enumerate(self._names):
            places.setdefault(options[name] if options else usual, []).append(place)
        self._bundles = [
            _Bundle(
                None if len(places) == 1 else chosen,
                [every[place] for place in chosen],
                {slot: [moments[place] for place in chosen] for slot, moments in self.slots.items()},
                shared,
            )
            for shared, chosen in places.items()
        ]
        self._count = torch.zeros((), device=every[0].device if every else None)
        self._update = _UPDATES[type(spec)]
        moments = [moment for moments in self.slots.values() for moment in moments]
        self._copies = Copies({str(place): moment for place, moment in enumerate(moments)})

    def step(self, gradients: Sequence[Tensor], *, lr: float, number: int) -> None:
        """Makes one update; whoever calls it has switched gradients off.

        Args:
            gradients: Along the tensors; they are not changed.
            lr: The rate.
            number: Which update it is, counted from 1; Adam's bias correction goes by it.
        """
        count = self._count.fill_(number)
        for bundle in self._bundles:
            chosen = gradients if bundle.places is None else [gradients[place] for place in bundle.places]
            self._update(self.spec, bundle, chosen, lr * bundle.options.lr_scale, count)

    def state(self) -> dict[str, dict[str, Array]]:
        """Gives copies of the moments, by slot and by name of the tensor."""
        copies = iter(self._copies.take().values())
        return {slot: {name: next(copies) for name in self._names} for slot in self.slots}

    def load_state(self, tree: Mapping[str, Mapping[str, Array]]) -> None:
        """Takes back what `state` gave."""
        for slot, tensors in self.slots.items():
            for name, tensor in zip(self._names, tensors, strict=True):
                tensor.copy_(torch.from_numpy(np.asarray(tree[slot][name])))


def _first_slots(spec: Spec) -> dict[str, float]:
    """Names the moments of a rule, with their first value."""
    if isinstance(spec, SGD):
        return {"momentum": 0.0} if spec.momentum else {}
    if isinstance(spec, Adagrad):
        return {"sum": spec.initial_accumulator}
    if isinstance(spec, RMSprop):
        wanted = {"square": True, "mean": spec.centered, "momentum": spec.momentum > 0}
        return {name: 0.0 for name, used in wanted.items() if used}
    return {"mean": 0.0, "square": 0.0}


def _sgd(spec: SGD, bundle: _Bundle, gradients: Sequence[Tensor], lr: float, count: Tensor) -> None:
    torch._fused_sgd_(
        bundle.tensors,
        gradients,
        bundle.slots.get("momentum", []),
        weight_decay=bundle.options.weight_decay,
        momentum=spec.momentum,
        lr=lr,
        dampening=0.0,
        nesterov=spec.nesterov,
        maximize=False,
        is_first_step=False,
    )


def _adam(spec: Adam | AdamW, bundle: _Bundle, gradients: Sequence[Tensor], lr: float, count: Tensor) -> None:
    update = torch._fused_adamw_ if isinstance(spec, AdamW) else torch._fused_adam_
    update(
        bundle.tensors,
        gradients,
        bundle.slots["mean"],
        bundle.slots["square"],
        [],
        [count] * len(bundle.tensors),
        lr=lr,
        beta1=spec.beta1,
        beta2=spec.beta2,
        weight_decay=bundle.options.weight_decay,
        eps=spec.eps,
        amsgrad=False,
        maximize=False,
    )


def _rmsprop(spec: RMSprop, bundle: _Bundle, gradients: Sequence[Tensor], lr: float, count: Tensor) -> None:
    tensors, slots, gradients = bundle.tensors, bundle.slots, _with_decay(bundle, gradients)
    squares = slots["square"]
    torch._foreach_mul_(squares, spec.alpha)
    torch._foreach_addcmul_(squares, gradients, gradients, value=1 - spec.alpha)
    spread = squares
    if spec.centered:
        torch._foreach_lerp_(slots["mean"], gradients, 1 - spec.alpha)
        spread = torch._foreach_addcmul(squares, slots["mean"], slots["mean"], value=-1.0)
        torch._foreach_clamp_min_(spread, 0.0)  # rounding may leave a variance just below zero
    roots = torch._foreach_sqrt(spread)
    torch._foreach_add_(roots, spec.eps)
    if spec.momentum:
        torch._foreach_mul_(slots["momentum"], spec.momentum)
        torch._foreach_addcdiv_(slots["momentum"], gradients, roots)
        torch._foreach_add_(tensors, slots["momentum"], alpha=-lr)
    else:
        torch._foreach_addcdiv_(tensors, gradients, roots, value=-lr)


def _adagrad(spec: Adagrad, bundle: _Bundle, gradients: Sequence[Tensor], lr: float, count: Tensor) -> None:
    gradients = _with_decay(bundle, gradients)
    sums = bundle.slots["sum"]
    torch._foreach_addcmul_(sums, gradients, gradients)
    roots = torch._foreach_sqrt(sums)
    torch._foreach_add_(roots, spec.eps)
    torch._foreach_addcdiv_(bundle.tensors, gradients, roots, value=-lr)


def _with_decay(bundle: _Bundle, gradients: Sequence[Tensor]) -> list[Tensor]:
    decay = bundle.options.weight_decay
    if not decay:
        return list(gradients)
    decayed: list[Tensor] = torch._foreach_add(list(gradients), bundle.tensors, alpha=decay)
    return decayed


_UPDATES: dict[type, Callable[[Any, _Bundle, Sequence[Tensor], float, Tensor], None]] = {
    SGD: _sgd,
    Adam: _adam,
    AdamW: _adam,
    RMSprop: _rmsprop,
    Adagrad: _adagrad,
}


# Both give new tensors: two parameters that are added to one another may share one gradient tensor, which would be
# changed twice in place.


def clip_by_norm(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Scales gradients so that the norm of them all is at most `limit`."""
    norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients))))
    scaled: list[Tensor] = torch._foreach_mul(list(gradients), limit / torch.clamp(norm, min=limit))
    return scaled


def clip_by_value(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """Cuts each element of gradients to the range from `-limit` to `limit`; NaN stays."""
    bounded: list[Tensor] = torch._foreach_clamp_min(list(gradients), -limit)
    torch._foreach_clamp_max_(bounded, limit)
    return bounded
