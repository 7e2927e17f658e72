"""A model that is made of the user's own code, after that code was edited."""

import re

import pytest

from trainwright.evaluation.version import evaluate_model
from trainwright.model_op import load_model
from trainwright.store.registry import Registry
from trainwright.store.store import Store
from trainwright.verification import verify_version

pytest.importorskip("torch")

CODE = '''\
from dataclasses import dataclass

from trainwright.ops.operator import Operator


@dataclass(frozen=True, eq=False)
class Scale(Operator):
    """Divides by a constant."""

    def __call__(self, x):
        return x / 2
'''
LISTENER = '''\
from trainwright.train.callback import Callback


class Quiet(Callback):
    """Listens."""
'''
WARNING = "is made of own code '{}:Scale', which has changed since it was trained: recorded "


@pytest.mark.parametrize("members", [1, 2])
def test_a_model_of_changed_code_is_served_with_a_warning_and_not_verified(lab, members, caplog):
    name = f"mine_of_{members}"  # one for each test: a process finds a module in the first folder that has it
    warning, module, listener = WARNING.format(name), lab.folder / f"{name}.py", lab.folder / "quiet.py"
    module.write_text(CODE)
    listener.write_text(LISTENER)
    lab.run(
        *(
            "--set",
            f"data.operators=[{{use: '{name}:Scale'}}]",
            "--set",
            "train.callbacks=[{use: 'quiet:Quiet'}]",
        ),
        *(("--set", f"ensemble={members}") if members > 1 else ()),
    )

    def verified(expect):
        rows = {row["what"]: row["ok"] for row in lab.json("verify", "tiny@final", expect=expect)}
        assert all(ok for what, ok in rows.items() if what != "code")
        return rows["code"]

    def warned(act):
        caplog.clear()
        act("tiny@final", home=lab.home)
        return [text for text in caplog.messages if warning in text]

    listener.write_text(f"{LISTENER}    every = None\n")  # no model is made of it
    assert verified(0) and warned(load_model) == []
    module.write_text(CODE.replace("x / 2", "x / 3"))
    assert not verified(1)
    assert len(warned(load_model)) == len(warned(evaluate_model)) == members
    _, err = lab.start("predict", "tiny@final", lab.folder / "tiny.npz").communicate(timeout=100)
    assert err.count(warning) == members, err
    module.write_text(CODE)
    assert verified(0) and warned(load_model) == []
    check_damage(lab)


def check_damage(lab):
    """Damages objects of a version one after another: the row `code` says nothing of what is no fault of code."""
    registry = Registry(Store.open(lab.home))
    version = registry.resolve("tiny@final")
    member = (registry.members(version) or [version])[-1]

    def rows(digest):
        path = registry.store.blobs.path(digest)
        content = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        found = {one.what: one for one in verify_version(registry, "tiny@final")}
        path.write_bytes(content)
        return found

    told = rows(member.weights)
    assert told["code"].ok and sum(not one.ok for one in told.values()) == 1
    told = rows(member.operator)
    assert "code" not in told and not all(one.ok for one in told.values())
    told = rows(registry.run(member.run).environment)
    assert not told["code"].ok and re.match("it cannot be told: object .* is damaged", told["code"].detail)
