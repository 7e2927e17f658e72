"""Callbacks of Keras for the tests, named by specs as `backends.keras.heard:Name`."""

from keras.callbacks import Callback


class Batches(Callback):
    """Keeps all that it hears, over resumes too."""

    def __init__(self):
        super().__init__()
        self.count, self.losses, self.epochs, self.heard = 0, [], {}, []

    def on_train_begin(self, logs=None):
        self.heard.append(["begin", self.params["epochs"], self.params["steps"]])

    def on_epoch_begin(self, epoch, logs=None):
        self.heard.append(["epoch", epoch])

    def on_train_batch_begin(self, batch, logs=None):
        self.heard.append(["batch", batch])

    def on_train_batch_end(self, batch, logs=None):
        assert self.heard[-1] == ["batch", batch]
        self.count += 1
        self.losses.append(logs["loss"])

    def on_epoch_end(self, epoch, logs=None):
        self.epochs[str(epoch)] = dict(logs)

    def on_train_end(self, logs=None):
        self.heard.append(["end"])

    def state(self):
        return {"count": self.count, "losses": list(self.losses), "epochs": dict(self.epochs)}

    def load_state(self, tree):
        self.count, self.losses, self.epochs = tree["count"], tree["losses"], tree["epochs"]


class Odd(Batches):
    """Wants to keep what no checkpoint keeps."""

    def state(self):
        return {"deep": [{1, 2}]}


class Raises(Callback):
    """Raises at the end of an epoch."""

    def on_epoch_end(self, epoch, logs=None):
        raise ValueError("of my own")


class Forgets(Callback):
    """Cannot say what it wants to keep."""

    def state(self):
        return {"count": self.count}


class Misfit(Callback):
    """Cannot be called as Keras calls it."""

    def on_train_batch_end(self, batch):
        pass


class Ends(Callback):
    """Ends the training, at a batch or at the end of an epoch."""

    def __init__(self, at="batch"):
        super().__init__()
        self.at = at

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = self.at == "batch"

    def on_epoch_end(self, epoch, logs=None):
        self.model.stop_training = self.at == "epoch"


class Rates(Callback):
    """Reads the rate, or sets it."""

    def __init__(self, to=None):
        super().__init__()
        self.to, self.seen = to, []

    def on_train_batch_end(self, batch, logs=None):
        self.seen.append(float(self.model.optimizer.learning_rate))
        if self.to is not None:
            self.model.optimizer.learning_rate = self.to


class Weights(Callback):
    """Reads the weights."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_train_batch_end(self, batch, logs=None):
        from trainwright.backends.keras.learner import copies

        self.seen.append(copies(self.model.by_name))
