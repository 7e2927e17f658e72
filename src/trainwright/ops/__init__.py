"""Operators: serialisable pure steps that compose with `|`."""

CATALOG = {
    "Labels": "trainwright.ops.labels:Labels",
    "MinMax": "trainwright.ops.scaling:MinMax",
    "MultiLabels": "trainwright.ops.multilabels:MultiLabels",
    "Sequential": "trainwright.ops.operator:Sequential",
    "Standardize": "trainwright.ops.scaling:Standardize",
}
