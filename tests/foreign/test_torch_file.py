import collections
import io
import zipfile

import numpy as np
import pytest

from foreign.making import name, number, numbers, read, read_pickled, storage, tensor, text, torch_bytes
from trainwright.base.errors import DataError
from trainwright.foreign.collector import Collector
from trainwright.foreign.torch_file import read_torch

torch = pytest.importorskip("torch")


def saved(value, **options):
    content = io.BytesIO()
    torch.save(value, content, **options)
    return content.getvalue()


def as_numpy(one):
    return one.detach().float().numpy() if one.dtype == torch.bfloat16 else one.detach().numpy()


TYPES = [
    torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16,
    torch.float32, torch.float64, torch.uint16, torch.uint32, torch.uint64,
]  # fmt: skip


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_a_tensor_of_each_type_is_read_as_torch_has_it(kind):
    one = torch.tensor([[0.0, 1.0, 2.0], [100.0, 5.0, 7.0]]).to(kind)
    found = read(read_torch, saved({"w": one})).tensors["w"]
    assert np.array_equal(found, as_numpy(one)) and found.shape == (2, 3)
    assert found.dtype == as_numpy(one).dtype


def test_bfloat16_keeps_every_value():
    one = torch.tensor([-0.0, 1e-40, 3.4e38, float("inf"), -2.5, float("nan")]).to(torch.bfloat16)
    found = read(read_torch, saved([one])).tensors["0"]
    assert found.tobytes() == one.float().numpy().tobytes()


BASE = torch.arange(24.0).reshape(2, 3, 4)
VIEWS = {
    "transposed": BASE.permute(2, 0, 1),
    "a slice": BASE[:, 1:, ::2],
    "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
    "the last number": BASE[1, 2, 3],
    "channels last": torch.arange(16.0).reshape(1, 2, 2, 4).contiguous(memory_format=torch.channels_last),
    "empty": torch.zeros(0, 3),
    "empty inside": torch.zeros(2, 0),
    "an empty slice at the end": torch.arange(3.0)[3:],
    "one number": torch.tensor(3.0),
    "a parameter": torch.nn.Parameter(torch.ones(2)),
}


@pytest.mark.parametrize("one", VIEWS.values(), ids=VIEWS)
def test_a_view_is_read_as_its_numbers(one):
    found = read(read_torch, saved({"w": one})).tensors["w"]
    assert np.array_equal(found, as_numpy(one)) and found.shape == tuple(one.shape)
    assert found.flags.c_contiguous


def test_tensors_that_share_a_storage_are_read_each():
    flat = torch.arange(10.0)
    found = read(read_torch, saved({"a": flat[:4], "b": flat[4:], "c": flat, "tied": flat})).tensors
    assert found["a"].tolist() == [0, 1, 2, 3] and found["b"].tolist() == [4, 5, 6, 7, 8, 9]
    assert np.array_equal(found["c"], found["tied"])


def test_a_state_dict_is_read_in_its_order():
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    found = read(read_torch, saved(module.state_dict())).tensors
    assert list(found) == list(module.state_dict())
    assert all(np.array_equal(found[key], as_numpy(one)) for key, one in module.state_dict().items())


def test_plain_values_beside_the_tensors_are_read():
    value = {
        "epoch": 3,
        "note": "ärgerlich",
        "lr": 1e-3,
        "big": 2**63,
        "nothing": None,
        "yes": True,
        "dims": [64, 32],
        "shape": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "scalar": np.float32(0.5),
        "count": np.int64(-3),
        "content": b"abc",
        "no content": b"",
        "words": {"a"},
        "steps": {0: "x", 1: {"deep": [1, {"deeper": 2}]}},
        "ordered": collections.OrderedDict(a=1),
        "empty": [],
    }
    assert read(read_torch, saved(value)).values == {
        "epoch": 3,
        "note": "ärgerlich",
        "lr": 1e-3,
        "big": 2**63,
        "nothing": None,
        "yes": True,
        "dims": [64, 32],
        "shape": [1, 2],
        "device": "cpu",
        "scalar": 0.5,
        "count": -3,
        "content": "(3 bytes)",
        "no content": "(0 bytes)",
        "words": ["a"],
        "steps/0": "x",
        "steps/1/deep/0": 1,
        "steps/1/deep/1/deeper": 2,
        "ordered/a": 1,
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_gives_the_same(protocol):
    value = {"w": torch.arange(3.0), "words": {"a"}, "scalar": np.float64(2.0), "content": b"\xff\n"}
    found = read(read_torch, saved(value, pickle_protocol=protocol))
    assert found.tensors["w"].tolist() == [0, 1, 2]
    assert found.values == {"words": ["a"], "scalar": 2.0, "content": "(2 bytes)"}


def test_the_other_byte_order_is_read():
    held = {"0": np.arange(4, dtype=">f4").tobytes()}
    found = read_pickled(b"}" + text("w") + tensor() + b"s.", held, order=b"big").tensors["w"]
    assert found.tolist() == [0, 1, 2, 3] and found.dtype == np.float32


def test_an_optimizer_and_a_scheduler_are_plain_values_and_tensors():
    module = torch.nn.Linear(2, 1)
    optimizer = torch.optim.Adam(module.parameters())
    module(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    found = read(read_torch, saved({"state_dict": module.state_dict(), "optimizer": optimizer.state_dict()}))
    assert found.tensors["optimizer/state/0/exp_avg"].shape == (1, 2)
    assert found.values["optimizer/param_groups/0/lr"] == 1e-3


REFUSED_VALUES = {
    "a module": (torch.nn.Linear(1, 1), "'torch.nn.modules.linear.Linear'"),
    "a function": ({"f": len}, "__builtin__.len"),
    "an array of NumPy": ({"a": np.zeros(2)}, "_reconstruct"),
    "a complex tensor": (torch.zeros(1, dtype=torch.complex64), "ComplexFloatStorage"),
    "a sparse tensor": (torch.eye(2).to_sparse(), "_rebuild_sparse_tensor"),
    "a type of eight bits": (torch.zeros(1, dtype=torch.float8_e5m2), "float8_e5m2"),
    "a date": ({"d": __import__("datetime").date(2020, 1, 1)}, "datetime.date"),
    "a path": ({"p": __import__("pathlib").Path("a")}, "pathlib"),
    "a namespace": ({"hyper_parameters": __import__("argparse").Namespace(a=1)}, "argparse.Namespace"),
    "a whole number of many bits": ({"n": 2**70}, "71 bits"),
    "a complex number": ({"n": 1j}, "complex"),
}


@pytest.mark.parametrize(("value", "says"), REFUSED_VALUES.values(), ids=REFUSED_VALUES)
def test_what_is_no_tensor_and_no_plain_value_is_refused_by_its_name(value, says):
    with pytest.raises(DataError, match=says):
        read(read_torch, saved(value))


def test_the_old_format_is_refused_with_a_cure():
    content = saved({"w": torch.zeros(1)}, _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match=r"before version 1\.6; load it with torch and save it again"):
        read(read_torch, content)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_program_is_refused():
    content = io.BytesIO()
    torch.jit.save(torch.jit.trace(torch.nn.Linear(1, 1), torch.zeros(1, 1)), content)
    with pytest.raises(DataError, match="TorchScript program"):
        read(read_torch, content.getvalue())


W = b"}" + text("w")
BAD_TENSORS = {
    "no such storage": (tensor(storage(key="1")), "no storage '1'"),
    "a path for a key": (tensor(storage(key="../version")), "no storage"),
    "more numbers than there are": (tensor(storage(count=5)), "should hold 5 numbers of 4 bytes, it has 16"),
    "fewer numbers than there are": (tensor(storage(count=3)), "should hold 3"),
    "numbers without end": (tensor(storage(count=2**47)), "should hold"),
    "another type": (tensor(storage(kind="DoubleStorage")), "of 8 bytes"),
    "a negative count": (tensor(storage(count=-4)), "not that of a storage"),
    "no storage type": (tensor(storage(kind="float32")), "unknown type"),
    "another persistent id": (tensor(storage(word="module")), "not that of a storage"),
    "a persistent id that is text": (
        b"Xx\0\0\0".replace(b"x\0\0\0", b"\1\0\0\0a") + b"Q",
        "not that of a storage",
    ),
    "a shape beyond the storage": (tensor(size=(5,)), "beyond its storage of 4"),
    "an offset beyond the storage": (tensor(offset=1), "beyond its storage"),
    "an offset far beyond": (tensor(offset=2**40), "beyond its storage"),
    "an empty tensor far beyond": (tensor(offset=5, size=(0,)), "beyond its storage"),
    "strides beyond the storage": (tensor(size=(2, 2), stride=(4, 1)), "beyond its storage"),
    "a negative stride": (tensor(stride=(-1,)), "not whole numbers"),
    "a negative shape": (tensor(size=(-1,)), "not whole numbers"),
    "a negative offset": (tensor(offset=-1), "not whole numbers"),
    "a shape without end": (tensor(size=(2**62, 2**62), stride=(0, 0)), "not whole numbers"),
    "two shapes": (tensor(size=(2, 2), stride=(1,)), "not whole numbers"),
    "many dimensions": (tensor(size=(1,) * 40, stride=(0,) * 40), "not whole numbers"),
    "a petabyte of one number": (tensor(size=(2**48,), stride=(0,)), "all tensors together"),
    "a storage of two types": (
        b"]" + tensor() + b"a" + tensor(storage(kind="IntStorage")) + b"a",
        "numbers of two types",
    ),
    "a tensor of a tensor": (tensor(tensor()), "not made of a storage"),
    "no arguments": (name("torch._utils", "_rebuild_tensor_v2") + b")R", "broken: TypeError"),
    "a parameter of text": (
        name("torch._utils", "_rebuild_parameter") + b"(" + text("a") + b"\x88" + b")" + b"tR",
        "not made of a tensor",
    ),
    "a later tensor of another type": (
        name("torch._utils", "_rebuild_tensor_v3")
        + b"("
        + storage()
        + number(0)
        + numbers(1)
        + numbers(1)
        + b"\x89)"
        + name("torch", "uint16")
        + b"tR",
        "not made of a storage",
    ),
}


def later(kind, held):
    return (
        name("torch._utils", "_rebuild_tensor_v3")
        + b"("
        + held
        + number(0)
        + numbers(1)
        + numbers(1)
        + b"\x89)"
        + kind
    ) + b"tR"


UNTYPED = (
    b"("
    + text("storage")
    + name("torch.storage", "UntypedStorage")
    + text("0")
    + text("cpu")
    + number(16)
    + b"tQ"
)
TYPE = name("numpy", "dtype") + b"(" + text("f4") + b"\x89\x88tR"
SCALAR = name("numpy._core.multiarray", "scalar") + b"(" + TYPE
BAD_TENSORS |= {
    "a later tensor of a type with a storage": (
        later(name("torch", "float32"), UNTYPED),
        "unknown type 'torch.float32'",
    ),
    "a later tensor of a word": (later(text("torch.uint16"), UNTYPED), "unknown type 'torch.uint16'"),
    "a number of NumPy that is two": (SCALAR + b"C\x08" + bytes(8) + b"tR", "not as long as its type"),
    "a number of NumPy that is none": (SCALAR + b"C\x00" + b"tR", "not as long as its type"),
    "a number of NumPy of text": (SCALAR + text("abcd") + b"tR", "not made of its type and its bytes"),
    "a number of NumPy without a type": (
        name("numpy._core.multiarray", "scalar") + b"(NC\x04abcdtR",
        "not made of its type and its bytes",
    ),
    "an OrderedDict of numbers": (
        name("collections", "OrderedDict") + b"(](K\x01K\x02etR",
        "not made of pairs",
    ),
    "an OrderedDict of threes": (
        name("collections", "OrderedDict") + b"(](](K\x01K\x02K\x03eetR",
        "not made of pairs",
    ),
    "an OrderedDict with a list for a key": (
        name("collections", "OrderedDict") + b"(](](]K\x02eetR",
        "not made of pairs",
    ),
    "a device without a name": (name("torch", "device") + b"(K\x01tR", "not made of its name and number"),
    "a device of a wrong number": (
        name("torch", "device") + b"(" + text("cuda") + text("1") + b"tR",
        "name and number",
    ),
    "a size of text": (name("torch", "Size") + b"(" + text("ab") + b"tR", "not made of a list"),
}


def test_what_old_protocols_spell_is_read():
    ordered = (
        name("collections", "OrderedDict") + b"(](](" + text("a") + b"K\x03e](" + text("b") + b"K\x04eetR"
    )
    assert read_pickled(W + ordered + b"s.").values == {"w/a": 3, "w/b": 4}
    assert read_pickled(W + later(name("torch", "uint16"), UNTYPED) + b"s.").tensors["w"].dtype == np.uint16
    found = read(read_torch, saved({"d": torch.device("cuda:1"), "s": [np.float32(1.5)]})).values
    assert found == {"d": "cuda:1", "s": [1.5]}
    assert read_pickled(W + SCALAR + b"C\x04" + np.float32(2).tobytes() + b"tRs.").values == {"w": 2.0}


@pytest.mark.parametrize(("made", "says"), BAD_TENSORS.values(), ids=BAD_TENSORS)
def test_a_tensor_that_does_not_fit_its_storage_is_refused(made, says):
    with pytest.raises(DataError, match=says):
        read_pickled(W + made + b"s.")


def test_all_tensors_together_are_limited():
    tree = b"](" + b"".join(tensor(size=(1000, 1000), stride=(0, 0)) for _ in range(3)) + b"e."
    content = torch_bytes(tree)
    assert len(read(read_torch, content, limit=12 * 10**6).tensors) == 3
    with pytest.raises(
        DataError, match=r"tensor '2' of shape \(1000, 1000\): all tensors together may have 11,999,999"
    ):
        read(read_torch, content, limit=12 * 10**6 - 1)


ARCHIVES = {
    "not a zip": (b"hello", "it is no torch file"),
    "nothing": (b"", "it is no torch file"),
    "a pickle": (b"\x80\x02}.", "it is no torch file"),
    "no folder": (torch_bytes(b"}.", top="."), "no plain name|no part"),
    "two folders": (torch_bytes(b"}.", more=[("other/version", "3")]), "no one folder"),
    "a member that does not belong": (
        torch_bytes(b"}.", more=[("archive/run.py", "x")]),
        "no part of a torch file",
    ),
    "a member outside": (torch_bytes(b"}.", more=[("../evil", "x")]), "no plain name"),
    "an absolute member": (torch_bytes(b"}.", more=[("/etc/x", "x")]), "no plain name"),
    "a compressed member": (torch_bytes(b"}.", method=zipfile.ZIP_DEFLATED), "is compressed"),
    "a byte order of its own": (torch_bytes(b"}.", order=b"middle"), "byte order"),
    "a long byte order": (torch_bytes(b"}.", order=b"x" * 99), "99 bytes, 16 are allowed"),
    "cut off": (torch_bytes(b"}.")[:-30], "damaged"),
    "code": (torch_bytes(b"}.", more=[("archive/code/__torch__.py", "x")]), "TorchScript program"),
}


@pytest.mark.parametrize(("content", "says"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_that_torch_does_not_write_is_refused(content, says):
    with pytest.raises(DataError, match=says):
        read(read_torch, content)


def test_a_flipped_bit_in_a_storage_is_found():
    content = bytearray(torch_bytes(W + tensor() + b"s."))
    content[content.index(np.arange(4, dtype="<f4").tobytes()) + 5] ^= 1
    with pytest.raises(DataError, match="damaged: Bad CRC"):
        read(read_torch, bytes(content))


def test_every_cut_is_refused():
    whole = torch_bytes(W + tensor() + b"s.")
    assert list(read(read_torch, whole).tensors) == ["w"]
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(DataError):
            read(read_torch, whole[:length])


def test_nothing_is_loaded_of_tensors_that_are_refused_for_their_size():
    found = Collector(100)
    with pytest.raises(DataError, match="all tensors together"):
        read_torch(io.BytesIO(content := saved(torch.zeros(1000))), len(content), found)
    assert not found.tensors
