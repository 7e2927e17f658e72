"""From a name to an object."""

import hashlib

import pytest

from trainwright.base.errors import SpecError
from trainwright.spec.build import build, find, own_code
from trainwright.spec.part import Use

CATALOG = {
    "Fraction": "fractions:Fraction",
    "Clock": "datetime:timedelta",
    "Gone": "no_such_module:X",
    "Odd": "math:X",
}


def test_a_short_name_and_the_users_own_code_are_found_alike():
    assert find("Fraction", CATALOG, where="x") is find("fractions:Fraction", {}, where="x")


def test_arguments_go_to_the_constructor():
    assert build(Use(use="Clock", args={"hours": 2}), CATALOG, where="x").total_seconds() == 7200


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("Fractoin", "data.operators.0.use: unknown name 'Fractoin', nearest: 'Fraction'"),
        ("zzz", "data.operators.0.use: unknown name 'zzz', known: Clock, Fraction, Gone, Odd"),
        ("Gone", "data.operators.0.use: 'no_such_module:X' cannot be imported"),
        ("Odd", "data.operators.0.use: 'math:X' cannot be imported"),
    ],
)
def test_a_name_that_cannot_be_found_says_why(name, line):
    with pytest.raises(SpecError, match=line):
        find(name, CATALOG, where="data.operators.0")


def test_a_short_name_where_there_are_none_is_told_how_to_be_written():
    with pytest.raises(SpecError, match=r"^x\.use: unknown name 'EarlyStopping'; write module:Name$"):
        find("EarlyStopping", {}, where="x")


class Patient:
    def __init__(self, *, patience: int = 3) -> None:
        if patience < 1:
            raise ValueError("patience must be 1 or more")


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"patiense": 3}, "nearest: 'patience'"),
        ({"zzz": 3}, "known: patience"),
        ({"patience": 0}, "patience must be 1 or more"),
        ({"patience": "x"}, "not supported"),
    ],
)
def test_arguments_that_do_not_fit_are_named_with_their_place(args, reason, monkeypatch):
    monkeypatch.setattr("fractions.Fraction", Patient)
    with pytest.raises(SpecError, match=rf"^train.callbacks.0.args: Fraction: .*{reason}"):
        build(Use(use="Fraction", args=args), CATALOG, where="train.callbacks.0")


def test_an_argument_of_a_constructor_that_takes_none_is_told_so():
    part = Use(use=f"{__name__}:Bare", args={"network": 3})
    with pytest.raises(
        SpecError, match=r"unexpected keyword argument 'network'; the constructor takes none$"
    ):
        build(part, {}, where="x")


def test_another_error_of_a_constructor_says_which_part_raised_it():
    with pytest.raises(ZeroDivisionError) as caught:
        build(Use(use="fractions:Fraction", args={"numerator": 1, "denominator": 0}), {}, where="x")
    assert caught.value.__notes__ == ["trainwright: raised in x: fractions:Fraction"]


class Logger:
    def __init__(self, save_dir: str, *places: str, name: str = "") -> None:
        pass


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({"savedir": "tb"}, "got an unexpected keyword argument 'savedir', nearest: 'save_dir'"),
        ({"name": "a"}, "missing a required argument: 'save_dir'"),
        ({"zzz": "tb"}, "got an unexpected keyword argument 'zzz', known: save_dir, name"),
        (
            {"savedir": "tb", "nam": "a"},
            "got an unexpected keyword argument 'savedir', nearest: 'save_dir'; "
            "got an unexpected keyword argument 'nam', nearest: 'name'",
        ),
    ],
)
def test_a_misspelt_argument_is_named_and_not_the_one_that_is_missing_for_it(args, reason):
    use = f"{__name__}:Logger"
    with pytest.raises(SpecError, match=f"^x.args: {use}: {reason}$"):
        build(Use(use=use, args=args), {}, where="x")


class Open:
    def __init__(self, save_dir: str, **more: str) -> None:
        self.more = more


def test_nothing_is_superfluous_to_a_constructor_that_takes_anything():
    part = Use(use=f"{__name__}:Open", args={"save_dir": "tb", "zzz": "a"})
    assert build(part, {}, where="x").more == {"zzz": "a"}
    with pytest.raises(SpecError, match=r"missing a required argument: 'save_dir'$"):
        build(Use(use=part.use, args={"savedir": "tb"}), {}, where="x")


def test_what_cannot_be_called_is_no_class():
    with pytest.raises(SpecError, match=r"^x\.use: 'math:pi' is not a class$"):
        build(Use(use="math:pi"), {}, where="x")


class Bare:
    def __init__(self) -> None:
        pass


def test_own_code_is_named_by_the_digest_of_its_file(tmp_path):
    (tmp_path / "mine_of_build.py").write_bytes(b"raise SystemExit('it is not imported')\n")
    (tmp_path / "package_of_build").mkdir()
    for name in ("__init__.py", "inner.py"):
        (tmp_path / "package_of_build" / name).write_bytes(b"raise SystemExit('it is not imported')\n")
    tree = {
        "data": {"operators": [{"use": "mine_of_build:Scale", "args": {}}, {"use": "Standardize"}]},
        "train": {"callbacks": [{"use": "mine_of_build:Tell"}, {"use": "no_such_module.deep:Tell"}]},
        "notes": [
            "use: a:b",
            {"use": 3},
            {"use": "package_of_build.inner:A"},
            {"use": "package_of_build.no:A"},
        ],
    }
    found = own_code(tree, tmp_path)
    digest = hashlib.sha256(b"raise SystemExit('it is not imported')\n").hexdigest()
    assert found == {
        "mine_of_build:Scale": digest,
        "mine_of_build:Tell": digest,
        "no_such_module.deep:Tell": "missing",
        "package_of_build.inner:A": digest,
        "package_of_build.no:A": "missing",
    }
