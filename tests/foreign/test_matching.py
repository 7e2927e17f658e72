import numpy as np
import pytest

from trainwright.base.errors import DataError, SpecError
from trainwright.foreign.matching import Assignment, Source, lost_biases, match_weights, read_map, weights_of

WANTED = {"dense_0.weight": (2, 3), "dense_0.bias": (2,), "output.weight": (1, 2)}


def given(**changes):
    found = {
        name: np.arange(np.prod(shape), dtype=np.float32).reshape(shape) for name, shape in WANTED.items()
    }
    return {name: one for name, one in {**found, **changes}.items() if one is not None}


def refuse(found, said=None):
    with pytest.raises(DataError) as caught:
        match_weights(WANTED, found, said or Assignment(), what="m.pt")
    first, *lines = str(caught.value).splitlines()
    assert first == "m.pt does not fit the model:"
    return [line.strip() for line in lines]


def test_tensors_of_the_same_names_and_shapes_are_taken():
    taken = match_weights(WANTED, given(), Assignment(), what="m.pt")
    assert list(taken) == list(WANTED)
    assert all(np.array_equal(taken[name], one) for name, one in given().items())


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_every_float_becomes_float32(kind):
    taken = match_weights(
        WANTED, {name: one.astype(kind) for name, one in given().items()}, Assignment(), what="m"
    )
    assert {one.dtype for one in taken.values()} == {np.dtype(np.float32)}
    assert all(one.flags.c_contiguous for one in taken.values())


def test_a_map_names_tensors_and_turns_them():
    found = given()
    other = {
        "fc.kernel": found["dense_0.weight"].T,
        "fc.bias": found["dense_0.bias"],
        "head": found["output.weight"].reshape(2, 1),
        "steps": np.zeros((), np.int64),
        "ema.a": np.zeros(3),
        "ema.b": np.zeros(3),
    }
    said = Assignment(
        {
            "dense_0.weight": Source("fc.kernel", reverse=True),
            "dense_0.bias": Source("fc.bias"),
            "output.weight": Source("head", axes=(1, 0)),
        },
        ("steps", "ema.*"),
    )
    taken = match_weights(WANTED, other, said, what="m.pt")
    assert all(np.array_equal(taken[name], one) for name, one in found.items())


def test_one_tensor_may_serve_twice():
    wanted = {"a": (2,), "b": (2,)}
    said = Assignment({"a": Source("tied"), "b": Source("tied")})
    taken = match_weights(wanted, {"tied": np.ones(2, np.float32)}, said, what="m.pt")
    assert taken["a"].tolist() == taken["b"].tolist() == [1, 1]
    taken["a"][0] = 5
    assert taken["b"][0] == 1


MEANS = {"norm.running_mean": (2,), "norm.running_var": (2,)}


def moments(**more):
    found = {"bn.mean": np.float32([1, 2]), "bn.var": np.float32([3, 4]), "fc.bias": np.float32([0.25, 8])}
    return {**found, **more}


def means(minus="fc.bias", **more):
    sources = {"norm.running_mean": Source("bn.mean", minus=minus), "norm.running_var": Source("bn.var")}
    return Assignment(sources, **more)


def test_a_bias_before_batch_normalisation_goes_into_its_mean():
    taken = match_weights(MEANS, moments(), means(), what="m.pt")
    assert taken["norm.running_mean"].tolist() == [0.75, -6] and taken["norm.running_var"].tolist() == [3, 4]
    with pytest.raises(
        DataError, match=r"fc\.bias \(2,\) is left over; .* goes into its mean by `minus`, .*norm"
    ):
        match_weights(MEANS, moments(), means(None), what="m.pt")


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({}, r"norm\.running_mean: gone, which is to be subtracted, is not there"),
        ({"gone": np.zeros(3, np.float32)}, r"gone holds float32 \(3,\); only floats \(2,\)"),
        ({"gone": np.zeros(2, np.int64)}, r"gone holds int64 \(2,\); only floats"),
    ],
)
def test_what_cannot_be_subtracted_is_refused(other, says):
    with pytest.raises(DataError, match=says):
        match_weights(MEANS, moments(**other), means("gone", leave_out=["fc.bias"]), what="m.pt")


def test_a_bias_that_is_lost_before_batch_normalisation_is_named():
    said = means(None, leave_out=["fc.*", "steps", "zero"])
    found = moments(steps=np.ones(2, np.int64), zero=np.zeros(2, np.float32))
    assert list(lost_biases(MEANS, found, said)) == ["fc.bias"]
    assert lost_biases({"norm.running_var": (2,)}, found, said) == {}
    assert lost_biases(MEANS, found, means(leave_out=["steps", "zero"])) == {}


def test_axes_are_put_in_order():
    kernel = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    said = Assignment({"conv": Source("kernel", axes=(3, 2, 0, 1))})
    taken = match_weights({"conv": (5, 4, 2, 3)}, {"kernel": kernel}, said, what="m.pt")["conv"]
    assert taken[4, 3, 1, 2] == kernel[1, 2, 3, 4]


def test_everything_that_does_not_fit_is_told_at_once():
    found = given(
        **{
            "dense_0.weight": None,
            "dense_0.bias": np.zeros(3),
            "output.weight": np.zeros((1, 2), np.int64),
            "dense0.weight": np.zeros((2, 3)),
            "more": np.zeros(7),
        }
    )
    assert refuse(found) == [
        "dense_0.weight (2, 3) is missing; of this shape: dense0.weight",
        "dense_0.bias has the shape (3,), dense_0.bias needs (2,)",
        "output.weight holds int64, output.weight needs floats",
        "dense0.weight (2, 3) is left over; map it, or name it in leave_out of the map",
        "more (7,) is left over; map it, or name it in leave_out of the map",
    ]


def test_a_transposed_tensor_is_pointed_at():
    lines = refuse(
        given(**{"dense_0.weight": np.zeros((3, 2)), "output.weight": None, "kernel": np.zeros((2, 1))})
    )
    assert (
        "dense_0.weight has the shape (3, 2), dense_0.weight needs (2, 3); write transpose: true in the map"
        in lines
    )
    assert "output.weight (1, 2) is missing; of this shape transposed: kernel" in lines


def test_a_tensor_of_another_shape_is_not_pointed_at():
    lines = refuse(given(**{"output.weight": None, "output.wait": np.zeros((7, 2))}))
    assert lines[0] == "output.weight (1, 2) is missing"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e39])
def test_numbers_that_are_not_finite_are_refused(value):
    bad = np.array([1.0, value])
    assert refuse(given(**{"dense_0.bias": bad})) == [
        "dense_0.bias holds numbers that are not finite in float32"
    ]


def test_a_map_that_names_nothing_is_refused():
    said = Assignment({"dense_0.wieght": Source("x"), "dense_0.bias": Source("bias")}, ("ema.*",))
    lines = refuse(given(), said)
    assert "dense_0.wieght is in the map, but no array of the model; nearest: dense_0.weight" in lines
    assert (
        "dense_0.bias (2,) is missing (mapped from bias, which is not there); of this shape: dense_0.bias"
        in lines
    )
    assert "ema.* is in leave_out of the map, but no tensor has such a name" in lines


def test_axes_of_another_number_are_refused():
    said = Assignment({"dense_0.weight": Source("dense_0.weight", axes=(2, 1, 0))})
    assert refuse(given(), said) == ["dense_0.weight has the shape (2, 3), dense_0.weight needs (2, 3)"]


def test_a_long_list_is_cut():
    lines = refuse(given(**{f"t{n}": np.zeros(7) for n in range(300)}))
    assert len(lines) == 101 and lines[-1] == "and 200 more"


@pytest.mark.parametrize(
    ("names", "found", "trunk"),
    [
        (["a", "b.c"], ["a", "b.c"], ""),
        (["state_dict/a", "epoch_loss"], ["a"], "state_dict"),
        (["model_state_dict/a", "optimizer_state_dict/state/0/exp_avg"], ["a"], "model_state_dict"),
        (["model_weights/d/k", "optimizer_weights/k"], ["d/k"], "model_weights"),
        (["layers/d/vars/0", "optimizer/vars/0"], ["layers/d/vars/0"], ""),
        (["state_dict"], ["state_dict"], ""),
        ([], [], ""),
    ],
)
def test_the_weights_are_told_from_the_rest(names, found, trunk):
    weights, where = weights_of({name: np.zeros(1) for name in names})
    assert list(weights) == found and where == trunk


def test_a_map_file_is_read(tmp_path):
    (tmp_path / "map.yaml").write_text(
        "weights:\n"
        "  a: x\n"
        "  b: {from: y, transpose: true}\n"
        "  c: {from: z, transpose: [3, 2, 0, 1]}\n"
        "  d: {from: w, transpose: false}\n"
        "  e: {from: v, minus: u}\n"
        'leave_out: ["*.num_batches_tracked"]\n'
    )
    assert read_map(tmp_path / "map.yaml") == Assignment(
        {"a": Source("x"), "b": Source("y", None, True), "c": Source("z", (3, 2, 0, 1)), "d": Source("w")}
        | {"e": Source("v", minus="u")},
        ("*.num_batches_tracked",),
    )
    (tmp_path / "map.yaml").write_text("leave_out: []\n")
    assert read_map(tmp_path / "map.yaml") == Assignment()


MAPS = {
    "a list": ("- a\n", ["1:1: a mapping is needed"]),
    "an unknown key": (
        "weigths: {}\n",
        ["1:1: weigths: unknown key 'weigths', there are weights and leave_out"],
    ),
    "weights that are a list": ("weights: [a]\n", ["1:10: weights: a mapping is needed"]),
    "a number for a name": ("weights: {a: 3}\n", ["weights.a: the name of a tensor or a mapping is needed"]),
    "no tensor": ("weights: {a: {transpose: true}}\n", ["weights.a: `from: name` of the tensor is needed"]),
    "a tensor that is a number": (
        "weights: {a: {from: 3}}\n",
        ["weights.a: `from: name` of the tensor is needed"],
    ),
    "a word for an order": (
        "weights: {a: {from: b, transpose: maybe}}\n",
        ["weights.a.transpose: true, or a list"],
    ),
    "axes twice": ("weights: {a: {from: b, transpose: [0, 0]}}\n", ["weights.a.transpose: true, or a list"]),
    "axes that are true": (
        "weights: {a: {from: b, transpose: [false, true]}}\n",
        ["weights.a.transpose: true, or"],
    ),
    "a number that is subtracted": (
        "weights: {a: {from: b, minus: 2}}\n",
        ["1:31: weights.a.minus: the name of a tensor is needed"],
    ),
    "another key": ("weights: {a: {from: b, scale: 2}}\n", ["weights.a.scale: unknown key 'scale'"]),
    "leave_out that is text": ("leave_out: a\n", ["1:12: leave_out: a list of names or patterns is needed"]),
    "a key twice": ("weights: {a: b, a: c}\n", ["the key 'a' is given twice"]),
    "a tag": ("weights: !!python/object:os.system {a: b}\n", ["is not allowed"]),
    "two faults": ("weights: {a: 3}\nleave_out: b\n", ["weights.a: the name", "leave_out: a list"]),
}


@pytest.mark.parametrize(("content", "says"), MAPS.values(), ids=MAPS)
def test_a_wrong_map_file_is_refused_with_its_line(tmp_path, content, says):
    (tmp_path / "map.yaml").write_text(content)
    with pytest.raises(SpecError) as caught:
        read_map(tmp_path / "map.yaml")
    lines = str(caught.value).splitlines()
    assert len(lines) == len(says), lines
    for line, word in zip(lines, says, strict=True):
        assert line.startswith(f"{tmp_path / 'map.yaml'}:") and word in line


def test_a_map_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SpecError, match="cannot be read: No such file"):
        read_map(tmp_path / "none.yaml")
