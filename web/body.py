"""The JSON of a request: parsed strictly, and read field by field with the specification's errors."""

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar, overload

from protocol import errors
from protocol.json import MAX_INTEGER, parse, parse_exact
from protocol.matrix_error import BadJson, InvalidParam, MissingParam, NotJson

D = TypeVar("D")


class Required:
    """Stands for: there is no default, so the field must be there."""


REQUIRED: Final = Required()


def parse_json(body: bytes, *, exact: bool = False) -> Any:
    """The value that the bytes are the JSON of; raises NotJson for what is not JSON, or nested too deep.

    `exact` keeps integers beyond 64 bits, which otherwise come as floats.
    """
    try:
        return parse_exact(body) if exact else parse(body)
    except errors.NotJson as error:
        raise NotJson(f"The body is not JSON: {error}") from None


def clean_text(name: str, value: str) -> str:
    """The value itself; raises InvalidParam when it contains NUL, which no field of Matrix needs and
    PostgreSQL cannot store.
    """
    if "\0" in value:
        raise InvalidParam(f"{name} contains a NUL character")
    return value


def bounded(name: str, value: int, minimum: int | None, maximum: int | None) -> int:
    """The value, lowered to `maximum` where it is above; raises InvalidParam below `minimum`.

    A client that asks for more than the server gives (a limit, a timeout) gets what there is; less than
    the minimum is a mistake. Without bounds it is what Canonical JSON can hold, which PostgreSQL's bigint can too.
    """
    least = -MAX_INTEGER if minimum is None else minimum
    if value < least:
        raise InvalidParam(f"{name} must be at least {least}")
    return min(value, MAX_INTEGER if maximum is None else maximum)


class Fields:
    """A JSON object whose members are asked for by name and type.

    Each reader raises MissingParam when the member is missing and there is no default, and BadJson when it
    has another type. `null` counts as missing: clients send it for what they do not set.
    """

    __slots__ = ("json",)

    def __init__(self, json: Mapping[str, Any]) -> None:
        self.json = json

    def _read(self, name: str, default: Any, right: Callable[[Any], bool], kind: str) -> Any:
        value = self.json.get(name)
        if value is None:
            if default is REQUIRED:
                raise MissingParam(f"{name} is missing")
            return default
        if not right(value):
            raise BadJson(f"{name} must be {kind}")
        return value

    @overload
    def text(self, name: str) -> str: ...
    @overload
    def text(self, name: str, default: D) -> str | D: ...
    def text(self, name: str, default: Any = REQUIRED) -> Any:
        """A string."""
        value = self._read(name, default, _is_text, "a string")
        return value if value is default else clean_text(name, value)

    @overload
    def integer(self, name: str, *, minimum: int | None = None, maximum: int | None = None) -> int: ...
    @overload
    def integer(
        self, name: str, default: D, *, minimum: int | None = None, maximum: int | None = None
    ) -> int | D: ...
    def integer(
        self,
        name: str,
        default: Any = REQUIRED,
        *,
        minimum: int | None = None,
        maximum: int | None = None,
    ) -> Any:
        """An integer, lowered to `maximum` where it is above; raises InvalidParam below `minimum`."""
        value = self._read(name, default, _is_integer, "an integer")
        return value if value is default else bounded(name, value, minimum, maximum)

    @overload
    def flag(self, name: str) -> bool: ...
    @overload
    def flag(self, name: str, default: D) -> bool | D: ...
    def flag(self, name: str, default: Any = REQUIRED) -> Any:
        """A boolean."""
        return self._read(name, default, _is_flag, "true or false")

    @overload
    def object(self, name: str) -> dict[str, Any]: ...
    @overload
    def object(self, name: str, default: D) -> dict[str, Any] | D: ...
    def object(self, name: str, default: Any = REQUIRED) -> Any:
        """A JSON object."""
        return self._read(name, default, _is_object, "an object")

    @overload
    def strings(self, name: str) -> list[str]: ...
    @overload
    def strings(self, name: str, default: D) -> list[str] | D: ...
    def strings(self, name: str, default: Any = REQUIRED) -> Any:
        """A list of strings."""
        value = self._read(name, default, _is_strings, "a list of strings")
        return value if value is default else [clean_text(name, text) for text in value]

    @overload
    def objects(self, name: str) -> list[dict[str, Any]]: ...
    @overload
    def objects(self, name: str, default: D) -> list[dict[str, Any]] | D: ...
    def objects(self, name: str, default: Any = REQUIRED) -> Any:
        """A list of JSON objects."""
        return self._read(name, default, _is_objects, "a list of objects")

    def duration(self, name: str, default: int, maximum: int | None = None) -> int:
        """Milliseconds, lowered to `maximum` where there are more."""
        return self.integer(name, default, minimum=0, maximum=maximum)

    def fields(self, name: str) -> "Fields":
        """A JSON object inside this one, to be read the same way; empty when it is missing."""
        return Fields(self.object(name, {}))


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)
