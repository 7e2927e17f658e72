from trainwright.store.blobs import Blobs


def test_looking_at_leftovers_leaves_them_where_they_are(tmp_path):
    blobs = Blobs(tmp_path / "objects")
    blobs.put([b"abc"])
    dead = tmp_path / "objects/tmp/dead"
    dead.write_bytes(b"half")

    assert blobs.leftovers() == [dead]
    assert dead.exists()
    assert blobs.leftovers(remove=True) == [dead]
    assert not dead.exists()
