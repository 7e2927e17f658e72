import gc
import threading

import numpy as np
import pytest

from trainwright.base.buffers import Buffers

SHAPE = (128, 300)


def place(array):
    return array.__array_interface__["data"][0]


def test_memory_is_used_again_when_its_array_is_gone():
    buffers = Buffers()
    places = set()
    for _ in range(5):
        array = buffers.take(SHAPE, np.float32)
        array[:] = 1
        places.add(place(array))
        del array
    assert len(places) == 1


@pytest.mark.parametrize(
    "look",
    [
        lambda array: array,
        lambda array: array[3:5],
        lambda array: array.reshape(-1).view(np.uint8),
        lambda array: array.reshape(-1).view(np.uint8).data,  # what is written to the store
        lambda array: memoryview(array)[1:],
        lambda array: array.T[::2],
    ],
)
def test_memory_that_somebody_looks_at_is_never_handed_out(look):
    buffers = Buffers()
    array = buffers.take(SHAPE, np.float32)
    array[:] = 7
    held = look(array)
    before = np.array(held).tobytes()
    del array
    gc.collect()
    for _ in range(3):
        other = buffers.take(SHAPE, np.float32)
        other[:] = 0
    assert np.array(held).tobytes() == before


def test_a_tensor_over_an_array_holds_its_memory():
    torch = pytest.importorskip("torch")
    buffers = Buffers()
    tensor = torch.from_numpy(buffers.take(SHAPE, np.float32)).fill_(7)
    buffers.take(SHAPE, np.float32)[:] = 0
    assert bool((tensor == 7).all())


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.bool_])
@pytest.mark.parametrize("shape", [(), (0,), (3,), (400, 500), (1, 300_000, 1)])
def test_arrays_are_what_was_asked_for(shape, dtype):
    array = Buffers().take(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.flags.writeable
    assert array.flags.c_contiguous and array.flags.aligned


def test_threads_share_nothing_that_is_held():
    buffers, wrong = Buffers(), []

    def work(number):
        for _ in range(200):
            array = buffers.take((20_000,), np.float32)
            array[:] = number
            wrong.extend([number] * bool((array != number).any()))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(buffers._free[80_000]) <= 4
