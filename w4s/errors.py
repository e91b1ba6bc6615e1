"""One error class a boundary. The command line prints them as one message and exits with 2.

Expected failures of generated code are not errors: they are `w4s.types.Failure` values.
"""

from __future__ import annotations


class W4SError(Exception):
    """Anything the user can mend: says what happened, where, and what to do next."""


class ConfigError(W4SError):
    """A parameter file or an option is wrong."""


class DataError(W4SError):
    """A file that was read back, or a data set, is wrong."""


class WeightsError(W4SError):
    """Model weights are missing or not what they should be."""


class EndpointError(W4SError):
    """The executor's or the policy's endpoint cannot be used (key, model, quota, down for good)."""


class BudgetError(W4SError):
    """The next call would pass the budget of calls, tokens or money."""


class SearchBudgetError(BudgetError):
    """One search has spent its own budget: it ends with what it has, and the run goes on."""


class ReplayError(W4SError):
    """A run from the record asked for something that is not recorded."""


class WorkflowFailed(W4SError):
    """A workflow that the user asked to run gave no answer."""


class SandboxError(W4SError):
    """This machine cannot run generated code safely."""


class TrainingError(W4SError):
    """Training cannot start or go on (no samples, no memory, state longer than the context)."""


class LeakError(W4SError):
    """Something that must stay hidden was about to enter a prompt. Always a bug."""
