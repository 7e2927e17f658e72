"""Signatures of versions: who holds a key says that a version is what its record says.

What is signed is a manifest, one small JSON document that names all that a version is made of by digest; the objects
are hashed when it is checked. The signature is a Sigstore bundle made by OpenSSF model-signing, kept as an artifact of
the run.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trainwright.base.errors import DataError, StoreError
from trainwright.base.extras import require
from trainwright.base.jsontext import Json, write_json
from trainwright.store.records import VersionRow
from trainwright.store.registry import Registry

EXTRA = "signing"
FORMAT = 1
MANIFEST, BUNDLE = "manifest.json", "manifest.sig"
_VERSION = ("model", "number", "attempt", "step", "epoch", "weights", "state", "operator", "files", "metrics")
_RUN = ("id", "seed", "backend", "dataset")
_ATTEMPT = ("spec", "environment")  # of the attempt: those of the run are its latest


def sign_version(registry: Registry, ref: str, key: Path) -> str:
    """Signs a version and keeps the signature with its run; signatures of other keys stay.

    Args:
        registry: Where the version is.
        ref: Such as `name@best`.
        key: A private key on the curve P-256, P-384 or P-521, as PEM without a password.

    Returns:
        The name of the artifact.

    Raises:
        BackendError: If model-signing is not installed.
        DataError: If the key cannot be read or is of another kind.
        StoreError: If there is no such version, one of its objects is damaged, or the store cannot be written.
    """
    version = registry.resolve(ref)
    signing = _library("model_signing.signing")
    with _manifest(registry, version) as (folder, bundle):
        signer = _with_key(key, lambda: signing.Config().use_elliptic_key_signer(private_key=key))
        signer.sign(folder, bundle)
        name = _name(version)
        registry.keep(version.run, name, bundle.read_text("utf-8"))
    return name


def check_signature(registry: Registry, ref: str, key: Path) -> str:
    """Checks that a version was signed with a key, and is what was signed.

    Args:
        registry: Where the version is.
        ref: Such as `name@best`.
        key: The public key, as PEM.

    Returns:
        When it was signed.

    Raises:
        BackendError: If model-signing is not installed.
        DataError: If the key cannot be read or is of another kind.
        StoreError: If there is no such version, an object of it is damaged, it was never signed, or no signature is of
            this key and this version.
    """
    version = registry.resolve(ref)
    verifying = _library("model_signing.verifying")
    rows = [row for row in registry.artifacts(version.run) if row.name == _name(version)]
    what = f"version {version.number} of {version.model}"
    if not rows:
        raise StoreError(f"{what} is not signed: `trainwright sign {ref} --key PRIVATE.pem` signs it")
    refused = []
    with _manifest(registry, version) as (folder, bundle):
        checker = _with_key(key, lambda: verifying.Config().use_elliptic_key_verifier(public_key=key))
        for row in reversed(rows):
            bundle.write_text(str(registry.artifact_value(row)), "utf-8")
            try:
                checker.verify(folder, bundle)
            except Exception as error:  # noqa: BLE001 - whatever it dislikes, the version is not accepted
                refused.append(f"{type(error).__name__} {error}".strip())
            else:
                return row.created
    raise StoreError(
        f"{what} is not what was signed with {key}: it was changed afterwards, or signed with another key "
        f"({'; '.join(refused)})"
    )


def manifest_of(registry: Registry, version: VersionRow) -> Json:
    """Names all that a version is made of.

    Raises:
        StoreError: If one of its objects is missing or damaged.
    """
    run = registry.run(version.run)
    attempt = registry.attempts(version.run)[version.attempt - 1]
    files = registry.files(version)
    own = (version.weights, version.state, version.operator, attempt.spec, attempt.environment)
    for digest in (*own, *files.values()):
        if digest is not None:
            registry.store.blobs.get(digest)
    parents = [registry.version(parent) for parent in version.parents]
    return {
        "format": FORMAT,
        "version": {name: getattr(version, name) for name in _VERSION},
        "files": files,
        "parents": [[row.model, row.number, row.weights or row.files] for row in parents],
        "run": {name: getattr(run, name) for name in _RUN},
        "attempt": {name: getattr(attempt, name) for name in _ATTEMPT},
    }


@contextmanager
def _manifest(registry: Registry, version: VersionRow) -> Iterator[tuple[Path, Path]]:
    """Gives a folder with nothing but the manifest in it, and the place of the signature beside it."""
    with tempfile.TemporaryDirectory(prefix="trainwright-") as made:
        folder = Path(made) / "version"
        folder.mkdir()
        (folder / MANIFEST).write_text(write_json(manifest_of(registry, version)), "utf-8")
        yield folder, Path(made) / BUNDLE


def _with_key(key: Path, use: Callable[[], Any]) -> Any:
    try:
        return use()
    except OSError as error:
        raise DataError(f"{key}: {error.strerror}; name a key as a PEM file") from error
    except Exception as error:
        raise DataError(
            f"{key}: not such a key ({error}); `openssl ecparam -name prime256v1 -genkey -noout -out private.pem` and "
            "`openssl ec -in private.pem -pubout -out public.pem` make a pair"
        ) from error


def _library(module: str) -> Any:
    require("model_signing", extra=EXTRA)
    require("OpenSSL", extra=EXTRA)  # model-signing imports it without saying that it needs it
    return require(module, extra=EXTRA)


def _name(version: VersionRow) -> str:
    return f"signature/{version.number}"
