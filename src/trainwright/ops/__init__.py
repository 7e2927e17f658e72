"""Operators: serialisable pure steps that compose with `|`."""

CATALOG = {
    "Columns": "trainwright.ops.columns:Columns",
    "OneHot": "trainwright.ops.columns:OneHot",
    "Impute": "trainwright.ops.columns:Impute",
    "DateParts": "trainwright.ops.columns:DateParts",
    "Labels": "trainwright.ops.labels:Labels",
    "MinMax": "trainwright.ops.scaling:MinMax",
    "MultiLabels": "trainwright.ops.multilabels:MultiLabels",
    "Sequential": "trainwright.ops.operator:Sequential",
    "Standardize": "trainwright.ops.scaling:Standardize",
}
