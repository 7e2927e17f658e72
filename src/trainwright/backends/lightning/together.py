"""What several processes cannot train together; says so without importing a framework."""

from trainwright.base.errors import SpecError
from trainwright.models.task import ModelTask
from trainwright.spec.fitting import names_of

COMPARING = ("supervised_contrastive", "triplet", "nt_xent")  # the records of a batch with one another


def check_together(task: ModelTask, *, in_memory: bool) -> None:
    """Checks that a training can be shared by several processes.

    Args:
        task: What is trained.
        in_memory: Whether the records are; others cannot be sent to a process.

    Raises:
        SpecError: If the loss or a layer needs all records of a step at one place, or the records stay in their file.
    """
    comparing = [name for name in names_of(task.loss) if name in COMPARING]
    if comparing:
        text = f"{comparing[0]!r} compares all records of a batch, and a process sees its own only"
        raise SpecError(f"train.lightning.devices: {text}; write devices: 1")
    if any(layer.kind == "node_norm" for layer in task.blueprint.layers):
        text = "batch normalisation of nodes is over those of one process"
        raise SpecError(f"train.lightning.devices: {text}; write model.normalization: layer, or devices: 1")
    if not in_memory:
        text = "records that stay in their file are read by one process"
        raise SpecError(f"train.lightning.devices: {text}; write data.in_memory: true, or devices: 1")
