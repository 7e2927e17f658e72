"""Makes the content of an item of the corpus: small ones are written out in it, big ones come from a recipe."""

import gzip
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path

import numpy as np

CORPUS = Path(__file__).parent / "corpus"
METHODS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bzip2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}
MIB = 2**20
SMALL = 2**16  # bytes
BIG = ("zip_of", "zip_many", "zip_overlapping", "repeat", "numbered", "tensors", "csv_columns", "csv_records")
BIG_TRICKS = ("constant", "dictionary", "hidden_dictionary", "columns", "pandas_note")
PAGES_OF_TEXT = ("text-sql", "text-html")


def classes():
    """Gives each class of items by its name, with its defaults filled in."""
    found = {}
    for path in sorted(CORPUS.glob("*.json")):
        page = json.loads(path.read_text(encoding="utf-8"))
        items = [{**page["default"], **item, "class": path.stem} for item in page["items"]]
        assert len({one["id"] for one in items}) == len(items), path
        found[path.stem] = {"items": items, "everywhere": page.get("everywhere", [])}
    return found


def write(item, path):
    """Writes the content of an item to a file, piece by piece."""
    with path.open("wb") as file:
        for piece in pieces(item):
            file.write(piece)


def content(item):
    return b"".join(pieces(item))


def is_small(item):
    """Says whether an item is made without taking memory."""
    recipe = item.get("recipe", {})
    if recipe.get("make") == "repeat":
        return len(recipe["of"]) * recipe["times"] <= SMALL
    return recipe.get("make") not in BIG and recipe.get("trick") not in BIG_TRICKS


def pieces(item):
    if "text" in item:
        yield item["text"].encode("utf-8", "surrogatepass")
    elif "hex" in item:
        yield bytes.fromhex(item["hex"])
    elif "encoded" in item:
        yield item["encoded"][0].encode(item["encoded"][1])
    else:
        recipe = dict(item["recipe"])
        made = globals()[f"make_{recipe.pop('make')}"](**recipe)
        if isinstance(made, bytes):
            yield made
        else:
            yield from made


def make_repeat(of, times, before="", after=""):
    yield before.encode()
    unit = of.encode()
    whole, per = divmod(times, max(1, MIB // len(unit)))
    for _ in range(whole):
        yield unit * max(1, MIB // len(unit))
    yield unit * per
    yield after.encode()


def make_numbered(of, times, before="", after="", between=","):
    yield before.encode()
    yield between.join(of.replace("#", str(number)) for number in range(times)).encode()
    yield after.encode()


def make_safetensors(header, body=0, claim=None):
    text = header.encode() if isinstance(header, str) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if claim is None else claim) + text + bytes(body)


def make_tensors(count, entry='"#":{"dtype":"U8","shape":[1],"data_offsets":[%d,%d]}', fill=True):
    text = b",".join(
        (entry.replace("#", str(n)) % (n, n + 1) if "%d" in entry else entry.replace("#", str(n))).encode()
        for n in range(count)
    )
    header = b"{" + text + b"}"
    return struct.pack("<Q", len(header)) + header + bytes(count if fill else 0)


def make_npy(descr="'<f4'", shape="(3,)", order="False", body=12, version=1, header=None, claim=None):
    text = header or f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n"
    line = text.encode("latin1")
    size = struct.pack("<H" if version == 1 else "<I", len(line) if claim is None else claim)
    inner = bytes.fromhex(body) if isinstance(body, str) else bytes(body)
    return b"\x93NUMPY" + bytes([version, 0]) + size + line + inner


def make_zip(members, method="stored", comment="", patch=()):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", METHODS[method]) as archive:
        for one in members:
            info = zipfile.ZipInfo(one["name"])
            info.compress_type = METHODS[method]
            info.external_attr = one.get("attributes", 0o100644) << 16
            inner = make_npy(**one["npy"]) if "npy" in one else one.get("text", "").encode()
            archive.writestr(info, inner)
        archive.comment = comment.encode()
    found = made.getvalue()
    for old, new in patch:
        assert bytes.fromhex(old) in found
        found = found.replace(bytes.fromhex(old), bytes.fromhex(new))
    return found


def make_zip_of(member, size, method="deflated", header="array", name="x.npy"):
    """One member that unpacks to zeros."""
    made = io.BytesIO()
    large = size >= zipfile.ZIP64_LIMIT
    with (
        zipfile.ZipFile(made, "w", METHODS[method]) as archive,
        archive.open(name, "w", force_zip64=large) as file,
    ):
        if header == "array":
            fields = {"descr": "<f8", "fortran_order": False, "shape": (size // 8,)}
            np.lib.format.write_array_header_1_0(file, fields)
        else:
            file.write(b"\x93NUMPY\x02\x00" + struct.pack("<I", size))
        for _ in range(size // MIB):
            file.write(bytes(MIB))
    assert member == "zeros"
    return made.getvalue()


def make_zip_many(count):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for number in range(count):
            archive.writestr(zipfile.ZipInfo(f"a{number}.npy"), b"")
    return made.getvalue()


def make_zip_nested(depth):
    inner = make_npy()
    for _ in range(depth):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("x.npy"), inner)
        inner = made.getvalue()
    return inner


def make_zip_overlapping(count):
    """Many entries of the list of contents that name one and the same place."""
    inner = make_npy(shape="(262144,)", body=MIB)
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("x.npy"), inner)
    whole = made.getvalue()
    begin = whole.rindex(b"PK\x01\x02")
    end = whole.rindex(b"PK\x05\x06")
    entry = whole[begin:end]
    names = [b"%05d" % n for n in range(count)]
    listed = b"".join(entry.replace(b"x.npy", name) for name in names)
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(listed), begin, 0)
    return whole[:begin] + listed + tail


def make_tar(members, packed=False):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for one in members:
            info = tarfile.TarInfo(one["name"])
            info.type = getattr(tarfile, one.get("type", "REGTYPE"))
            info.linkname = one.get("to", "")
            inner = bytes(one.get("size", 0))
            info.size = len(inner)
            archive.addfile(info, io.BytesIO(inner))
    return gzip.compress(made.getvalue(), mtime=0) if packed else made.getvalue()


def make_csv_columns(count, rows=3, quoted=False):
    yield ",".join(f'"c{n}"' if quoted else f"c{n}" for n in range(count)).encode() + b"\n"
    for row in range(rows):
        yield ",".join(str((row + n) % 7) for n in range(count)).encode() + b"\n"


def make_csv_records(cell, more, other="b,2", before="a,y\n"):
    yield f"{before}{cell['of'] * cell['times']}{cell.get('after', '')},1\n".encode()
    yield f"{other}\n".encode() * more


def make_parquet(trick, **options):
    from hostile import parquets

    return getattr(parquets, trick)(**options)
