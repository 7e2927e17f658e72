"""The augmentations of a spec, made and tried out before training."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainwright.base.errors import DataError, SpecError
from trainwright.base.random import Stream, stream
from trainwright.ops.augmentation import Augmentation, Features, Records
from trainwright.spec.build import build, find, is_of_python
from trainwright.spec.experiment import Experiment
from trainwright.train.feed import Feed


def make_augmentations(experiment: Experiment, catalog: Mapping[str, str]) -> list[Augmentation]:
    """Makes the augmentations that a spec names.

    Raises:
        SpecError: If one is unknown, is none, or moves what a record shows while its target has places.
    """
    made = []
    for number, use in enumerate(experiment.data.augment):
        where = f"data.augment.{number}"
        kind: Any = None if is_of_python(use.use) else find(use.use, catalog, where=where)
        if not (isinstance(kind, type) and issubclass(kind, Augmentation)):
            raise SpecError(f"{where}.use: {use.use!r} is no augmentation; it changes nothing at random")
        if experiment.model.architecture == "unet" and not kind.keeps_places:
            raise SpecError(
                f"{where}.use: {use.use!r} moves what a record shows, and the target of each place would stay; "
                "take one that keeps places, such as GaussianNoise or RandomErasing"
            )
        made.append(build(use, catalog, where=where))
    shape = experiment.model.input_shape
    if experiment.model.input == "image" and shape not in (None, "auto") and len(shape) == 2:
        return [_OnGrayImages(one) for one in made]
    return made


class _OnGrayImages(Augmentation):
    """Gives images without an axis of channels one, for as long as they are changed."""

    def __init__(self, change: Augmentation) -> None:
        self._change = change

    def __call__(self, x: Features, *, stream: Stream, records: Records) -> Features:
        changed: Features = self._change(x[:, None], stream=stream, records=records)[:, 0]
        return changed


def try_out(changes: Sequence[Augmentation], feed: Feed, *, seed: int) -> None:
    """Finds before training what an augmentation refuses.

    Raises:
        DataError: If one is not made for such records.
    """
    batch = feed.batch(0)
    first: Any = batch.x[:1]
    for number, change in enumerate(changes):
        try:
            change(first, stream=stream(seed, "try"), records=batch.ids[:1])
        except DataError as error:
            raise DataError(f"data.augment.{number}: {error}") from error
