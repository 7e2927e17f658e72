"""The registry: models, versions, tags and runs, as they are read; every row and object is verified."""

from pathlib import Path
from typing import Any, Literal

from sqlalchemy import delete, select

from trainwright.base.errors import StoreError
from trainwright.base.jsontext import Json, read_json
from trainwright.base.tensors import load_tensors, load_tree
from trainwright.base.tree import Array, Tree
from trainwright.store import tables
from trainwright.store.artifacts import read_artifact, spell_artifact
from trainwright.store.attempts import find_run
from trainwright.store.files import list_files, restore_files
from trainwright.store.history import attempts_of, visible_artifacts, visible_metrics
from trainwright.store.members import count_members, read_members
from trainwright.store.records import (
    ArtifactRow,
    AttemptRow,
    EdgeRow,
    LookRow,
    MetricRow,
    ModelRow,
    NoteRow,
    RunRow,
    TagRow,
    VersionRow,
)
from trainwright.store.refs import check_user_tag, model_scope, resolve_run_row, resolve_version
from trainwright.store.rows import (
    add,
    edge_row,
    fetch,
    look_row,
    model_row,
    note_row,
    now_text,
    run_row,
    tag_row,
    version_row,
)
from trainwright.store.shown import object_of, shown_run
from trainwright.store.store import Store
from trainwright.store.versions import (
    find_version,
    latest_version,
    move_tag,
    resume_version,
    run_scope,
    tagged_version,
    tuned_runs,
)


class Registry:
    """Reads what was recorded, and moves the tags of people.

    Args:
        store: What is read.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def models(self) -> list[ModelRow]:
        """Gives the models by name."""
        with self.store.catalogue.read() as connection:
            rows = fetch(connection, select(tables.model).order_by(tables.model.c.name))
            return [model_row(row) for row in rows]

    def runs(self, *, model: str | None = None, state: str | None = None) -> list[RunRow]:
        """Gives runs, the oldest first; one that died without a word is shown as `killed`.

        Args:
            model: Only runs of this model.
            state: Only runs in this state, as it is shown.
        """
        statement = select(tables.run).order_by(tables.run.c.created)
        if model is not None:
            statement = statement.where(tables.run.c.model == model)
        with self.store.catalogue.read() as connection:
            rows = [run_row(row) for row in fetch(connection, statement)]
        shown = [shown_run(self.store, row) for row in rows]
        return [row for row in shown if state is None or row.state == state]

    def run(self, run: str) -> RunRow:
        """Gives one run by its whole id.

        Raises:
            StoreError: If there is none.
        """
        with self.store.catalogue.read() as connection:
            row = find_run(connection, run)
        if row is None:
            raise StoreError(f"there is no run {run}: `trainwright ls` lists runs")
        return shown_run(self.store, row)

    def attempts(self, run: str) -> list[AttemptRow]:
        """Gives the attempts of a run in order."""
        with self.store.catalogue.read() as connection:
            return attempts_of(connection, run)

    def versions(self, *, model: str | None = None, run: str | None = None) -> list[VersionRow]:
        """Gives versions by number, tombstones included.

        Args:
            model: Only those of this model.
            run: Only those of this run.
        """
        statement = select(tables.version).order_by(tables.version.c.model, tables.version.c.number)
        if model is not None:
            statement = statement.where(tables.version.c.model == model)
        if run is not None:
            statement = statement.where(tables.version.c.run == run)
        with self.store.catalogue.read() as connection:
            return [version_row(row) for row in fetch(connection, statement)]

    def version(self, version: int) -> VersionRow:
        """Gives one version by its id (not its number).

        Raises:
            StoreError: If there is none.
        """
        with self.store.catalogue.read() as connection:
            row = find_version(connection, version)
        if row is None:
            raise StoreError(f"there is no version with id {version}")
        return row

    def resolve(self, ref: str, *, collected: bool = False) -> VersionRow:
        """Finds the version a reference names; see `refs.resolve_version` for all forms.

        Args:
            ref: Such as `name@best`.
            collected: Whether a version that retention has collected may be named.

        Raises:
            StoreError: If there is none, several are meant, or it was collected.
        """
        with self.store.catalogue.read() as connection:
            return resolve_version(connection, ref, collected=collected)

    def resolve_run(self, ref: str) -> RunRow:
        """Finds the run a reference names, or the one that made the version it names.

        Raises:
            StoreError: As `resolve`.
        """
        with self.store.catalogue.read() as connection:
            row = resolve_run_row(connection, ref)
        return shown_run(self.store, row)

    def latest(self, run: str) -> VersionRow:
        """Gives the newest kept version of a run.

        Raises:
            StoreError: If it has none.
        """
        with self.store.catalogue.read() as connection:
            row = latest_version(connection, run)
        if row is None:
            raise StoreError(f"run {run} has no version yet")
        return row

    def best(self, run: str) -> VersionRow | None:
        """Gives the best version of a run, or None if none has the metric."""
        with self.store.catalogue.read() as connection:
            return tagged_version(connection, run_scope(run), name="best")

    def final(self, run: str) -> VersionRow | None:
        """Gives the version a run ended with, or None."""
        with self.store.catalogue.read() as connection:
            return tagged_version(connection, run_scope(run), name="final")

    def resume_point(self, run: str) -> VersionRow | None:
        """Gives the version a run goes on from: its newest one, or else the one it began from, or None."""
        with self.store.catalogue.read() as connection:
            row = find_run(connection, run)
            return None if row is None else resume_version(connection, row)

    def tag(self, ref: str, name: str) -> TagRow:
        """Lets a tag of a model point to a version; it never moves by itself.

        Raises:
            SpecError: If the name is not allowed.
            StoreError: If it is one of the tags that belong to runs, or there is no such version.
        """
        check_user_tag(name)
        with self.store.catalogue.write() as connection:
            version = resolve_version(connection, ref)
            scope = model_scope(connection, version.model)
            move_tag(connection, scope, name=name, version=version.id)
        return next(tag for tag in self.tags(model=version.model) if tag.name == name)

    def untag(self, model: str, name: str) -> None:
        """Removes a tag of a model.

        Raises:
            StoreError: If there is none.
        """
        check_user_tag(name)
        with self.store.catalogue.write() as connection:
            scope = model_scope(connection, model)
            where = (tables.tag.c.scope == scope, tables.tag.c.name == name)
            if not connection.execute(delete(tables.tag).where(*where)).rowcount:
                raise StoreError(f"{model} has no tag {name!r}")

    def tags(self, *, model: str | None = None, run: str | None = None) -> list[TagRow]:
        """Gives the tags of a model, of a run, or all, by name.

        Raises:
            StoreError: If there is no such model.
        """
        with self.store.catalogue.read() as connection:
            statement = select(tables.tag).order_by(tables.tag.c.scope, tables.tag.c.name)
            if model is not None:
                statement = statement.where(tables.tag.c.scope == model_scope(connection, model))
            if run is not None:
                statement = statement.where(tables.tag.c.scope == run_scope(run))
            return [tag_row(row) for row in fetch(connection, statement)]

    def tags_of(self, version: VersionRow) -> list[str]:
        """Gives the tags that point to a version, those of its run and those of its model."""
        with self.store.catalogue.read() as connection:
            statement = (
                select(tables.tag).where(tables.tag.c.version == version.id).order_by(tables.tag.c.name)
            )
            return [tag_row(row).name for row in fetch(connection, statement)]

    def weights(self, version: VersionRow) -> dict[str, Array]:
        """Gives the weights of a version by neutral name.

        Raises:
            StoreError: If they were collected or are damaged.
        """
        return load_tensors(object_of(self.store, version, kind="weights"), what=f"weights {version.weights}")

    def state(self, version: VersionRow) -> Tree:
        """Gives all that a resumed run needs.

        Raises:
            StoreError: If there is none, or it is damaged.
        """
        return load_tree(object_of(self.store, version, kind="state"), what=f"state {version.state}")

    def operator(self, version: VersionRow) -> Tree:
        """Gives all that a version needs besides its weights.

        Raises:
            StoreError: If it is damaged.
        """
        return load_tree(self.store.blobs.get(version.operator), what=f"operator {version.operator}")

    def files(self, version: VersionRow) -> dict[str, str]:
        """Gives the objects of a version's opaque files by path."""
        return {} if version.files is None else list_files(self.store.blobs, version.files)

    def members(self, version: VersionRow) -> list[VersionRow]:
        """Gives the versions that a version consists of, in their order; none of an ordinary one.

        Their rows say where they came from; what they hold lies with the version itself, so that it stays whatever
        becomes of them.
        """
        whole = count_members(self.files(version)) == len(version.parents)
        return [self.version(one) for one in version.parents] if whole else []

    def member_models(self, version: VersionRow) -> list[tuple[dict[str, Any], dict[str, Array]]]:
        """Gives the description and the weights of each member of a version.

        Raises:
            StoreError: If an object is missing or damaged.
        """
        return read_members(self.store.blobs, self.files(version))

    def restore_files(self, version: VersionRow, folder: Path) -> None:
        """Hands a version's opaque files back into a new folder.

        Raises:
            StoreError: If it has none, they are damaged, or the folder exists.
        """
        object_of(self.store, version, kind="files")
        assert version.files is not None
        restore_files(self.store.blobs, version.files, folder=folder)

    def spec(self, run: RunRow) -> Json:
        """Gives the resolved spec of a run as JSON."""
        return read_json(self.store.blobs.get(run.spec), what=f"spec of run {run.id}")

    def environment(self, run: RunRow) -> Json:
        """Gives what the latest attempt of a run depended on outside its spec."""
        return read_json(self.store.blobs.get(run.environment), what=f"environment of run {run.id}")

    def metrics(self, run: str) -> list[MetricRow]:
        """Gives the visible history of a run: of each attempt, the rows up to where the next one began."""
        with self.store.catalogue.read() as connection:
            return visible_metrics(connection, run)

    def artifacts(self, run: str) -> list[ArtifactRow]:
        """Gives the visible artifacts of a run in the order they were made."""
        with self.store.catalogue.read() as connection:
            return visible_artifacts(connection, run)

    def artifact_value(self, artifact: ArtifactRow) -> Any:
        """Gives the value of an artifact: a float, an array, a `Plot`, text or a dict.

        Raises:
            StoreError: If it is damaged.
        """
        content = self.store.blobs.get(artifact.object)
        return read_artifact(artifact.kind, content, what=f"artifact {artifact.name} of run {artifact.run}")

    def look(self, run: str, split: str, *, by: str) -> None:
        """Counts a look at a split after the run has ended.

        Raises:
            StoreError: If there is no such run.
        """
        self.run(run)
        with self.store.catalogue.write() as connection:
            row = {"run": run, "split": split, "time": now_text(), "by": by}
            add(connection, tables.look, row)

    def looks(self, run: str) -> list[LookRow]:
        """Gives the looks at splits of a run in order."""
        return [look_row(row) for row in self._of_run(tables.look, run)]

    def note(self, run: str, text: str, *, level: str = "note") -> None:
        """Adds a note to a run.

        Raises:
            StoreError: If there is no such run.
        """
        attempt = self.run(run).attempt
        with self.store.catalogue.write() as connection:
            row = {"run": run, "attempt": attempt, "time": now_text(), "level": level, "text": text}
            add(connection, tables.note, row)

    def notes(self, run: str) -> list[NoteRow]:
        """Gives warnings and notes of a run in order."""
        return [note_row(row) for row in self._of_run(tables.note, run)]

    def edges(self, run: str) -> list[EdgeRow]:
        """Gives what a run used beyond its dataset and its parent, or made beyond its versions."""
        return [edge_row(row) for row in self._of_run(tables.edge, run)]

    def links(self, *whats: str) -> list[EdgeRow]:
        """Gives what runs used or made, of some kinds of things, such as `produced_by`."""
        with self.store.catalogue.read() as connection:
            every = [edge_row(row) for row in fetch(connection, select(tables.edge))]
            return [row for row in every if row.what in whats]

    def link(self, run: str, kind: Literal["used", "made"], what: str, *, target: str) -> None:
        """Adds what a run used or made, such as the analysis it was made for; once is enough.

        Raises:
            StoreError: If there is no such run.
        """
        self.run(run)
        row = {"run": run, "kind": kind, "what": what, "target": target}
        with self.store.catalogue.write() as connection:
            same = [tables.edge.c[name] == value for name, value in row.items()]
            if not fetch(connection, select(tables.edge).where(*same)):
                add(connection, tables.edge, row)

    def keep(self, run: str, name: str, value: Any) -> None:
        """Adds an artifact to a run that has ended; the latest of a name counts.

        Raises:
            StoreError: If there is no such run, or the value cannot be kept.
        """
        attempt = self.run(run).attempt
        kind, chunks = spell_artifact(name, value)
        with self.store.saving():
            digest = self.store.blobs.put(chunks)
            row = {"run": run, "attempt": attempt, "step": None, "name": name, "kind": kind, "object": digest}
            with self.store.catalogue.write() as connection:
                add(connection, tables.artifact, {**row, "created": now_text()})

    def fine_tunings(self) -> dict[str, int]:
        """Gives, by run, the id of the version whose weights a fine-tuned run began from."""
        with self.store.catalogue.read() as connection:
            return tuned_runs(connection)

    def _of_run(self, table: Any, run: str) -> Any:
        with self.store.catalogue.read() as connection:
            return fetch(connection, select(table).where(table.c.run == run))
