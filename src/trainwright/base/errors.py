"""Every error the package raises on purpose.

TrainwrightError
├── SpecError      the spec is wrong; the message starts with where: `file:line:column: train.epochs: ...`
├── DataError      the data is not what the spec says
├── BackendError   the backend is missing, or it failed
└── StoreError     the store cannot keep or give back what was asked for
    ├── CannotWrite    what should be kept could not be written; when the cause is mended, training can go on
    └── StaleAttempt   a newer attempt of the run has taken over
"""


class TrainwrightError(Exception):
    """Something a user can mend; the message says what is wrong, where, and what to do."""


class SpecError(TrainwrightError):
    """The spec is wrong. All faults are in one message, a line each."""


class DataError(TrainwrightError):
    """The data is not what the spec says."""


class BackendError(TrainwrightError):
    """A backend is missing, or it failed."""


class StoreError(TrainwrightError):
    """The store cannot keep or give back what was asked for."""


class CannotWrite(StoreError):
    """What should be kept could not be written; the message says what to mend, and not how training goes on then.

    That depends on what was saved before, which is known to whoever trains.
    """


class StaleAttempt(StoreError):
    """A newer attempt of the same run has taken over; this one can write nothing."""
