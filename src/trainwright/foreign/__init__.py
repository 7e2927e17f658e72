"""Checkpoints of other frameworks: tensors and plain values, read in a jailed process."""
