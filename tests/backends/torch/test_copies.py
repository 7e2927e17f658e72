import gc
import threading

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from trainwright.backends.torch.copies import Copies
from trainwright.base.tensors import dump_tensors


def place(array):
    return array.__array_interface__["data"][0]


def test_a_copy_is_what_the_tensors_are_in_neutral_layout():
    kernel = torch.randn(3, 2, 5, 4).contiguous(memory_format=torch.channels_last)
    tensors = {
        "kernel": kernel,
        "turned": torch.randn(5, 3).T,
        "none": torch.zeros(0, 4),
        "one": torch.tensor(2.0),
        "trained": torch.randn(7, requires_grad=True),
        "counts": torch.arange(3),
        "double": torch.randn(2, dtype=torch.float64),
    }
    found = Copies(tensors).take()
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype and found[name].shape == expected.shape
        assert found[name].flags.c_contiguous and found[name].flags.writeable and found[name].flags.aligned


def test_memory_is_used_again_when_its_arrays_are_gone():
    copies, places = Copies({"a": torch.zeros(10), "b": torch.zeros(3)}), set()
    for _ in range(5):
        found = copies.take()
        places.add(place(found["a"]))
        del found
    assert len(places) == 1 and len(copies._free) == 1 and not copies._lent


@pytest.mark.parametrize(
    "look",
    [
        lambda arrays: arrays,
        lambda arrays: arrays["b"],
        lambda arrays: arrays["b"][3:5],
        lambda arrays: arrays["b"].reshape(-1).view(np.uint8),
        lambda arrays: dump_tensors({"b": arrays["b"]}),  # what is on its way to the store
        lambda arrays: memoryview(arrays["b"])[1:],
        lambda arrays: torch.from_numpy(arrays["b"]),
        lambda arrays: arrays["b"].T[::2],
    ],
)
def test_memory_that_somebody_looks_at_is_never_written(look):
    tensors = {"a": torch.zeros(10), "b": torch.arange(40.0).reshape(8, 5)}
    copies = Copies(tensors)
    held = look(copies.take())
    gc.collect()
    before = repr(held), [bytes(one) for one in held] if isinstance(held, list) else None
    tensors["b"].fill_(-1)
    for _ in range(3):
        assert bool((copies.take()["b"] == -1).all())
    assert before == (repr(held), [bytes(one) for one in held] if isinstance(held, list) else None)


def test_copies_live_longer_than_what_made_them():
    copies = Copies({"a": torch.arange(5.0)})
    array = copies.take()["a"]
    del copies
    gc.collect()
    assert array.tolist() == [0, 1, 2, 3, 4]


def test_threads_share_nothing_that_is_held():
    source = torch.zeros(5_000)
    copies, wrong = Copies({"a": source}), []

    def work(number):
        for _ in range(300):
            array = copies.take()["a"]
            array[:] = number
            wrong.extend([number] * bool((array != number).any()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == [] and not copies._lent and len(copies._free) <= 2 * 4
