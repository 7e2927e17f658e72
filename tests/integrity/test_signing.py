"""A signature says that a version is what its record says; without the package, the cure is named."""

import importlib.util
import json

import pytest
from typer.testing import CliRunner

from integrity.making import snapshot
from trainwright.base.errors import BackendError, DataError, StoreError
from trainwright.base.extras import installed
from trainwright.cli.app import app
from trainwright.signing import check_signature, manifest_of, sign_version
from trainwright.store import tables
from trainwright.store.registry import Registry
from trainwright.store.rows import rewrite
from trainwright.store.run import LocalRun

needs_signing = pytest.mark.skipif(
    not (installed("model_signing") and installed("OpenSSL")), reason="pip install 'trainwright[signing]'"
)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def registry(copied):
    return Registry(copied)


@pytest.fixture
def pair(tmp_path):
    return make_pair(tmp_path, "mine")


@pytest.fixture
def other(tmp_path):
    return make_pair(tmp_path, "other")


def make_pair(folder, name, password=None):
    from cryptography.hazmat.primitives import serialization as forms
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    lock = forms.NoEncryption() if password is None else forms.BestAvailableEncryption(password)
    private, public = folder / f"{name}.pem", folder / f"{name}.pub.pem"
    private.write_bytes(key.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, lock))
    public.write_bytes(
        key.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


def change(registry, **changes):
    version = registry.resolve("digits@2")
    with registry.store.catalogue.write() as connection:
        rewrite(connection, tables.version, key={"id": version.id}, changes=changes)


@needs_signing
def test_a_signed_version_is_accepted(registry, pair):
    assert sign_version(registry, "digits@2", pair[0]) == "signature/2"
    assert (
        check_signature(registry, "digits@2", pair[1])
        == registry.artifacts(registry.runs()[0].id)[-1].created
    )


@needs_signing
def test_a_version_without_a_signature_is_refused(registry, pair):
    sign_version(registry, "digits@1", pair[0])
    with pytest.raises(
        StoreError, match="version 2 of digits is not signed: `trainwright sign digits@2 --key"
    ):
        check_signature(registry, "digits@2", pair[1])


@needs_signing
def test_another_key_is_refused_and_a_second_signature_keeps_the_first(registry, pair, other):
    sign_version(registry, "digits@2", pair[0])
    with pytest.raises(
        StoreError, match=r"changed afterwards, or signed with another key \(ValueError Key mis"
    ):
        check_signature(registry, "digits@2", other[1])
    sign_version(registry, "digits@2", other[0])
    assert check_signature(registry, "digits@2", other[1]) > check_signature(registry, "digits@2", pair[1])


@needs_signing
@pytest.mark.parametrize(
    "changes",
    [
        {"step": 9},
        {"metrics": '{"val/loss":0.1}'},
        {"parents": "[]"},
        {"state": None},
        {"weights": "first"},
        {"attempt": 2},
    ],
    ids=str,
)
def test_a_version_that_was_changed_afterwards_is_refused_though_its_row_is_sealed(registry, pair, changes):
    sign_version(registry, "digits@2", pair[0])
    if "weights" in changes:
        changes = {"weights": registry.resolve("digits@1").weights}
    change(registry, **changes)
    with pytest.raises(StoreError, match=r"is not what was signed with .*Signature mismatch"):
        check_signature(registry, "digits@2", pair[1])


@needs_signing
def test_a_signature_of_another_version_is_refused(registry, pair):
    sign_version(registry, "digits@1", pair[0])
    run = registry.resolve("digits@1").run
    (row,) = [row for row in registry.artifacts(run) if row.name == "signature/1"]
    registry.keep(run, "signature/2", registry.artifact_value(row))
    with pytest.raises(StoreError, match="Signature mismatch"):
        check_signature(registry, "digits@2", pair[1])


@needs_signing
@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"dsseEnvelope": {"payload": ""}}'])
def test_a_signature_that_is_none_is_refused(registry, pair, text):
    registry.keep(registry.resolve("digits@2").run, "signature/2", text)
    with pytest.raises(StoreError, match="is not what was signed with"):
        check_signature(registry, "digits@2", pair[1])


@needs_signing
def test_a_forged_payload_is_refused(registry, pair):
    import base64

    sign_version(registry, "digits@2", pair[0])
    run = registry.resolve("digits@2").run
    bundle = json.loads(registry.artifact_value(registry.artifacts(run)[-1]))
    change(registry, step=9)
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    sign_version(registry, "digits@2", make_pair(pair[0].parent, "forger")[0])
    forged = json.loads(registry.artifact_value(registry.artifacts(run)[-1]))
    assert payload != json.loads(base64.b64decode(forged["dsseEnvelope"]["payload"]))
    bundle["dsseEnvelope"]["payload"] = forged["dsseEnvelope"]["payload"]
    registry.keep(run, "signature/2", json.dumps(bundle))
    with pytest.raises(StoreError, match=r"is not what was signed with .*InvalidSignature"):
        check_signature(registry, "digits@2", pair[1])


@needs_signing
def test_a_version_with_a_damaged_object_is_neither_signed_nor_accepted(registry, pair):
    sign_version(registry, "digits@2", pair[0])
    path = registry.store.blobs.path(registry.resolve("digits@2").weights)
    path.write_bytes(path.read_bytes()[::-1])
    for act, key in ((sign_version, pair[0]), (check_signature, pair[1])):
        with pytest.raises(StoreError, match="is damaged"):
            act(registry, "digits@2", key)


@needs_signing
def test_a_resumed_run_keeps_the_signatures_of_its_versions(registry, pair):
    sign_version(registry, "digits@2", pair[0])
    run = registry.resolve("digits@2").run

    class Longer:
        def tree(self):
            return {"name": "digits", "epochs": 9}

    again = LocalRun.reopen(registry.store, run, resolved=Longer(), environment={"numpy": "4"}, from_step=3)
    again.save(snapshot(4)).wait()
    again.finish("done")
    assert check_signature(registry, "digits@2", pair[1])


@needs_signing
@pytest.mark.parametrize("content", [None, b"", b"no key"], ids=["missing", "empty", "no key"])
def test_a_key_that_is_none_is_refused(registry, tmp_path, content):
    key = tmp_path / "key.pem"
    if content is not None:
        key.write_bytes(content)
    sign_version(registry, "digits@2", make_pair(tmp_path, "mine")[0])
    for act in (sign_version, check_signature):
        with pytest.raises(
            DataError, match=r"key.pem: (No such file.*PEM file|not such a key.*openssl ecparam)"
        ):
            act(registry, "digits@2", key)


@needs_signing
def test_a_key_with_a_password_is_refused(registry, tmp_path):
    with pytest.raises(DataError, match="not such a key"):
        sign_version(registry, "digits@2", make_pair(tmp_path, "locked", b"word")[0])


@needs_signing
def test_the_command_line_signs_and_checks(registry, pair, other):
    def call(*arguments):
        return CliRunner().invoke(app, [*map(str, arguments), "--store", str(registry.store.home), "--json"])

    signed = call("sign", "digits@2", "--key", pair[0])
    assert signed.exit_code == 0 and json.loads(signed.stdout)["artifact"] == "signature/2"
    for key, ok in ((pair[1], True), (other[1], False)):
        checked = call("verify", "digits@2", "--key", key)
        found = json.loads(checked.stdout)
        assert (found[-1]["what"], found[-1]["ok"]) == ("signature", ok)
        assert checked.exit_code == 1  # this store has no data to compare


def test_the_manifest_names_everything_by_digest(registry):
    manifest = manifest_of(registry, registry.resolve("digits@2"))
    version, first = registry.resolve("digits@2"), registry.resolve("digits@1")
    assert manifest["version"]["weights"] == version.weights and manifest["version"]["number"] == 2
    assert manifest["parents"] == [["digits", 1, first.weights]]
    assert manifest["version"]["metrics"] == {"val/loss": 0.5} and len(manifest["attempt"]["spec"]) == 64
    foreign = registry.resolve("letters@1")
    assert list(manifest_of(registry, foreign)["files"]) == ["model.bin"]


@pytest.mark.parametrize("missing", ["model_signing", "OpenSSL"])
def test_without_the_package_the_cure_is_named(registry, tmp_path, monkeypatch, missing):
    real = importlib.util.find_spec
    there = importlib.util.find_spec("json")
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == missing else there if name == "model_signing" else real(name),
    )
    if missing == "OpenSSL":
        import sys

        monkeypatch.setitem(sys.modules, "model_signing", json)
    for act in (sign_version, check_signature):
        with pytest.raises(
            BackendError, match=rf"{missing} is not installed: pip install 'trainwright\[signing\]'"
        ):
            act(registry, "digits@2", tmp_path / "key.pem")
