"""What the members of an ensemble score alone, to be held against what they score together."""

from typing import Any

from trainwright.data.dataset import Records
from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.predictions import judge_predictions, predict_records


def score_members(model: EnsembleOp, records: Records) -> dict[str, Any]:
    """Scores each member on the records on which the ensemble is scored.

    Args:
        model: The ensemble.
        records: Raw, with targets.

    Returns:
        `names`, such as `soil@3`, and `scores`: by name, one value for each member in their order.
    """
    found = [
        judge_predictions(predict_records(one, records), intervals=False).scores for one in model.members
    ]
    names = [
        str(number) if one.version is None else f"{one.version.model}@{one.version.number}"
        for number, one in enumerate(model.members)
    ]
    return {"names": names, "scores": {name: [one[name]["value"] for one in found] for name in found[0]}}
