"""What a user says about data: where it lies, which columns, which splits, which preprocessing."""

from typing import Annotated, Literal

from pydantic import Field

from trainwright.spec.part import Auto, Part, Use

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class SplitSpec(Part):
    """How records become train, val and test.

    Args:
        method: `random`; `stratified` (each class, or each tenth of a real target, is split alike); `given` (the
            three fields below name the records).
        val: With `given`, record numbers or an .npy file of them; otherwise a fraction of the records that are not
            in the test split.
        test: As `val`; a fraction is one of all records. Leave it out when `data.test` brings its own records.
        train: Only with `given`: record numbers, or an .npy file of them.
        seed: Of the shuffle; apart from the experiment's seed, so that repeats share their splits.
    """

    method: Literal["random", "stratified", "given"] = "random"
    train: list[int] | str | None = None
    val: Fraction | list[int] | str = 0.1
    test: Fraction | list[int] | str = 0.0
    seed: int = 0


class TestRecords(Part):
    """Test records that come apart from the others.

    Args:
        path: Their file; left out when they lie in the same .npz file.
        features: Name of the array or columns; left out when it is as in `data`.
        target: Name of the array or column; left out when it is as in `data`.
    """

    path: str | None = None
    features: str | list[str] | None = None
    target: str | None = None


class DataSpec(Part):
    """Which records, and what is done to them before the model sees them.

    Args:
        path: A .npz, .npy, .csv or .parquet file, relative to the experiment file.
        dataset: Instead of `path`: the name of a registered dataset.
        features: .npz: name of the array (`x`). Tables: columns; `auto` takes all that have no other role.
        target: .npz: name of the array (`y`). .npy: the file of targets. Tables: the column.
        weight: Name of an array or column of non-negative record weights.
        id: Name of an array or column that names records.
        test: Test records that come apart.
        digest: The content digest the data must have; a mismatch is an error.
        split: How records become train, val and test.
        operators: Preprocessing of the features, fitted on train only.
        target_operators: Preprocessing of a regression target, fitted on train only, inverted at prediction.
    """

    path: str | None = None
    dataset: str | None = None
    features: str | list[str] = "auto"
    target: str | Auto = "auto"
    weight: str | None = None
    id: str | None = None
    test: TestRecords | None = None
    digest: str | None = None
    split: SplitSpec = SplitSpec()
    operators: list[Use] = []
    target_operators: list[Use] = []
