"""Whether the members of a sweep can be compared: by one metric that says the same of each, on the same records."""

from collections.abc import Mapping, Sequence
from typing import Any

from trainwright.spec.fitting import FITTING
from trainwright.spec.text import Json
from trainwright.store import datasets
from trainwright.store.records import RunRow
from trainwright.store.registry import Registry

# Of classes and labels routines measure the plain loss, whatever a model trains with.
_PLAIN = {*FITTING["classification"], *FITTING["multi_label"]}


def why_incomparable(registry: Registry, runs: Sequence[RunRow]) -> str | None:
    """Says why no one of some runs can be called the best; None if it can.

    Args:
        registry: Where they are.
        runs: That were trained on the same data.
    """
    if len({(run.best_metric, run.best_mode) for run in runs}) > 1:
        return "train.best is not the same for all"
    metric = runs[0].best_metric
    split = metric.partition("/")[0]
    known = {row.digest: row.splits for row in datasets.rows(registry.store)}
    records = [known.get(run.dataset or "", {}).get(split) for run in runs]
    if any(one != records[0] for one in records):
        return f"{split} is not the same records for all"
    specs = [registry.spec(run) for run in runs]
    if metric.endswith("/loss") and (fields := differing_losses(specs, plain=split != "train")):
        return (
            f"{metric} is another measure for each, by {', '.join(fields)}; choose a metric that is the same for all, "
            "such as --set train.best.metric=val/rmse"
        )
    return None


def differing_losses(specs: Sequence[Json], *, plain: bool) -> list[str]:
    """Names the fields by which the losses of resolved specs are no common measure.

    Args:
        specs: Of the runs.
        plain: Whether the loss of classes and labels is measured without the options that a model trains with.
    """
    found: list[Mapping[str, Any]] = [
        {
            "train.loss": _measured(spec["train"]["loss"], plain=plain),
            "model.quantiles": spec["model"].get("quantiles"),
            "data.target_operators": spec["data"].get("target_operators"),
        }
        for spec in specs
    ]
    return [field for field in found[0] if any(one[field] != found[0][field] for one in found)]


def _measured(loss: Json, *, plain: bool) -> Json:
    whole: Any = {"name": loss} if isinstance(loss, str) else loss
    parts = [share["loss"] for share in whole["losses"]] if whole["name"] == "composite" else [whole]
    names = {part if isinstance(part, str) else part["name"] for part in parts}
    return "plain" if plain and names <= _PLAIN else whole
