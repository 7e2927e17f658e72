"""Callbacks that come with the package. Each listens to the run; none changes the model."""

CATALOG = {
    "Checkpoint": "trainwright.callbacks.checkpoint:Checkpoint",
    "EarlyStopping": "trainwright.callbacks.stopping:EarlyStopping",
    "JSONLines": "trainwright.callbacks.lines:JSONLines",
    "Progress": "trainwright.callbacks.progress:Progress",
    "StopOnNaN": "trainwright.callbacks.stopping:StopOnNaN",
    "StopOnThreshold": "trainwright.callbacks.stopping:StopOnThreshold",
    "TimeLimit": "trainwright.callbacks.stopping:TimeLimit",
}
