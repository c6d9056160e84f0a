"""The exceptions of the toolkit.

Every message is one line for the person at the keyboard: what was found, and what to do about it.
"""


class TranslateError(Exception):
    """Base of everything that this package raises on purpose."""


class InputError(TranslateError):
    """What was asked for cannot be started: a path, an option or a pair of them is wrong."""


class ImageError(TranslateError):
    """One image cannot be read, computed or written; the rest of the job can go on."""


class VideoError(TranslateError):
    """One video cannot be read, computed or written; the rest of the job can go on."""


class CheckpointError(TranslateError):
    """A weights file is damaged, unsafe, or fits no known network."""


class DownloadError(TranslateError):
    """A weights file cannot be fetched: no connection, a refusal, or a server that breaks off."""


class UnknownModelError(InputError):
    """A model name or a target domain that the registry does not hold."""


class TrainingError(TranslateError):
    """A training run cannot start or cannot go on."""


class EvaluationError(TranslateError):
    """An evaluation cannot go on: too few of the pictures can be read or compared."""
