"""Equinox and Optax, an epoch as one compiled program."""
