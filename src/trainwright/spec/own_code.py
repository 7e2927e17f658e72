"""Losses, optimizers and listeners that are code of the user's own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from trainwright.base.blame import raised_in
from trainwright.base.errors import BackendError, SpecError, TrainwrightError
from trainwright.spec.build import build, choose
from trainwright.spec.fitting import parts_of
from trainwright.spec.losses import OwnLoss
from trainwright.spec.optimizer import OwnOptimizer
from trainwright.spec.part import Use
from trainwright.spec.train import TrainSpec

# What the method for a backend is called where that is not its name: whose arrays it takes.
LIBRARIES = {"lightning": "torch"} | dict.fromkeys(("keras-jax", "keras-torch", "keras-tensorflow"), "keras")


def make_own_loss(spec: OwnLoss, *, library: str, has: tuple[str, ...] = ()) -> Callable[[Any, Any], Any]:
    """Makes the function that a class of the user's own has for a library.

    Args:
        spec: Names the class and the arguments of its constructor.
        library: `torch`, `equinox`, `keras` or `numpy`: what the method is called, and whose arrays it takes.
        has: Further methods that the class must have.

    Returns:
        From outputs, shape `(records, outputs, ...)`, and targets to one number per record.

    Raises:
        SpecError: If there is no such class, it has no such method, or the arguments do not fit. What it gives raises
            BackendError where torch finds no gradient.
    """
    methods = [f"{name}(outputs, targets)" for name in (library, *has)]
    made = build(Use(use=spec.use, args=spec.args), {}, where="train.loss", has=methods)

    def call(outputs: Any, targets: Any) -> Any:
        with raised_in(f"train.loss: {spec.use}.{library}"):
            found = getattr(made, library)(outputs, targets)
        # torch would say later, and of nobody's code, that something has no `grad_fn`.
        if getattr(outputs, "requires_grad", False) and not getattr(found, "requires_grad", False):
            raise BackendError(
                f"train.loss: {spec.use}.{library} gave numbers without a gradient: nothing would be learnt; compute "
                "them of the outputs themselves, not detached and not outside of torch"
            )
        return found

    return call


def one_per_record(found: Any, count: int, *, error: type[TrainwrightError] = BackendError) -> Any:
    """Gives back what an own loss said, if it is one number per record.

    Raises:
        BackendError: Or the `error` asked for, if it is not.
    """
    shape = tuple(getattr(found, "shape", ()))
    if shape != (count,):
        raise error(
            f"train.loss: the own loss gave numbers of shape {shape} for {count} records; give one for each"
        )
    return found


def make_own_optimizer(spec: OwnOptimizer) -> Callable[[Any], Any]:
    """Makes the function that gives an Optax transformation for the rate of a step.

    Raises:
        SpecError: If there is no such class, it has no method `optax`, or the arguments do not fit.
    """
    made = build(Use(use=spec.use, args=spec.args), {}, where="train.optimizer", has=("optax(rate)",))

    def call(rate: Any) -> Any:
        with raised_in(f"train.optimizer: {spec.use}.optax"):
            return made.optax(rate)

    return call


def choose_listeners(
    parts: Sequence[Use], *, where: str, has: Sequence[str], instead: Mapping[str, str], of: tuple[str, ...]
) -> Iterator[tuple[str, Use, Any]]:
    """Imports the callbacks or loggers of a framework that a spec names; they may listen, and decide nothing.

    Args:
        parts: From the spec.
        where: Path of the list in the spec.
        has: Methods that each class must have.
        instead: Classes of the framework that would decide something, and the field that does it.
        of: What the modules of the framework begin with.

    Yields:
        The path of each part, the part, and its class.

    Raises:
        SpecError: If a name or an argument is wrong, or a class would decide something.
    """
    for number, part in enumerate(parts):
        place = f"{where}.{number}"
        one = choose(part, {}, where=place, has=has)
        for base in one.__mro__:
            if base.__name__ in instead and base.__module__.startswith(of):
                cure = instead[base.__name__]
                raise SpecError(f"{place}.use: {base.__name__} decides about the training; write {cure}")
        yield place, part, one


def has_own_code(train: TrainSpec) -> bool:
    """Says whether the loss or the optimizer is code of the user's own."""
    return isinstance(train.optimizer, OwnOptimizer) or any(
        isinstance(one, OwnLoss) for one in parts_of(train.loss)
    )


def check_own_code(train: TrainSpec, *, task_type: str) -> None:
    """Makes every own loss and optimizer once, so that what it lacks is said before anything is written.

    The class of a loss has a method for the backend; that of a regression has a method `numpy` too, which measures the
    loss on the other splits.

    Raises:
        SpecError: As `make_own_loss` and `make_own_optimizer`.
    """
    for one in parts_of(train.loss):
        if isinstance(one, OwnLoss):
            library = LIBRARIES.get(train.backend, train.backend)
            make_own_loss(one, library=library, has=("numpy",) if task_type == "regression" else ())
    if isinstance(train.optimizer, OwnOptimizer):
        make_own_optimizer(train.optimizer)
