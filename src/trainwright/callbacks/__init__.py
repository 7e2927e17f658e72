"""Callbacks that come with the package. Each listens to the run; none changes the model."""

CATALOG = {
    "Checkpoint": "trainwright.callbacks.checkpoint:Checkpoint",
    "EarlyStopping": "trainwright.callbacks.stopping:EarlyStopping",
    "Progress": "trainwright.callbacks.progress:Progress",
}
