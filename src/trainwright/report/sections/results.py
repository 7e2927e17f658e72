"""What a run amounts to: the numbers at the top of the page, and the scores on the test split."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Cell, Section, join, note, table
from trainwright.report.record import RunRecord
from trainwright.report.scale import short

HEADLINES = {
    "classification": ("accuracy", "roc_auc"),
    "multi_label": ("macro_f1", "roc_auc"),
    "segmentation": ("mean_iou", "pixel_accuracy"),
    "regression": ("rmse", "r2"),
    "embedding": ("knn_accuracy", "recall_at_1"),
}
LOWER_IS_BETTER = frozenset(
    ("loss", "rmse", "mae", "mse", "mape", "nll", "crps", "pinball", "brier", "ece", "hamming_loss")
)
SHARES = frozenset(  # scores between 0 and 1, which can be drawn on one axis
    (
        *(
            "accuracy",
            "balanced_accuracy",
            "subset_accuracy",
            "pixel_accuracy",
            "top_5_accuracy",
            "knn_accuracy",
        ),
        *("macro_f1", "micro_f1", "weighted_f1", "macro_precision", "macro_recall", "mean_iou", "mean_dice"),
        *("roc_auc", "average_precision", "recall_at_1", "recall_at_5"),
    )
)
BASELINES = {
    "classification": "says how frequent each class is in train, and so always the most frequent one",
    "multi_label": "says how frequent each label is in train",
    "regression": "always says the mean of train",
}


class Number(NamedTuple):
    """One of the numbers at the top: its value, what it is, and what to hold against it."""

    value: str
    name: str
    notes: list[str]


def bare(name: str) -> str:
    """Takes the split off the name of a score."""
    return name.rpartition("/")[2]


def is_share(name: str) -> bool:
    """Says whether a score lies between 0 and 1, and 1 is all."""
    return name in SHARES or name.startswith("coverage_")


def score_text(name: str, value: float) -> str:
    """Spells a score: a share with four decimals, anything else with four digits or more.

    Example:
        >>> score_text("test/accuracy", 0.5), score_text("test/rmse", 0.5), score_text("test/mse", 31304.2)
        ('0.5000', '0.5000', '31304')
    """
    if is_share(bare(name)) or 0.1 <= abs(value) < 1:
        return f"{value:.4f}"
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e9 else f"{value:#.4g}"


def headline_numbers(record: RunRecord) -> list[Number]:
    """Picks the few numbers that say what a run amounts to."""
    found = []
    baseline = record.table("test/baseline")
    for name in _headlines(record):
        if name in record.scores:
            score = {key: score_text(name, value) for key, value in record.scores[name].items()}
            notes = [f"{score['low']} to {score['high']}"]
            if name in baseline:
                notes.append(f"baseline {score_text(name, baseline[name])}")
            found.append(Number(score["value"], name, notes))
    run, shown = record.run, record.shown
    if shown is not None and run.best_metric in shown.metrics:
        notes = [f"best, version {shown.number}", f"epoch {shown.epoch}"]
        found.append(Number(short(shown.metrics[run.best_metric]), run.best_metric, notes))
    found.append(Number(str(len(record.versions)), "versions", [f"backend {run.backend}"]))
    if run.finished is not None:
        seconds = (datetime.fromisoformat(run.finished) - datetime.fromisoformat(run.created)).total_seconds()
        found.append(Number(spell_time(seconds), "from start to end", [f"on {record.spec.train.device}"]))
    return found


def spell_time(seconds: float) -> str:
    """Spells a length of time.

    Example:
        >>> spell_time(4.26), spell_time(95), spell_time(7300)
        ('4.3 s', '1 min 35 s', '2 h 1 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"


def results_section(record: RunRecord) -> Section:
    """Shows every score of the test split with its interval, and next to it the baseline's."""
    scores = record.scores
    if not scores:
        why = "there is no test split" if record.finished else "the run is not finished"
        if record.finished and "test" in record.table("data/splits").get("targets", {}):
            why = "nobody has looked at the test split"
        if record.table("test/about"):
            why = "its records have no target"
        return Section("results", "Results", note(f"There are no test scores: {why}."))
    baseline = record.table("test/baseline")
    heads = {"metric": "", "value": NUMBER, "95 % interval": NUMBER}
    drawn = any(_drawable(name, score) for name, score in scores.items())
    if drawn:
        heads["from 0 to 1"] = "drawn"
    if baseline:
        heads |= {"baseline": NUMBER, "against it": "word"}
    rows = []
    first = [name for name in _headlines(record) if name in scores]
    for name in (*first, *(one for one in sorted(scores) if one not in first)):
        score = scores[name]
        value, low, high = (score_text(name, score[key]) for key in ("value", "low", "high"))
        row: list[Cell] = [name, Markup("<b>{}</b>").format(value), f"{low} to {high}"]
        if drawn:
            row.append(draw_interval(score, baseline.get(name)) if _drawable(name, score) else "")
        if baseline:
            there = name in baseline
            row += [
                score_text(name, baseline[name]) if there else "",
                _against(name, score, baseline) if there else "",
            ]
        rows.append(row)
    about, looks = record.table("test/about"), len(record.registry.looks(record.run.id))
    told = (
        f"On {about.get('records')} records of the test split, by version {about.get('version')}; 95 % intervals from "
        f"bootstrap samples of the records. The test split was looked at {looks} time{'' if looks == 1 else 's'} "
        "in this run."
    )
    if baseline:
        told += f" The baseline {BASELINES.get(record.task, 'does not look at the features')}."
    return Section("results", "Results", join([note(told), table(heads, rows)]))


def draw_interval(score: Mapping[str, float], baseline: float | None) -> Markup:
    """Draws a share and its interval on an axis from 0 to 1, and the baseline's share as a tick."""
    low, value, high = (100 * score[key] for key in ("low", "value", "high"))
    mark = Markup("")
    if baseline is not None and 0 <= baseline <= 1:
        mark = Markup('<path class="baseline" d="M{:.1f} 1v12"/>').format(100 * baseline)
    return Markup(
        '<svg class="interval" viewBox="-4 0 108 14" role="img" aria-label="interval"><path class="grid" d="M0 7H100"/>'
        '{}<path class="line s0 thick" d="M{:.1f} 7H{:.1f}"/><circle class="dot s0" cx="{:.1f}" cy="7" r="3.5"/></svg>'
    ).format(mark, low, high, value)


def _headlines(record: RunRecord) -> list[str]:
    return [f"test/{one}" for one in HEADLINES.get(record.task, ())]


def _drawable(name: str, score: Mapping[str, float]) -> bool:
    return is_share(bare(name)) and all(0 <= score[key] <= 1 for key in ("value", "low", "high"))


def _against(name: str, score: Mapping[str, float], baseline: Mapping[str, float]) -> Cell:
    other = baseline[name]
    if bare(name).startswith("coverage_") or any(
        math.isnan(one) for one in (other, score["low"], score["high"])
    ):
        return ""
    if score["low"] <= other <= score["high"]:
        return Markup('<span class="soft">within the interval</span>')
    better = (score["value"] < other) == (bare(name) in LOWER_IS_BETTER)
    return Markup('<span class="good">better</span>') if better else Markup('<span class="bad">worse</span>')
