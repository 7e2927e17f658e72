"""The user's own callbacks and loggers, made from a spec without importing Lightning before they do."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from trainwright.base.blame import blame_owner
from trainwright.spec.build import choose, construct
from trainwright.spec.lightning import LightningSpec
from trainwright.spec.own_code import choose_listeners
from trainwright.spec.part import Use

MODULE = ("training_step", "configure_optimizers", "on_save_checkpoint")
CALLBACK = ("setup", "on_train_batch_end", "on_train_epoch_end", "state_dict", "load_state_dict")
LOGGER = ("log_metrics", "log_hyperparams", "save", "finalize")
# Lightning's callbacks that change a training or end it, or that read what it has not here; and what to write instead.
INSTEAD = {
    "EarlyStopping": "`EarlyStopping` in train.callbacks",
    "Timer": "`TimeLimit` in train.callbacks",
    "WeightAveraging": "train.ema",
    "StochasticWeightAveraging": "train.ema",
    "GradientAccumulationScheduler": "train.accumulate",
    "BaseFinetuning": "train.groups, which can freeze",
    "LearningRateMonitor": "a logger alone, which is told `lr`",
    "LearningRateFinder": "train.optimizer.lr",
    "BatchSizeFinder": "train.batch_size",
    "ModelPruning": "nothing; weights are trained as the spec says",
}
OF_LIGHTNING = ("lightning.", "pytorch_lightning.")


class Listeners(NamedTuple):
    """Who hears a training within Lightning.

    Args:
        callbacks: In the order of the spec.
        loggers: In the order of the spec.
        log_every: Steps between two losses of single steps for the loggers.
    """

    callbacks: list[Any]
    loggers: list[Any]
    log_every: int

    def blame(self, error: Exception, *, module: object = None) -> None:
        """Adds to an error within Lightning which part of the user's own raised it, if one did.

        Args:
            error: Just caught.
            module: The user's own, if there is one.
        """
        owners = {
            f"train.lightning.{name}.{number}": one
            for name, found in (("callbacks", self.callbacks), ("loggers", self.loggers))
            for number, one in enumerate(found)
        }
        if module is not None:
            owners["train.lightning.module"] = module
        blame_owner(error, owners, library=(*OF_LIGHTNING, "torch."))


def check_listeners(spec: LightningSpec) -> None:
    """Imports what a spec names; makes nothing yet.

    Raises:
        SpecError: If a name or an argument is wrong, or a callback would do what a field of the spec does.
    """
    for _ in _chosen(spec):
        pass
    if spec.module is not None:
        choose_module(spec.module)


def choose_module(part: Use) -> Any:
    """Imports the class of a module of the user's own; nothing is made.

    Raises:
        SpecError: If there is no such class, or it does not take `network` and the arguments of the spec.
    """
    given = part.model_copy(update={"args": {**part.args, "network": None}})
    return choose(given, {}, where="train.lightning.module", has=MODULE)


def make_listeners(spec: LightningSpec | None) -> Listeners:
    """Makes the callbacks and loggers of a spec.

    Raises:
        SpecError: As `check_listeners`; or if a constructor refuses its arguments.
    """
    if spec is None:
        return Listeners([], [], 0)
    made = [construct(one, part, where=where) for where, part, one in _chosen(spec)]
    count = len(spec.callbacks)
    return Listeners(made[:count], made[count:], spec.log_every)


def _chosen(spec: LightningSpec) -> Iterator[tuple[str, Use, Any]]:
    for name, parts, has in (("callbacks", spec.callbacks, CALLBACK), ("loggers", spec.loggers, LOGGER)):
        where = f"train.lightning.{name}"
        yield from choose_listeners(parts, where=where, has=has, instead=INSTEAD, of=OF_LIGHTNING)
