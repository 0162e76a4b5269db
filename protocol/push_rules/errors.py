"""What can be wrong with a change of push rules, in the words of the API (§Push Rules: API)."""

from protocol.errors import ProtocolError
from protocol.matrix_error import InvalidParam, NotFound, Unknown


class UnknownKind(InvalidParam, ProtocolError):
    """There is no such kind of rule."""


class InvalidRule(InvalidParam, ProtocolError):
    """The rule's ID, conditions, pattern or actions are not what they should be."""


class RuleNotFound(NotFound, ProtocolError):
    """The user has no such rule."""


class NeighbourNotFound(Unknown, ProtocolError):
    """A new rule cannot be put before or after a rule that the user has not made."""


class TooManyRules(Unknown, ProtocolError):
    """Every message is held against every rule, so that there is a limit."""
