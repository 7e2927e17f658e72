"""Training tools, each behind the contract of `train/learner.py`."""

CATALOG = {
    "equinox": "trainwright.backends.equinox.backend:EquinoxBackend",
    "lightning": "trainwright.backends.lightning.backend:LightningBackend",
    "torch": "trainwright.backends.torch.backend:TorchBackend",
}
