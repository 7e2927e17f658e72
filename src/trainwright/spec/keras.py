"""What a user says about their own parts of Keras."""

from pydantic import Field

from trainwright.spec.part import Part, Use


class KerasSpec(Part):
    """What hears a training by `keras.Model.fit`, besides the package's own callbacks.

    It listens and decides nothing: what changes a training is a field of `train`. `reproduce` trains without it.

    Args:
        callbacks: Callbacks of Keras, `module:Name` with the arguments of their constructors.
    """

    callbacks: list[Use] = Field(default=[])
