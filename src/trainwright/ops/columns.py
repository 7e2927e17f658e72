"""Stub."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from trainwright.ops.operator import Operator


@dataclass(frozen=True, eq=False)
class Columns(Operator):
    """Stub."""

    names: tuple = ()
    steps: tuple = ()
    catalog_name: ClassVar[str | None] = "Columns"

    def __call__(self, x: Any) -> Any:
        outs = []
        for n, o in zip(self.names, self.steps, strict=True):
            y = o(x[n])
            outs.append(y.reshape(len(y), -1).astype(np.float32))
        return np.concatenate(outs, axis=1)


@dataclass(frozen=True, eq=False)
class OneHot(Operator):
    """Stub."""

    cats: Any = None
    catalog_name: ClassVar[str | None] = "OneHot"

    def fit(self, x):
        return replace(self, cats=[c for c in np.unique(x).tolist() if c != ""])

    def __call__(self, x):
        return (x[:, None] == np.array(self.cats)[None]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Impute(Operator):
    """Stub."""

    strategy: str = "median"
    indicator: bool = False
    value: Any = None
    catalog_name: ClassVar[str | None] = "Impute"

    def fit(self, x):
        return replace(self, value=float(np.nanmedian(x)))

    def __call__(self, x):
        b = np.isnan(x)
        y = np.where(b, self.value, x)
        return np.column_stack([y, b]) if self.indicator else y


@dataclass(frozen=True, eq=False)
class DateParts(Operator):
    """Stub."""

    catalog_name: ClassVar[str | None] = "DateParts"

    def __call__(self, x):
        return np.where(np.isnat(x), np.nan, x.astype("datetime64[D]").astype(float))
