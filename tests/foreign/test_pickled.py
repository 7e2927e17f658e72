"""Pickles that would run code, exhaust the machine or confuse a reader; each must be refused and do nothing."""

import os
import pickle
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foreign.making import END, name, number, read_pickled, tensor, text
from trainwright.base.errors import DataError
from trainwright.foreign.formats import FORMATS
from trainwright.foreign.pickled import Known, follow

ORDERED = name("collections", "OrderedDict")


class Reduced:
    """Pickled as a call."""

    def __init__(self, *parts):
        self.parts = parts

    def __reduce__(self):
        return self.parts


def call(function, *arguments, protocol=2):
    return pickle.dumps({"w": Reduced(function, arguments)}, protocol=protocol)


def nested_tuples(depth):
    return b")" + b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(depth))


CODE = {
    "os.system": (call(os.system, "touch ran"), "posix.system"),
    "os.system, protocol 0": (call(os.system, "touch ran", protocol=0), "posix.system"),
    "os.system, protocol 4": (call(os.system, "touch ran", protocol=4), "posix.system"),
    "eval": (call(eval, "open('ran', 'w')"), "eval"),
    "exec": (call(exec, "open('ran', 'w')"), "exec"),
    "open": (call(open, "ran", "w"), "open"),
    "getattr": (b"cbuiltins\ngetattr\n.", "builtins.getattr"),
    "__import__": (call(__import__, "os"), "__import__"),
    "subprocess": (b"csubprocess\nPopen\n(]" + text("id") + b"atR.", "subprocess.Popen"),
    "socket": (b"csocket\nsocket\n)R.", "socket.socket"),
    "torch.load": (b"ctorch\nload\n" + text("x") + b"\x85R.", "torch.load"),
    "torch by another way": (
        b"ctorch.storage\n_load_from_bytes\n" + text("x") + b"\x85R.",
        "_load_from_bytes",
    ),
    "a dotted name": (
        b"\x80\x04" + text("collections") + text("OrderedDict.__init__") + b"\x93.",
        "__init__",
    ),
    "a name with a space": (b"ccollections OrderedDict\nx\n.", r"collections\.OrderedDict x"),
    "a module made of parts": (text("collections.abc") + text("OrderedDict") + b"\x93.", "collections.abc"),
    "a name that is a number": (number(1) + number(2) + b"\x93.", "what is not text"),
    "a call of a value": (number(1) + b")R.", "not one of the names"),
    "a call of a storage type": (name("torch", "FloatStorage") + b")R.", "not one of the names"),
    "a call of a call": (ORDERED + b")R)R.", "not one of the names"),
    "a call with a list": (ORDERED + b"]R.", "no tuple"),
    "nested calls": (
        ORDERED
        + b"(]"
        + b"("
        + text("a")
        + b"cposix\nsystem\n"
        + text("touch ran")
        + b"\x85R"
        + b"ta"
        + b"tR.",
        "posix.system",
    ),
    "INST": (b"(S'touch ran'\nios\nsystem\n.", "opcode INST"),
    "INST of what is known": (b"(icollections\nOrderedDict\n.", "opcode INST"),
    "OBJ": (b"(" + ORDERED + b"o.", "opcode OBJ"),
    "NEWOBJ": (ORDERED + b")\x81.", "opcode NEWOBJ"),
    "NEWOBJ_EX": (ORDERED + b")}\x92.", "opcode NEWOBJ_EX"),
    "EXT1": (b"\x82\x01.", "opcode EXT1"),
    "EXT2": (b"\x83\x01\x00.", "opcode EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00.", "opcode EXT4"),
    "PERSID": (b"P0\n.", "opcode PERSID"),
    "NEXT_BUFFER": (b"\x97.", "opcode NEXT_BUFFER"),
    "BYTEARRAY8": (b"\x96" + (3).to_bytes(8, "little") + b"abc.", "opcode BYTEARRAY8"),
    "BUILD of a dict": (b"}}b.", "takes none"),
    "BUILD of a name": (ORDERED + b"}b.", "takes none"),
    "BUILD of a list": (b"]}b.", "takes none"),
    "BUILD of an OrderedDict with slots": (ORDERED + b")R(}}tb.", "takes none"),
    "BUILD of a tensor": (tensor() + b"}b.", "takes none"),
    "a NumPy type of objects": (b"cnumpy\ndtype\n(" + text("O8") + b"\x89\x88tR.", "no boolean"),
    "a NumPy type of code": (b"cnumpy\ndtype\n(}tR.", "no boolean|unhashable"),
    "bytes in another encoding": (b"c_codecs\nencode\n(" + text("a") + text("zip") + b"tR.", "latin1"),
}

BROKEN = {
    "nothing": b"",
    "no end": b"}",
    "two values": b"}}.",
    "no value": b".",
    "an open mark": b"(}.",
    "a mark that never was": b"}u.",
    "a pop of nothing": b"0}.",
    "a tuple of nothing": b"\x86.",
    "a memo that never was": b"h\x05.",
    "a large memo that never was": b"j\xff\xff\xff\xff.",
    "items of a list": b"]" + number(1) + number(2) + b"s.",
    "items of a list that has them": b"]Na" + number(0) + number(1) + b"s.",
    "items of bytes": b"C\x01a" + number(0) + number(1) + b"s.",
    "items of an odd number": b"}(" + number(1) + b"u.",
    "an append to a dict": b"}" + number(1) + b"a.",
    "a key that is a list": b"}]Ns.",
    "a key that is a tuple": b"})Ns.",
    "a key that is a float": b"}G" + bytes(8) + b"Ns.",
    "a key that is true": b"}\x88Ns.",
    "an opcode that is none": b"\xff.",
    "text cut off": b"X\xff\x00\x00\x00abc.",
    "text of 4 GB": b"X\xff\xff\xff\xffabc.",
    "text of 8 EB": b"\x8d" + b"\xff" * 8 + b".",
    "bytes of 8 EB": b"\x8e" + b"\xff" * 7 + b"\x7f.",
    "a whole number cut off": b"\x8b\xff\xff\xff\x7f1.",
    "a whole number of many digits": b"I" + b"9" * 100_000 + b"\n.",
    "text that is not UTF-8": b"X\x01\x00\x00\x00\xff.",
    "bytes after the end": b"}.}.",
    "a protocol of tomorrow and nothing": b"\x80\xff",
}

BOMBS = {
    "tuples of two tuples": (nested_tuples(60) + END, "nested deeper|more than 200,000 parts"),
    "tuples of two tuples, 20 deep": (nested_tuples(20) + END, "200,000 parts"),
    "a list of a list of": (b"]" * 5000 + b"a" * 4999 + END, "nested deeper"),
    "a tuple of a tuple of": (b")" + b"\x85" * 100_000 + END, "nested deeper"),
    "a dict of a dict of": (b"}" + (text("a") + b"}") * 3000 + b"s" * 3000 + END, "nested deeper"),
    "a list that holds itself": (b"]q\x00h\x00a.", "nested deeper"),
    "a dict that holds itself": (b"}q\x00" + text("a") + b"h\x00s.", "nested deeper"),
    "one text a thousand times": (
        b"](" + text("x" * 10_000) + b"q\x00" + b"h\x00" * 1000 + b"e.",
        "names and values have more than",
    ),
    "one list of texts many times": (
        b"](](" + text("x" * 1000) + b"2" * 50 + b"eq\x00" + b"h\x00" * 1000 + b"e.",
        "names and values have more than",
    ),
    "a list of numbers many times": (
        b"](](" + number(1) + b"2" * 5000 + b"eq\x00" + b"h\x00" * 100 + b"e.",
        "200,000",
    ),
    "a tensor many times": (
        b"](" + tensor(size=(1000, 1000), stride=(0, 0)) + b"2" * 1000 + b"e.",
        "all tensors together",
    ),
    "an empty tensor many times": (
        b"](" + tensor(size=(0,)) + b"2" * 150_000 + b"e.",
        "more than 100,000 tensors",
    ),
    "values without end": (
        b"](" + (b"]" + b"q\x00" + b"(NNe") + b"2" * 150_000 + b"e.",
        "100,000 plain|200,000",
    ),
}

NAMES = {
    "a name twice": b"}" + text("a/b") + b"Ns" + text("a") + b"}" + text("b") + b"Ns" + b"s.",
    "a number and its text": b"}(" + number(1) + b"N" + text("1") + b"Nu.",
    "a control character": b"}" + text("a\nb") + b"Ns.",
    "a terminal's escape": b"}" + text("\x1b[2J") + b"Ns.",
    "a turned direction": b"}" + text("a\u202eb") + b"Ns.",
    "an unseen space": b"}" + text("a\u200bb") + b"Ns.",
    "half a character": b"}" + b"X\x03\x00\x00\x00\xed\xa0\x80" + b"Ns.",
    "a long name": b"}" + text("a" * 501) + b"Ns.",
    "no name": b"}" + text("") + b"Ns.",
}


@pytest.fixture(autouse=True, scope="module")
def heard():
    """Hears of every file that is opened for writing, process, socket and call of code while a pickle is read."""
    for one in FORMATS.values():
        one.load()  # as in the jail: codecs that are looked up later
    events = []
    watching = [False]

    def hook(event, arguments):
        if watching[0] and (
            event.partition(".")[0]
            in ("os", "subprocess", "socket", "exec", "import", "pickle", "open", "ctypes")
        ):
            events.append((event, arguments))

    sys.addaudithook(hook)
    yield events, watching
    watching[0] = False


def refuse(heard, pickled, says):
    events, watching = heard
    events.clear()
    watching[0] = True
    try:
        with pytest.raises(DataError) as caught:
            read_pickled(pickled)
    finally:
        watching[0] = False
    assert not events
    assert not os.listdir()
    import re

    assert re.search(says, str(caught.value)), str(caught.value)
    assert len(str(caught.value)) < 600


def test_the_watch_hears_a_pickle_that_runs(heard):
    events, watching = heard
    watching[0] = True
    pickle.loads(call(open, "ran", "w"))["w"].close()
    watching[0] = False
    assert {"pickle.find_class", "open"} <= {event for event, _ in events}


@pytest.mark.parametrize(("pickled", "says"), CODE.values(), ids=CODE)
def test_what_would_make_an_object_is_refused_by_its_name(heard, pickled, says):
    refuse(heard, pickled, says)


@pytest.mark.parametrize("pickled", BROKEN.values(), ids=BROKEN)
def test_a_broken_pickle_is_refused(heard, pickled):
    refuse(heard, pickled, "pickle|a key is")


@pytest.mark.parametrize(("pickled", "says"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_is_refused(heard, pickled, says):
    refuse(heard, pickled, says)


@pytest.mark.parametrize("pickled", NAMES.values(), ids=NAMES)
def test_a_name_that_misleads_is_refused(heard, pickled):
    refuse(heard, pickled, "the name|broken")


def test_a_pickle_of_too_many_opcodes_is_refused(monkeypatch):
    monkeypatch.setattr("trainwright.foreign.pickled.MAX_STEPS", 100)
    with pytest.raises(DataError, match="more than 100 opcodes"):
        read_pickled(b"N0" * 60 + b"}.")


def test_a_long_name_is_cut_in_the_message():
    with pytest.raises(DataError) as caught:
        read_pickled(b"c" + b"m" * 10_000 + b"\nx\n.")
    assert len(str(caught.value)) < 400


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats()
    | st.text(max_size=5)
    | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=4), inner, max_size=4)
        | st.tuples(inner, inner)
    ),
    max_leaves=20,
)
BYTES = {  # how the first protocols spell bytes
    "_codecs.encode": lambda text, encoding: text.encode(encoding),
    "__builtin__.bytes": bytes,
}
PLAIN = Known(BYTES, frozenset(), lambda told: None, lambda target, state: None)


@settings(max_examples=150, deadline=None)
@given(plain, st.integers(0, 5))
def test_plain_values_are_read_as_pickle_reads_them(value, protocol):
    pickled = pickle.dumps(value, protocol=protocol)
    found = follow(pickled, PLAIN)
    assert repr(found) == repr(pickle.loads(pickled))


SPELLED = [  # opcodes that no pickler of today writes, and each way to keep and to take
    b"}N0.", b"}(0.", b"}(NN1.", b"N2\x86.", b"(NNl.", b"(Nt.", b"(S'a'\nNd.", b"(lI5\na.", b"]I01\na.", b"]I00\na.",
    b"L7L\n.", b"\x8a\x01\xff.", b"\x8b\x02\0\0\0\0\x01.", b"\x8a\x00.", b"F1.5\n.",
    b"K\x07.", b"M\x00\x01.", b"J\xff\xff\xff\xff.",
    b"Va\\u00e4\n.", b"\x8c\x01a.", b"\x8d\x01" + bytes(7) + b"a.", b"C\x02ab.", b"B\x01\0\0\0a.",
    b"\x8e\x01" + bytes(7) + b"a.", b"]p5\ng5\na0].", b"]q\x0bh\x0b\x86.", b"]r\x01\x02\0\0j\x01\x02\0\0\x86.",
    b"]\x94N\x94h\x01\x87.", b"N\x85.", b"N\x88\x89\x87.", b"}(I1\nNI2\nNu.", b"}I1\nNs.",
    b"](NNe.", b"(](NtN\x86t.",
]  # fmt: skip


@pytest.mark.parametrize("pickled", SPELLED, ids=ascii)
def test_each_opcode_does_what_it_does_in_pickle(pickled):
    assert repr(follow(pickled, PLAIN)) == repr(pickle.loads(pickled))


@pytest.mark.parametrize(
    ("pickled", "items"), [(b"(NK\x01\x91.", [None, 1]), (b"\x8f(NK\x01\x90.", [None, 1])]
)
def test_sets_are_read_as_lists(pickled, items):
    assert follow(pickled, PLAIN) == items and set(items) == pickle.loads(pickled)


@pytest.mark.filterwarnings("ignore:invalid escape sequence:DeprecationWarning")  # of what stands for text
@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40), st.integers(0, 400), st.binary(max_size=4))
def test_any_bytes_are_read_or_refused(content, place, other):
    whole = b"}" + text("w") + tensor() + b"s" + content + END
    for pickled in (content, whole, whole[:place] + other + whole[place + len(other) :]):
        try:
            found = read_pickled(pickled)
        except DataError:
            continue
        assert all(isinstance(one, np.ndarray) for one in found.tensors.values())


def test_a_pickle_is_never_handed_to_the_pickle_module(monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("unpickled")

    for word in ("loads", "load", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, word, never)
    assert read_pickled(b"}" + text("w") + tensor() + b"s.").tensors["w"].tolist() == [0, 1, 2, 3]
