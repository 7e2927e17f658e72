"""What a report shows of single records, and by which columns it cuts them."""

from itertools import islice
from typing import Any

import numpy as np

from trainwright.base.tree import Array
from trainwright.data.dataset import Records
from trainwright.data.frame import Frame
from trainwright.data.graph import Graphs, Nodes
from trainwright.data.sequences import Sequences
from trainwright.ensemble_op import EnsembleOp
from trainwright.evaluation.judgement import Judgement
from trainwright.model_op import ModelOp

MOST_COLUMNS = 100  # each costs some 20 ms, and nobody reads thousands of parts


def columns_to_cut(records: Records) -> dict[str, Array]:
    """Gives the columns of a table by whose values the scores are looked at, part by part: the first 100."""
    frame = records.x.rows() if isinstance(records.x, Nodes) else records.x
    if not isinstance(frame, Frame):
        return {}
    cut = ((name, column) for name, column in frame.columns.items() if column.dtype.kind in "fU")
    return dict(islice(cut, MOST_COLUMNS))


def sample_artifacts(model: ModelOp | EnsembleOp, records: Records, found: Judgement) -> dict[str, Any]:
    """Gives the raw inputs of the records that the report shows, and of grids what was wanted and predicted.

    Args:
        model: That predicted.
        records: That were judged, raw.
        found: Its samples name records.

    Returns:
        `sample_records`, and `sample_rows` of a table or `sample_inputs` of arrays; `sample_targets` and
        `sample_predictions` of grids.
    """
    samples = found.tables.get("samples", {})
    rows = np.array([one["record"] for part in samples.values() for one in part], dtype=np.int64)
    if not len(rows):
        return {}
    some = records.take(rows)
    kept: dict[str, Any] = {"sample_records": rows}
    frame = some.x.rows() if isinstance(some.x, Nodes) else some.x
    if isinstance(frame, Frame):
        table = {name: [str(value) for value in column.tolist()] for name, column in frame.columns.items()}
        return kept | {"sample_rows": table}
    if isinstance(some.x, Sequences | Nodes | Graphs):
        return kept  # of different lengths, or with edges: there is no one array of them
    x: Any = some.x
    kept["sample_inputs"] = np.asarray(x[:])
    if some.y is not None and some.y.ndim > 2 - (model.schema.task_type == "segmentation"):
        kept |= {"sample_targets": some.y, "sample_predictions": model(x)}
    return kept
