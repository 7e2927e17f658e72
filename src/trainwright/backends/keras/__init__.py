"""Keras 3 on JAX or on torch: spec-built models trained by `keras.Model.fit`."""
