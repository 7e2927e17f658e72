"""Datasets as they were: recipe, content, and which records belong to which split."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select

from trainwright.base.digest import digest_json
from trainwright.base.errors import StoreError
from trainwright.base.jsontext import Json, write_json
from trainwright.base.names import check_name
from trainwright.base.tensors import dump_tensors, load_tensors
from trainwright.store import tables
from trainwright.store.records import DatasetRow
from trainwright.store.rows import add, dataset_row, fetch, now_text, rewrite
from trainwright.store.store import Store


def register(
    store: Store,
    *,
    name: str | None,
    recipe: Json,
    recipe_digest: str,
    content_digest: str,
    splits: Mapping[str, NDArray[np.int64]],
) -> DatasetRow:
    """Records a dataset; one that is known already is returned as it is.

    Args:
        store: Where to.
        name: Under which it can be found again, or None.
        recipe: How it is made.
        recipe_digest: Names the recipe.
        content_digest: Names the bytes that came out.
        splits: Indices of the records of each split, shape `(records,)`.

    Raises:
        SpecError: If the name is not allowed.
        StoreError: If the name stands for another dataset, or the dataset has another name or other splits.
    """
    if name is not None:
        check_name(name, what="dataset")
    digest = digest_json([recipe_digest, content_digest])
    with store.saving():
        kept = {
            split: (len(index), store.blobs.put(dump_tensors({"index": np.asarray(index, dtype=np.int64)})))
            for split, index in splits.items()
        }
        with store.catalogue.write() as connection:
            if name is not None:
                named = fetch(connection, select(tables.dataset).where(tables.dataset.c.name == name))
                if named and named[0]["digest"] != digest:
                    _refuse_name(dataset_row(named[0]), recipe_digest, content_digest=content_digest)
            known = fetch(connection, select(tables.dataset).where(tables.dataset.c.digest == digest))
            if not known:
                row = {
                    "digest": digest,
                    "name": name,
                    "recipe": write_json(recipe),
                    "recipe_digest": recipe_digest,
                    "content_digest": content_digest,
                    "splits": write_json({split: list(pair) for split, pair in kept.items()}),
                    "created": now_text(),
                }
                return dataset_row(add(connection, tables.dataset, row))
            before = dataset_row(known[0])
            if before.splits != kept:
                raise StoreError(
                    f"dataset {digest[:12]} is registered with other splits: "
                    "its recipe digest must name how it is split"
                )
            if name is None or before.name == name:
                return before
            if before.name is not None:
                raise StoreError(
                    f"this dataset is registered as {before.name!r} already: use that name, not {name!r}"
                )
            key = {"digest": digest}
            return dataset_row(rewrite(connection, tables.dataset, key=key, changes={"name": name}))


def find(store: Store, name: str) -> DatasetRow:
    """Gives a dataset by its name, its digest or the first 8 or more digits of that.

    Raises:
        StoreError: If there is none, or several.
    """
    found = [row for row in rows(store) if row.name == name]
    if not found and len(name) >= 8:
        found = [row for row in rows(store) if row.digest.startswith(name)]
    if len(found) != 1:
        known = ", ".join(row.name or row.digest[:12] for row in rows(store)) or "none"
        raise StoreError(f"{len(found) or 'no'} datasets are called {name!r}; registered are: {known}")
    return found[0]


def rows(store: Store) -> list[DatasetRow]:
    """Gives all datasets, the oldest first."""
    with store.catalogue.read() as connection:
        statement = select(tables.dataset).order_by(tables.dataset.c.created)
        return [dataset_row(row) for row in fetch(connection, statement)]


def name_of(store: Store, content_digest: str) -> str | None:
    """Gives the name under which some content is registered, or None."""
    named = [row.name for row in rows(store) if row.content_digest == content_digest and row.name is not None]
    return named[0] if named else None


def splits(store: Store, row: DatasetRow) -> dict[str, NDArray[np.int64]]:
    """Gives the indices of the records of each split, shape `(records,)`.

    Raises:
        StoreError: If an object is damaged or does not hold the number of indices that the row says.
    """
    found: dict[str, NDArray[np.int64]] = {}
    for split, (count, digest) in row.splits.items():
        index = load_tensors(store.blobs.get(digest), what=f"split {split}").get("index")
        if index is None or index.dtype != np.int64 or index.shape != (count,):
            raise StoreError(f"split {split} of dataset {row.digest[:12]} is not a list of {count} indices")
        found[split] = index.astype(np.int64)
    return found


def _refuse_name(row: DatasetRow, recipe_digest: str, *, content_digest: str) -> None:
    before = f"recipe {row.recipe_digest[:12]}, content {row.content_digest[:12]}"
    now = f"recipe {recipe_digest[:12]}, content {content_digest[:12]}"
    raise StoreError(
        f"the name {row.name!r} stands for {before}; this is {now}: register it under a new name"
    )
