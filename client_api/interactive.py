"""What user-interactive authentication needs to know of a request."""

from typing import Any

from services.accounts.uia import Operation
from web.call import Call


def operation_of(call: Call[Any, Any]) -> Operation:
    """What the request asks for, to be agreed to step by step."""
    return Operation(call.method, call.target.partition("?")[0], call.json_object_or_empty())
