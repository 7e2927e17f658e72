"""Lightning's Trainer, making the steps of the torch backend."""
