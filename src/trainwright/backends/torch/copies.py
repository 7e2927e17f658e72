"""Copies of tensors as arrays in neutral layout."""

import numpy as np
import torch
from torch import Tensor

from trainwright.base.buffers import Buffers
from trainwright.base.tree import Array


def copy_of(tensor: Tensor, buffers: Buffers) -> Array:
    """Gives a copy that is moved once, from wherever the tensor lies and in whatever layout.

    Args:
        tensor: On any device.
        buffers: Whose memory is taken.
    """
    found = buffers.take(tensor.shape, np.dtype(str(tensor.dtype).removeprefix("torch.")))
    torch.from_numpy(found).copy_(tensor.detach())
    return found
