"""Several trained models as one operator: what they say together, and what they disagree about."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from trainwright.base.errors import DataError
from trainwright.base.tree import Array
from trainwright.data.inputs import InputSchema
from trainwright.data.prepare import Preparation
from trainwright.store.records import VersionRow
from trainwright.validation.classification import probabilities
from trainwright.validation.ensemble import (
    MixedChances,
    mix_classes,
    mix_families,
    mix_gaussians,
    mix_labels,
)
from trainwright.validation.families import Family, Mixture, family_of
from trainwright.validation.multilabel import label_probabilities
from trainwright.validation.space import to_places
from trainwright.validation.weights import Floats

COMPONENTS = ("mixing", "means", "variances")  # what a mixture is told by


class Model(Protocol):
    """What a member is: a trained model by itself."""

    description: Mapping[str, Any]
    version: VersionRow | None
    schema: InputSchema
    preparation: Preparation

    @property
    def classes(self) -> list[Any]:
        """Names the classes or the labels."""
        ...

    @property
    def levels(self) -> list[float] | None:
        """Gives the levels of the quantiles."""
        ...

    def outputs(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives what the network makes, by name."""
        ...

    def decode(self, outputs: Mapping[str, Array]) -> Array:
        """Turns outputs into what a user asks for."""
        ...

    def spread(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Gives how sure a regression is, in the unit of the data."""
        ...

    def name_columns(
        self, outputs: Mapping[str, Array], decoded: Array, spread: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Gives predictions as named columns."""
        ...

    def distribution(self, x: Any, *, batch_size: int | None = None) -> Family:
        """Gives the distributions that a regression predicts."""
        ...

    def unseen(self, x: Any) -> dict[str, int]:
        """Counts the records whose category was not there in training."""
        ...


class EnsembleOp:
    r"""Several trained models as one: raw records in, their common prediction in the unit of the data out.

    Each member prepares the records as it did in training. Probabilities are averaged. Of a regression, the members
    are an evenly weighted mixture, taken for a normal distribution with its mean and variance:

    .. math:: m = \frac1M \sum_k m_k, \quad
        v = \frac1M \sum_k v_k + \frac1M \sum_k (m_k - m)^2

    The first part is aleatoric, what the members hold for noise; the second is their disagreement. Mixtures stay the
    mixture that they are: its components are those of all members. Quantiles are averaged level by level.

    Args:
        members: At least one; of one task, with the same inputs, targets and classes, but not of embeddings.
        version: The version they were loaded from, if any.

    Raises:
        DataError: If the members do not go together.

    Source:
        Lakshminarayanan, Pritzel & Blundell, Simple and Scalable Predictive Uncertainty Estimation using Deep
        Ensembles, 2017, section 2.4.
    """

    def __init__(self, members: Sequence[Model], *, version: VersionRow | None = None) -> None:
        self.members = tuple(members)
        self.version = version
        first = _check_together(self.members)
        self.description = first.description
        self.schema = first.schema
        self.preparation = first.preparation

    def __call__(self, x: Any, *, batch_size: int | None = None) -> Array:
        """Predicts for raw records: the class of the largest mean probability, or the mean of the members.

        Args:
            x: As a single model takes them.
            batch_size: Records at once; the same size gives the same bits.

        Returns:
            As a single model.

        Raises:
            DataError: If the records are not such as the members were trained on.
        """
        return self.decode(self.outputs(x, batch_size=batch_size))

    def outputs(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives what the members make together, in the unit of the data, by name.

        Returns:
            Of classes and labels, `logits` of the mean probabilities, shape `(records, classes, ...)`. Of a regression,
            `y`, shape `(records, outputs, ...)`; where the members predict distributions, `variance` and the
            `aleatoric` part of it, of that shape, in squared units; where those are mixtures, `mixing`, `means` and
            `variances` of all their components too; or `quantiles`, shape `(records, levels, outputs)`. Always
            `disagreement`: of classes and labels the mutual information of prediction and member, in nats, shape
            `(records, ...)` or `(records, labels)`; of a regression the variance of the members' means.

        Raises:
            DataError: As `__call__`.
        """
        told = [one.outputs(x, batch_size=batch_size) for one in self.members]
        if self.schema.task_type == "regression":
            return self._mix_values(told)
        mixed = self._mix(np.stack([one["logits"] for one in told]))
        return {"logits": mixed.logits, "disagreement": mixed.disagreement}

    def uncertainty(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        r"""Gives mean and variance of what is predicted, and how much of it is disagreement of the members.

        The target of a class or label is 1 where it holds and 0 elsewhere, so that its mean is the probability
        :math:`p` and its variance :math:`p (1 - p)`.

        Returns:
            `mean` and `variance`, shape `(records, outputs, ...)`, or `(records, classes, ...)`; `aleatoric`, the mean
            of the members' own variances; `disagreement` as `outputs`. Of members that predict a point, the variance is
            that of their means, and nothing is said to be aleatoric; of quantiles there is no variance.

        Raises:
            DataError: As `__call__`.
        """
        if self.schema.task_type == "regression":
            told = self.outputs(x, batch_size=batch_size)
            found = {"mean": told["y"]}
            if "quantiles" not in told:
                found["variance"] = told.get("variance", told["disagreement"])
            return found | {name: told[name] for name in ("aleatoric", "disagreement") if name in told}
        logits = np.stack([one.outputs(x, batch_size=batch_size)["logits"] for one in self.members])
        mixed = self._mix(logits)
        mean, each = self._chances(mixed.logits), np.stack([self._chances(one) for one in logits])
        return {
            "mean": mean,
            "variance": mean * (1 - mean),
            "aleatoric": (each * (1 - each)).mean(axis=0),
            "disagreement": mixed.disagreement,
        }

    def decode(self, outputs: Mapping[str, Array]) -> Array:
        """Turns outputs into what a user asks for; see `__call__`."""
        return outputs["y"] if "y" in outputs else self.members[0].decode(outputs)

    def spread(self, outputs: Mapping[str, Array]) -> dict[str, Array]:
        """Gives `variance`, components or `quantiles` of a regression; nothing where members predict a point."""
        names = COMPONENTS if "mixing" in outputs else ("variance", "quantiles")
        return {name: outputs[name] for name in names if name in outputs}

    def distribution(self, x: Any, *, batch_size: int | None = None) -> Mixture:
        """Gives the exact mixture of what the members predict, in the unit of the data.

        It has the mean and the variance of `outputs`, and is what that takes for one normal distribution.

        Raises:
            DataError: As `outputs`, or if the members predict no distribution, or one whose mixture no class holds.
        """
        told = [one.distribution(x, batch_size=batch_size) for one in self.members]
        try:
            return mix_families(told)
        except DataError as error:
            cure = (
                "take each by itself, `[one.distribution(x) for one in model.members]`, or `uncertainty(x)`"
            )
            raise DataError(f"{error}; {cure}") from error

    def columns(self, x: Any, *, batch_size: int | None = None) -> dict[str, Array]:
        """Gives predictions as named columns.

        Returns:
            As of a single model, and `disagreement`; of several labels or targets one each, such as `y.disagreement`.
            The `std` of a target is the root of the whole variance.

        Raises:
            DataError: As `outputs`, or if two of the columns would have one name.
        """
        outputs = self.outputs(x, batch_size=batch_size)
        first, decoded = self.members[0], self.decode(outputs)
        found = first.name_columns(outputs, decoded, self.spread(outputs))
        apart = outputs["disagreement"]
        if self.schema.task_type == "multi_label":
            more = {f"{name}.disagreement": apart[:, place] for place, name in enumerate(self.classes)}
        elif self.schema.task_type == "regression" and decoded.ndim == 2:
            targets = first.name_columns({}, decoded, {})
            more = {f"{name}.disagreement": apart[:, place] for place, name in enumerate(targets)}
        else:
            more = {f"{self.schema.targets[0]}.disagreement": apart}
        twice = sorted(found.keys() & more.keys())
        if twice:
            raise DataError(f"two columns of predictions would be called {twice[0]!r}: rename it in the data")
        return {**found, **more}

    def unseen(self, x: Any) -> dict[str, int]:
        """Counts the records of a table whose category some member has not seen in training.

        Returns:
            By name, the largest count of a member.
        """
        counts = [one.unseen(x) for one in self.members]
        return {name: max(one.get(name, 0) for one in counts) for found in counts for name in found}

    @property
    def classes(self) -> list[Any]:
        """Names the classes or the labels, in the order of the logits."""
        return self.members[0].classes

    @property
    def levels(self) -> list[float] | None:
        """Gives the levels of the quantiles; None where there are none."""
        return self.members[0].levels

    @property
    def _mix(self) -> Callable[[Array], MixedChances]:
        return mix_labels if self.schema.task_type == "multi_label" else mix_classes

    def _chances(self, logits: Array) -> Floats:
        if self.schema.task_type == "multi_label":
            return label_probabilities(logits)
        places = probabilities(to_places(logits)).reshape(len(logits), *logits.shape[2:], logits.shape[1])
        shaped: Floats = np.moveaxis(places, -1, 1)
        return shaped

    def _mix_values(self, told: Sequence[Mapping[str, Array]]) -> dict[str, Array]:
        pairs = list(zip(self.members, told, strict=True))
        said = [{"y": one.decode(outputs), **one.spread(outputs)} for one, outputs in pairs]
        means = np.stack([one["y"] for one in said]).astype(np.float64)
        families = [family_of(one) for one in said]
        spreads = [np.square(one.std()) for one in families if one is not None]
        mean, apart = mix_gaussians(means, np.zeros_like(means))
        found: dict[str, Array] = {"y": mean}
        if spreads:
            found["variance"] = mix_gaussians(means, np.stack(spreads))[1]
            found["aleatoric"] = np.stack(spreads).mean(axis=0)
        if "mixing" in said[0]:
            mixing, centres, widths = (
                np.concatenate([one[name] for one in said], axis=1, dtype=np.float64) for name in COMPONENTS
            )
            found |= {"mixing": mixing / len(said), "means": centres, "variances": widths}
        if "quantiles" in said[0]:
            found["quantiles"] = np.stack([one["quantiles"] for one in said]).mean(axis=0, dtype=np.float64)
        return found | {"disagreement": apart}


def _check_together(members: Sequence[Model]) -> Model:
    if not members:
        raise DataError("an ensemble needs members")
    first = members[0]
    if first.schema.task_type == "embedding":
        raise DataError("embeddings of different models lie in different spaces: they are no ensemble")
    for number, one in enumerate(members[1:], start=1):
        for what, mine, other in (
            ("task", first.schema.task_type, one.schema.task_type),
            ("features", first.schema.features, one.schema.features),
            ("targets", first.schema.targets, one.schema.targets),
            ("classes", first.classes, one.classes),
            ("levels", first.levels, one.levels),
            ("head", first.description["model"]["head"], one.description["model"]["head"]),
        ):
            if mine != other:
                raise DataError(
                    f"members 0 and {number} do not go together: their {what} are {mine} and {other}"
                )
    return first
