"""Training tools, each behind the contract of `train/learner.py`."""

CATALOG = {
    "equinox": "trainwright.backends.equinox.backend:EquinoxBackend",
    "keras": "trainwright.backends.keras.backend:KerasModules",
    "keras-jax": "trainwright.backends.keras.backend:KerasOnJax",
    "keras-tensorflow": "trainwright.backends.keras.backend:KerasOnTensorflow",
    "keras-torch": "trainwright.backends.keras.backend:KerasOnTorch",
    "lightning": "trainwright.backends.lightning.backend:LightningBackend",
    "torch": "trainwright.backends.torch.backend:TorchBackend",
}
