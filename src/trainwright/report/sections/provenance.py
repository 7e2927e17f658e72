"""Where a run came from, what it left behind, and how to repeat it."""

from markupsafe import Markup

from trainwright.report.blocks import NUMBER, Section, fold, join, note, table
from trainwright.report.drawing import draw_lineage
from trainwright.report.record import RunRecord
from trainwright.spec.write import write_yaml
from trainwright.store.records import VersionRow

MOST_VERSIONS = 60
MOST_MEMBERS = 10
MOST_TEXT = 40_000  # characters of a spec that names each of its records


def versions_section(record: RunRecord) -> Section:
    """Lists the versions that are kept."""
    kept = [one for one in record.versions if one.status == "kept"]
    collected = len(record.versions) - len(kept)
    tags = {one.id: ", ".join(record.registry.tags_of(one)) for one in kept[-MOST_VERSIONS:]}
    heads = {
        "version": NUMBER,
        "epoch": NUMBER,
        "step": NUMBER,
        "tags": "",
        record.run.best_metric: NUMBER,
        "weights": "",
    }
    rows = [
        (
            str(one.number),
            str(one.epoch),
            str(one.step),
            tags[one.id],
            _measured(one, record.run.best_metric),
            Markup("<code>{}</code>").format((one.weights or one.files or "")[:16]),
        )
        for one in kept[-MOST_VERSIONS:]
    ]
    parts = [table(heads, rows)]
    if len(kept) > len(rows):
        parts.append(
            note(f"{len(kept) - len(rows)} older versions are kept too; `trainwright ls` lists them.")
        )
    if collected:
        parts.append(note(f"{collected} more versions were made; their content was not kept."))
    return Section("versions", "Versions", join(parts))


def lineage_section(record: RunRecord) -> Section:
    """Draws what the run was made from and what was made by it."""
    run, registry, shown = record.run, record.registry, record.shown
    before = [("dataset", f"sha256:{(run.dataset or '')[:12]}")]
    if run.parent is not None:
        parent = registry.version(run.parent)
        before.append(("version", f"{parent.model}@{parent.number}"))
    origin = registry.fine_tunings().get(run.id)
    if origin is not None:
        version = registry.version(origin)
        before.append(("fine-tuned from", f"{version.model}@{version.number}"))
    members = registry.members(shown) if shown else []
    before += [("member", f"{one.model}@{one.number}") for one in members[:MOST_MEMBERS]]
    if len(members) > MOST_MEMBERS:
        before.append(("members", f"{len(members) - MOST_MEMBERS} more"))
    tags = ", ".join(registry.tags_of(shown)) if shown else ""
    after = [(tags or "version", f"{run.model}@{shown.number}")] if shown else []
    drawn = draw_lineage([before, [("run", run.id)], after])
    return Section("lineage", "Lineage", Markup('<div class="wide">{}</div>').format(drawn))


def environment_section(record: RunRecord) -> Section:
    """Lists what the run depended on outside its spec."""
    machine, commit = record.environment["hardware"], record.environment["git"]
    changed = " with uncommitted changes" if commit["dirty"] else ""
    rows = list(record.environment["packages"].items())
    rows += [
        ("backend", f"{record.spec.train.backend} on {record.spec.train.device}"),
        ("threads", str(record.spec.train.threads)),
        ("processor", f"{machine['processor']}, {machine['cores']} cores"),
        ("system", f"{machine['system']} {machine['machine']}"),
        ("memory", f"{machine['memory_bytes'] / 2**30:.1f} GiB"),
        ("git commit", f"{commit['commit'] or 'none'}{changed}"),
    ]
    lock = record.environment["lock"]
    lines = "\n".join(f"{name}=={version}" for name, version in lock.items())
    listed = fold(f"All {len(lock)} installed packages", Markup("<pre>{}</pre>").format(lines))
    return Section(
        "environment", "Environment", join([table({"": "", " ": "break"}, rows, kind="facts"), listed])
    )


def repeat_section(record: RunRecord) -> Section:
    """Says how to train the same again."""
    ref = f"{record.run.model}@{record.shown.number}" if record.shown else record.run.id
    spec = write_yaml(record.spec)
    text = Markup("<pre>{}</pre>").format(spec[:MOST_TEXT])
    if len(spec) > MOST_TEXT:
        text += note(f"The other {len(spec) - MOST_TEXT} characters are in the record.")
    told = "It trains again from the record and says whether the weights are identical. Data: "
    parts = [
        Markup("<pre>trainwright reproduce {}</pre>").format(ref),
        note(Markup("{}<code>sha256:{}</code>.").format(told, record.spec.data.digest)),
        fold("The resolved experiment", text),
    ]
    return Section("repeat", "How to repeat this", join(parts))


def _measured(version: VersionRow, metric: str) -> str:
    value = version.metrics.get(metric)
    return "" if value is None else f"{value:.5g}"
