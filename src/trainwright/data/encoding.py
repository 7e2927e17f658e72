"""Decides how each column of a table becomes numbers."""

from collections.abc import Sequence

from trainwright.data.schema import Column
from trainwright.spec.data import ColumnSpec, DataSpec
from trainwright.spec.part import Use


def settle_columns(
    spec: DataSpec, schema: Sequence[Column], features: Sequence[str], *, tokens: bool
) -> list[ColumnSpec]:
    """Decides role, kind and operators of each column that has no other role.

    Args:
        spec: What the user says.
        schema: What is known of the columns.
        features: Names of the feature columns, in order.
        tokens: Whether the model reads categories by their number, as a transformer does, instead of one column each.

    Returns:
        The feature columns in their order, then those that are ignored.

    Example:
        >>> sex = Column("sex", "categorical", True, 0, 2, "2 different words")
        >>> settled = settle_columns(DataSpec(path="a.csv"), [sex], ["sex"], tokens=False)
        >>> [one.use for one in settled[0].operators]
        ['OneHot']
    """
    known = {one.name: one for one in schema}
    said = {one.name: one for one in spec.columns}
    settled = []
    for name in features:
        own = said.get(name)
        operators = "auto" if own is None else own.operators
        if operators == "auto":
            operators = _operators(known[name], spec, tokens=tokens)
        kind, form = known[name].kind, known[name].format or "auto"
        settled.append(
            ColumnSpec(name=name, role="feature", kind=kind, operators=operators, format=form)  # type: ignore[arg-type]
        )
    left = [one.name for one in schema if one.name not in features]
    # Where the features are named, nobody looks at other columns; what was decided about them stays.
    left += [one.name for one in spec.columns if one.role == "ignore" and one.name not in left]
    return settled + [ColumnSpec(name=name, role="ignore") for name in left]


def _operators(column: Column, spec: DataSpec, *, tokens: bool) -> list[Use]:
    if column.kind == "categorical":
        return [Use(use="Ordinal" if tokens else "OneHot")]
    impute = spec.missing == "impute"
    # Numbers that a list of operators will see as a matrix are left as they are.
    scale = [Use(use="Standardize")] if spec.operators == "auto" else []
    # The median is not moved by the few values that are far off.
    fill = Use(use="Impute", args={"strategy": "median"})
    if column.kind == "datetime":
        return [Use(use="DateParts"), *([fill] if impute else []), *scale]
    if column.kind == "boolean":
        return [Use(use="Impute", args={"strategy": "most_frequent"})] if impute else []
    # That a value is missing may itself tell something.
    marked = Use(use="Impute", args={"strategy": "median", "indicator": True}) if column.missing else fill
    return [*([marked] if impute else []), *scale]
