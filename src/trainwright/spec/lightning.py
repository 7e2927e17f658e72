"""What a user says about their own parts of Lightning."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from trainwright.spec.optimizer import Count
from trainwright.spec.part import Broken, Part, Rule, Use, is_own_code


def _own_module(heard: Any) -> Iterator[Broken]:
    if heard.module is None:
        return
    for path, text in is_own_code(heard.module):
        yield Broken(("module", *path), text)
    if heard.devices > 1:
        text = "a module of your own trains in one process; write 1, or leave out the module"
        yield Broken(("devices",), text)


class LightningSpec(Part):
    """In how many processes `backend: lightning` trains, and what hears it besides the package's own callbacks.

    Callbacks and loggers listen and decide nothing: what changes a training is a field of `train`. `reproduce` trains
    without them.

    Args:
        module: A `LightningModule` of your own, `module:Name`, that trains the network by its own `training_step` and
            `configure_optimizers`; its constructor takes the `network`, and the other arguments that are given here.
        devices: Processes on this machine's CPU that make each step together (DDP), each with a batch of its own.
        callbacks: Callbacks of Lightning, `module:Name` with the arguments of their constructors.
        loggers: Loggers of Lightning, likewise; they get every metric of the run, exactly as it is recorded.
        log_every: Steps between two records of `train/loss_step` and `lr` for the loggers.
    """

    rules: ClassVar[tuple[Rule, ...]] = (_own_module,)

    module: Use | None = None
    devices: Count = 1
    callbacks: list[Use] = Field(default=[])
    loggers: list[Use] = Field(default=[])
    log_every: Count = 50
