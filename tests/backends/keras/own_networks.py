"""Networks of a user's own, for tests, named by specs as `backends.keras.own_networks:Name`."""

import keras
from keras import layers, ops


class Affine(layers.Layer):
    """A dense layer with the names and layouts of ours, so that the contract of all learners can ask for them."""

    def __init__(self, width, *, bias=True, **more):
        super().__init__(**more)
        self.width, self.use_bias = width, bias

    def build(self, shape):
        draw = keras.initializers.RandomUniform(-(shape[-1] ** -0.5), shape[-1] ** -0.5)
        self.weight = self.add_weight(shape=(self.width, shape[-1]), name="weight", initializer=draw)
        self.bias = (
            self.add_weight(shape=(self.width,), name="bias", initializer=draw) if self.use_bias else 0.0
        )

    def call(self, x):
        return ops.matmul(x, ops.transpose(self.weight)) + self.bias


class Norm(layers.BatchNormalization):
    """Keras' own, with our names."""

    def add_weight(self, *args, name=None, **more):
        ours = {
            "gamma": "weight",
            "beta": "bias",
            "moving_mean": "running_mean",
            "moving_variance": "running_var",
        }
        return super().add_weight(*args, name=ours[name], **more)


class Plain:
    """A functional model like the mlp and the cnn of a spec."""

    def __init__(self, *, widths=(8, 6), norm=False, dropout=0.0, convolve=False):
        self.widths, self.norm, self.dropout, self.convolve = widths, norm, dropout, convolve

    def keras(self, input_shape, outputs):
        inputs = keras.Input(input_shape)
        x = layers.Reshape((*input_shape, 1))(inputs) if self.convolve else inputs
        for number, width in enumerate(self.widths):
            if self.convolve:
                x = layers.Conv1D(width, 3, padding="same", name=f"conv_{number}")(x)
            else:
                x = Affine(width, bias=not self.norm, name=f"dense_{number}")(x)
            if self.norm:
                x = Norm(momentum=0.9, epsilon=1e-5, name=f"norm_{number}")(x)
            x = layers.Activation("relu")(x)
            if self.dropout:
                x = layers.Dropout(self.dropout)(x)
        x = layers.GlobalAveragePooling1D()(x) if self.convolve else x
        return keras.Model(inputs, Affine(outputs, name="output")(x))


def _layers(outputs, width, dropout):
    yield layers.Dense(width, activation="relu")
    yield layers.BatchNormalization()
    yield layers.Dropout(dropout)
    yield layers.Dense(outputs, name="output")


class Functional:
    """Plain layers of Keras with the names that it gives them."""

    def __init__(self, *, width=4, dropout=0.2):
        self.width, self.dropout = width, dropout

    def keras(self, input_shape, outputs):
        x = inputs = keras.Input(input_shape)
        for layer in _layers(outputs, self.width, self.dropout):
            x = layer(x)
        return keras.Model(inputs, x)


class Sequence(Functional):
    """The same as a sequence, which is built when it is called."""

    def keras(self, input_shape, outputs):
        return keras.Sequential(list(_layers(outputs, self.width, self.dropout)))


class Net(keras.Model):
    def __init__(self, outputs, width, dropout):
        super().__init__()
        self.parts = list(_layers(outputs, width, dropout))

    def call(self, x, training=None):
        for part in self.parts:
            x = part(x, training=training) if isinstance(part, layers.Dropout) else part(x)
        return x


class Subclass(Functional):
    """The same as a class."""

    def keras(self, input_shape, outputs):
        return Net(outputs, self.width, self.dropout)


class Constant(layers.Layer):
    """Adds the same to each output, whatever comes in."""

    def build(self, shape):
        self.bias = self.add_weight(shape=(shape[-1],), name="bias", initializer="ones")

    def call(self, x):
        return 0.0 * x + self.bias


class Drawing:
    """Draws, and learns nothing from its input."""

    def __init__(self, *, kind):
        self.kind = kind

    def keras(self, input_shape, outputs):
        inputs = keras.Input(input_shape)
        x = Constant(name="constant")(layers.Dense(outputs, trainable=False)(inputs))
        if self.kind == "SpatialDropout1D":
            x = layers.Reshape((outputs, 1))(x)
            x = layers.SpatialDropout1D(0.5)(layers.Concatenate()([x] * 9))
            x = ops.mean(x * ops.arange(1.0, 10.0), -1) * ops.arange(1.0, outputs + 1)
        else:
            x = getattr(layers, self.kind)(0.5)(layers.Concatenate()([x] * 9))
            x = ops.mean(layers.Reshape((9, outputs))(x) * ops.arange(1.0, 10.0)[:, None], 1)
            x = x * ops.arange(1.0, outputs + 1)
        return keras.Model(inputs, x)


class Raising(layers.Layer):
    """Raises when it is built, or when it is called with another number of records than the first call had."""

    def __init__(self, late):
        super().__init__()
        self.late = late

    def call(self, x):
        if not self.late or x.shape[0] != 2:
            raise ValueError("of my own")
        return x


class Raises:
    """Raises in its method, in the first call of the network, or later on."""

    def __init__(self, *, at):
        self.at = at

    def keras(self, input_shape, outputs):
        if self.at == "method":
            raise ValueError("of my own")
        return keras.Sequential([Raising(late=self.at == "later"), layers.Dense(outputs)])


class Frozen(Functional):
    def keras(self, input_shape, outputs):
        made = super().keras(input_shape, outputs)
        made.trainable = False
        return made


class Nothing:
    def keras(self, input_shape, outputs):
        return None


class Wide:
    def keras(self, input_shape, outputs):
        return keras.Sequential([layers.Dense(outputs + 1)])


class Two:
    def keras(self, input_shape, outputs):
        inputs = keras.Input(input_shape)
        return keras.Model(inputs, [layers.Dense(outputs)(inputs), layers.Dense(outputs)(inputs)])


class Regularized:
    def keras(self, input_shape, outputs):
        return keras.Sequential([layers.Dense(outputs, kernel_regularizer="l2")])


class Activity:
    def keras(self, input_shape, outputs):
        return keras.Sequential([layers.Dense(outputs), layers.ActivityRegularization(l2=0.1)])


class Counting(layers.Layer):
    def build(self, shape):
        self.count = self.add_weight(
            shape=(), name="count", dtype="int32", trainable=False, initializer="zeros"
        )

    def call(self, x):
        return x


class Counts:
    def keras(self, input_shape, outputs):
        return keras.Sequential([layers.Dense(outputs), Counting(name="counts")])


class TwinNet(keras.Model):
    def __init__(self, outputs):
        super().__init__()
        self.one, self.other = layers.Dense(4, name="twin"), layers.Dense(outputs, name="twin")

    def call(self, x):
        return self.other(self.one(x))


class Twins:
    def keras(self, input_shape, outputs):
        return TwinNet(outputs)


class Noise(layers.Layer):
    def call(self, x, training=None):
        return x + keras.random.normal(ops.shape(x)) if training else x


class Global:
    def keras(self, input_shape, outputs):
        return keras.Sequential([Noise(), layers.Dense(outputs)])


class TorchOnly:
    def torch(self, input_shape, outputs):
        return None


def function(input_shape, outputs):
    return keras.Sequential([layers.Dense(outputs)])
