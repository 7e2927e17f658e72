"""Losses of a user's own, for tests."""


class Asymmetric:
    """What is predicted too low costs more: `steep` times the error, otherwise the error."""

    def __init__(self, *, steep=2.0):
        self.steep = steep

    def torch(self, outputs, targets):
        error = targets - outputs
        return error.clamp(min=0).mul(self.steep).add((-error).clamp(min=0)).flatten(1).mean(1)

    def equinox(self, outputs, targets):
        import jax.numpy as jnp

        error = targets - outputs
        cost = jnp.maximum(self.steep * error, -error)
        return cost.reshape(cost.shape[0], -1).mean(1)

    def keras(self, outputs, targets):
        from keras import ops

        error = targets - outputs
        cost = ops.maximum(self.steep * error, -error)
        return ops.mean(ops.reshape(cost, (cost.shape[0], -1)), 1)

    def numpy(self, outputs, targets):
        import numpy as np

        error = targets - outputs
        return np.where(error > 0, self.steep * error, -error).reshape(len(error), -1).mean(1)


class Detached:
    """Gives nothing to learn from."""

    def torch(self, outputs, targets):
        found = ((outputs.detach() - targets) ** 2).mean(1)
        return found if outputs.requires_grad else found.numpy()

    def numpy(self, outputs, targets):
        return ((outputs - targets) ** 2).mean(1)


class TorchOnly:
    """A loss for one backend, that cannot be measured elsewhere; classes are told by their largest logit."""

    def torch(self, outputs, targets):
        return -outputs.log_softmax(1).gather(1, targets[:, None])[:, 0]


class Whole:
    """Forgets that each record has a loss of its own."""

    def torch(self, outputs, targets):
        return ((outputs - targets) ** 2).mean()

    equinox = numpy = torch


def bare(outputs, targets):
    """Is no class."""
    return (outputs - targets) ** 2
