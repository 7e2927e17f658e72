"""Optimizers of a user's own, for tests."""


class Adam:
    """Optax's own Adam; `decay` makes it AdamW."""

    def __init__(self, *, decay=None):
        self.decay = decay

    def optax(self, rate):
        import optax

        if self.decay is None:
            return optax.adam(rate)
        return optax.adamw(rate, weight_decay=self.decay)


class Noisy:
    """Descends with a momentum of integers, a counter and noise: all kinds of state."""

    def optax(self, rate):
        import jax
        import jax.numpy as jnp
        import optax

        def init(weights):
            return {
                "count": jnp.zeros((), jnp.int32),
                "key": jax.random.PRNGKey(3),
                "sum": jax.tree.map(jnp.zeros_like, weights),
            }

        def update(gradients, state, weights=None):
            key, now = jax.random.split(state["key"])
            total = jax.tree.map(lambda old, new: 0.9 * old + new, state["sum"], gradients)
            noise = 1 + 0.1 * jax.random.normal(now)
            moved = jax.tree.map(lambda one: -rate * noise * one / (1 + 0.01 * state["count"]), total)
            return moved, {"count": state["count"] + 1, "key": key, "sum": total}

        return optax.GradientTransformation(init, update)


class Typed:
    """Keeps a key that is no plain array."""

    def optax(self, rate):
        import jax
        import optax

        return optax.GradientTransformation(
            lambda weights: jax.random.key(0), lambda gradients, state, weights=None: (gradients, state)
        )


class Growing:
    """Has another state after each step."""

    def optax(self, rate):
        import jax.numpy as jnp
        import optax

        return optax.GradientTransformation(
            lambda weights: jnp.zeros(1),
            lambda gradients, state, weights=None: (gradients, jnp.concatenate([state, state])),
        )


class Searching:
    """Needs the value of the loss."""

    def optax(self, rate):
        import optax

        return optax.polyak_sgd(max_learning_rate=1.0)


class Nothing:
    """Gives no transformation."""

    def optax(self, rate):
        return rate


class Rateless:
    """Has another method."""

    def step(self, rate):
        return rate
