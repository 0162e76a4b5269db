"""What can be wrong with what others sent us, as errors that say it."""


class ProtocolError(Exception):
    """Something does not follow the Matrix specification; the text says what."""


class InvalidId(ProtocolError):
    """A string is not the identifier that it should be."""


class UnsupportedRoomVersion(ProtocolError):
    """There is no such room version, or we do not know it."""


class NotJson(ProtocolError):
    """Bytes are not JSON, or JSON that no Matrix event could hold (invalid Unicode, nested too deep)."""


class NotCanonical(ProtocolError):
    """A value has no form in Canonical JSON (a float, an integer out of range, a lone surrogate)."""


class InvalidEvent(ProtocolError):
    """An event breaks the event format of its room version, so that it is dropped."""


class Oversized(InvalidEvent):
    """An event, or one of its fields, is larger than the specification allows."""


class BadSignature(ProtocolError):
    """A signature that is needed is missing or wrong."""


class Rejected(ProtocolError):
    """An event does not pass the authorisation rules."""
