"""Every exception this library raises, in one tree.

    * AlignmentError
      x ConfigurationError      what the caller gave cannot work; nothing was sent to a model
        + PromptError           a prompt, a variable or an input that does not fit
        + FeedbackError         feedback that is empty or has no response to be about
        + DataError             a table, a column, a label or a task that does not fit
        + EditError             an edit that a constitution or a history refuses
        + ArtifactError         a file or JSON document that is not ours, or not readable
        + ConflictError         somebody else wrote in the meantime; read again, then write
        + NotFoundError         a thread, a stored prompt or a rulebook that is not there, or no longer
        + ModelNameError        a model name that resolves to nothing here, or lacks its package
        + WeightsError          weights of a local model that are missing, damaged or cannot be fetched
        + ServerError           the local model server could not start
      x ModelError              a model call failed
        + AuthenticationError   the key is wrong or missing; never retried
        + BadRequestError       the provider refuses the request as it stands; never retried
        + RateLimitError        still over the rate limit after all retries
        + UnavailableError      timeouts, dropped connections and server faults after all retries
        + RefusalError          the model, or its safety filter, would not answer
        + MalformedAnswerError  an answer that cannot be read, after its one repair; an empty one too
      x BudgetError             a budget is spent, or cannot be measured with this model

Each message is one sentence or two: what is wrong, where, and what to do. What is degraded, but goes on, is said once
as a `DataWarning`.
"""

__all__ = [
    "AlignmentError",
    "ArtifactError",
    "AuthenticationError",
    "BadRequestError",
    "BudgetError",
    "ConfigurationError",
    "ConflictError",
    "DataError",
    "DataWarning",
    "EditError",
    "FeedbackError",
    "MalformedAnswerError",
    "ModelError",
    "ModelNameError",
    "NotFoundError",
    "PromptError",
    "RateLimitError",
    "RefusalError",
    "ServerError",
    "UnavailableError",
    "WeightsError",
]


class AlignmentError(Exception):
    """Base of everything this library raises.

    Example:
        >>> from langchain_model_alignment.errors import AlignmentError, FeedbackError
        >>> try:
        ...     raise FeedbackError("The feedback is empty; say what to change.")
        ... except AlignmentError as error:
        ...     str(error)
        'The feedback is empty; say what to change.'
    """


class ConfigurationError(AlignmentError, ValueError):
    """What the caller gave cannot work; nothing was sent to a model."""


class PromptError(ConfigurationError):
    """A prompt, a variable or an input that does not fit."""


class FeedbackError(ConfigurationError):
    """Feedback that is empty, or that has no response to be about."""


class DataError(ConfigurationError):
    """A table, a column, a label or a task that does not fit."""


class EditError(ConfigurationError):
    """An edit that a constitution or a history refuses, such as an unknown principle id."""


class ArtifactError(ConfigurationError):
    """A file or JSON document that is not one of ours, or cannot be read."""


class ConflictError(ConfigurationError):
    """Somebody else wrote in the meantime: read what they wrote, then write again."""


class NotFoundError(ConfigurationError):
    """A thread, a stored prompt or a rulebook that is not there, or no longer."""


class ModelNameError(ConfigurationError):
    """A model name that resolves to nothing on this machine, or whose package is not installed."""


class WeightsError(ConfigurationError):
    """Weights of a local model that are missing, damaged, or cannot be fetched."""


class ServerError(ConfigurationError):
    """The local model server could not start."""


class ModelError(AlignmentError):
    """A model call failed; `__cause__` holds what the provider's package raised."""


class AuthenticationError(ModelError):
    """The key is wrong or missing; never retried."""


class BadRequestError(ModelError):
    """The provider refuses the request as it stands; never retried."""


class RateLimitError(ModelError):
    """Still over the provider's rate limit after all retries."""


class UnavailableError(ModelError):
    """Timeouts, dropped connections or server faults that outlived all retries."""


class RefusalError(ModelError):
    """The model, or its safety filter, would not answer."""


class MalformedAnswerError(ModelError):
    """An answer that is empty, or that could not be read after its one repair."""


class BudgetError(AlignmentError):
    """A budget is spent, or cannot be measured with this model."""


class DataWarning(UserWarning):
    """Something odd in a table that was worked around; it is said once."""
