"""Where a model is worse than on the whole."""

import math
from typing import Any

from trainwright.report.blocks import NUMBER, Cell, Section, bar, join, note, table
from trainwright.report.record import RunRecord
from trainwright.report.sections.results import HEADLINES, LOWER_IS_BETTER, is_share, score_text

MOST_ROWS = 40
FEW = 20  # records, below which a score says little


def slices_section(record: RunRecord) -> Section | None:
    """Shows the scores of parts of the test split, the worst first."""
    rows = record.table("test/slices").get("rows", [])
    names = [one for one in HEADLINES.get(record.task, ()) if rows and one in rows[0]]
    if not names:
        return None
    main, sign = names[0], 1.0 if names[0] in LOWER_IS_BETTER else -1.0
    order = sorted(rows, key=lambda row: (math.isnan(row[main]), -sign * row[main]))
    whole = record.scores.get(f"test/{main}", {}).get("value", math.nan)
    known = [abs(row[main]) for row in rows if math.isfinite(row[main])]
    top = 1.0 if is_share(main) else max([*known, abs(whole) if math.isfinite(whole) else 0.0, 1e-300])

    def spell(row: dict[str, Any]) -> list[Cell]:
        cells: list[Cell] = [row["column"], row["value"], _count(row["records"])]
        worse = sign * (row[main] - whole) > 0
        drawn = bar(row[main] / top, color=1 if worse else 0, tick=whole / top)
        return [*cells, score_text(main, row[main]), drawn, *(score_text(one, row[one]) for one in names[1:])]

    heads = {"column": "", "value": "", "records": NUMBER, main: NUMBER, "": "drawn"} | dict.fromkeys(
        names[1:], NUMBER
    )
    shown = order[:MOST_ROWS]
    told = f"Parts of the test split, the worst {main} first."
    if math.isfinite(whole):
        told += f" The tick is the whole test split, {score_text(main, whole)}; worse parts are orange."
    if any(row["records"] < FEW for row in shown):
        told += f" Parts marked * have fewer than {FEW} records: their scores say little."
    if len(order) > len(shown):
        told += f" {len(order) - len(shown)} better or unknown parts are left out."
    return Section("slices", "Parts of the test split", join([note(told), table(heads, map(spell, shown))]))


def _count(records: int) -> str:
    return f"* {records}" if records < FEW else str(records)
