"""What a user says about their own parts of Lightning."""

from pydantic import Field

from trainwright.spec.optimizer import Count
from trainwright.spec.part import Part, Use


class LightningSpec(Part):
    """In how many processes `backend: lightning` trains, and what hears it besides the package's own callbacks.

    Callbacks and loggers listen and decide nothing: what changes a training is a field of `train`. `reproduce` trains
    without them.

    Args:
        devices: Processes on this machine's CPU that make each step together (DDP), each with a batch of its own.
        callbacks: Callbacks of Lightning, `module:Name` with the arguments of their constructors.
        loggers: Loggers of Lightning, likewise; they get every metric of the run, exactly as it is recorded.
        log_every: Steps between two records of `train/loss_step` and `lr` for the loggers.
    """

    devices: Count = 1
    callbacks: list[Use] = Field(default=[])
    loggers: list[Use] = Field(default=[])
    log_every: Count = 50
