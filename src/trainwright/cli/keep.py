"""Commands that keep the store: tag, verify, sign, fsck, gc, data."""

from pathlib import Path
from typing import Annotated

import typer

from trainwright.base.home import home_of
from trainwright.cli.common import JsonOption, StoreOption, open_registry, say, tell, write_out, write_table
from trainwright.cli.look import RefArgument

MAX_PINNED = 2**23  # bytes: 80 000 versions
data_app = typer.Typer(name="data", help="Registered datasets.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(tag)
    app.command()(verify)
    app.command()(sign)
    app.command()(fsck)
    app.command()(gc)
    data_app.command(name="register")(register_data)
    data_app.command(name="ls")(list_data)
    app.add_typer(data_app)


def tag(
    ref: RefArgument,
    name: Annotated[str, typer.Argument(help="The tag, such as `production`.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take the tag away.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give a version a tag; it moves there if another version had it."""
    registry = open_registry(store)
    if remove:
        model = registry.resolve(ref, collected=True).model
        registry.untag(model, name)
        if as_json:
            write_out({"model": model, "tag": name, "version": None})
        else:
            tell(f"{model}@{name} removed")
        return
    registry.tag(ref, name)
    version = registry.resolve(ref)
    if as_json:
        write_out({"model": version.model, "tag": name, "version": version.number})
    else:
        tell(f"{version.model}@{name} is version {version.number}")


def verify(
    ref: Annotated[
        str | None, typer.Argument(help="name, name@tag, name@7, name@epoch=7, a run, or a digest prefix.")
    ] = None,
    pinned: Annotated[
        Path | None, typer.Option(help="Instead: a file that `pin --json` wrote; all its versions.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Recompute too: decode, rebuild, predict the recorded samples, judge on val."
        ),
    ] = False,
    key: Annotated[
        Path | None,
        typer.Option(help="A public key as PEM: the version must be signed with its private key."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that a version's objects, its spec and its data are what the record says; exit 1 if not."""
    if (ref is None) == (pinned is None):
        raise typer.BadParameter("give a REF, or --pinned FILE")
    if pinned is not None and (deep or key is not None):
        raise typer.BadParameter("it is for one REF", param_hint="--deep" if deep else "--key")
    if pinned is not None:
        _verify_pinned(pinned, store, as_json)
        return
    from trainwright.base.errors import StoreError
    from trainwright.verification import Check, verify_version

    assert ref is not None
    registry = open_registry(store)
    if deep:
        from trainwright.recomputation import recompute_version

        checks = recompute_version(registry, ref)
    else:
        checks = verify_version(registry, ref)
    if key is not None:
        from trainwright.signing import check_signature

        try:
            checks.append(Check("signature", True, f"with {key}, of {check_signature(registry, ref, key)}"))
        except StoreError as error:
            checks.append(Check("signature", False, str(error)))
    if as_json:
        write_out([{"what": one.what, "ok": one.ok, "detail": one.detail} for one in checks])
    else:
        write_table(
            ["what", "", "detail"], [[one.what, "ok" if one.ok else "BAD", one.detail] for one in checks]
        )
    if not all(one.ok for one in checks):
        raise typer.Exit(1)


def sign(
    ref: RefArgument,
    key: Annotated[Path, typer.Option(help="An elliptic private key as PEM, without a password.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Sign a version: its manifest, which names all its objects by digest; `verify --key` checks it."""
    from trainwright.signing import sign_version

    registry = open_registry(store)
    version = registry.resolve(ref)
    name = sign_version(registry, f"{version.model}@{version.number}", key)
    if as_json:
        write_out({"model": version.model, "version": version.number, "run": version.run, "artifact": name})
    else:
        print(f"{version.model}@{version.number} is signed; artifact {name} of run {version.run}")


def _verify_pinned(file: Path, store: Path | None, as_json: bool) -> None:
    from trainwright.base.errors import DataError
    from trainwright.store.pins import check_pins, read_pins

    cure = "name a file that `trainwright pin --json` wrote"
    try:
        if file.exists() and not file.is_file():
            raise DataError(f"{file}: it is no regular file; {cure}")
        with file.open("rb") as opened:
            content = opened.read(MAX_PINNED + 1)
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: {getattr(error, 'strerror', None) or error}; {cure}") from error
    if len(content) > MAX_PINNED:
        raise DataError(f"{file}: it has more than {MAX_PINNED} bytes; {cure}")
    checks = check_pins(open_registry(store), read_pins(content, what=str(file)))
    rows = [[one.pin.model, one.pin.version, one.word, one.detail] for one in checks]
    heads = ["model", "version", "verdict", "detail"]
    if as_json:
        write_out([dict(zip(heads, row, strict=True)) for row in rows])
    else:
        write_table(heads, rows)
    if any(one.word != "identical" for one in checks):
        raise typer.Exit(1)


def fsck(
    repair: Annotated[bool, typer.Option("--repair", help="Move damaged objects to quarantine.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check every object and row of the store; exit 1 if anything is damaged."""
    from trainwright.store import fsck as checks
    from trainwright.store.store import Store

    opened = Store.open(home_of(store), create=False, examine=False)
    for digest in checks.repair(opened) if repair else ():
        say(f"object {digest} lies in {opened.quarantine}")
    found = checks.check(opened)
    if as_json:
        write_out([{"kind": f.kind, "what": f.what, "versions": f.versions, "cure": f.cure} for f in found])
    for one in [] if as_json else found:
        hit = f" (hits {', '.join(one.versions)})" if one.versions else ""
        tell(f"{one.kind}: {one.what}{hit}; {one.cure}")
    bad = [one for one in found if not one.harmless]
    say("the store is sound" if not bad else f"{len(bad)} faults")
    if bad:
        raise typer.Exit(1)


def gc(
    dry: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Remove objects that no kept version, run, artifact or dataset refers to."""
    from trainwright.store.retention import collect
    from trainwright.store.store import Store

    count, size = collect(Store.open(home_of(store), create=False), dry=dry)
    if as_json:
        write_out({"objects": count, "bytes": size, "removed": not dry})
        return
    tell(f"{count} objects, {size / 1e6:.1f} MB {'would be ' if dry else ''}removed")


def register_data(
    name: Annotated[str, typer.Argument(help="Name of the dataset.")],
    file: Annotated[Path, typer.Argument(help="An experiment file; its `data` section is registered.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the data of an experiment file under a name; its content is pinned."""
    from trainwright.registration import register_dataset

    row = register_dataset(home_of(store), name, file)
    if as_json:
        write_out({"name": name, "content": row.content_digest})
    else:
        tell(f"{name}  sha256:{row.content_digest}")


def list_data(
    every: Annotated[bool, typer.Option("--all", help="Those without a name too.")] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List registered datasets."""
    from trainwright.store.datasets import rows

    found = [row for row in rows(open_registry(store).store) if every or row.name is not None]
    if as_json:
        write_out([{"name": r.name, "content": r.content_digest, "created": r.created} for r in found])
    else:
        write_table(
            ["name", "content", "created"], [[r.name, r.content_digest[:16], r.created] for r in found]
        )
