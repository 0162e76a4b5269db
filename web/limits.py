"""What the front door asks of whoever counts requests; the counting itself is not done here."""

from typing import Any, Protocol, TypeVar

from web.endpoint import RateClass

T_contra = TypeVar("T_contra", contravariant=True)
R_contra = TypeVar("R_contra", contravariant=True)


class Limit(Protocol[T_contra, R_contra]):
    """Counts one request of a class against its sender: `requester` where there is one, else the address."""

    async def __call__(
        self,
        tenant: T_contra,
        requester: R_contra | None,
        address: str,
        rate: RateClass,
        token: str | None = None,
        /,
    ) -> None:
        """Returns when the request may go on; raises LimitExceeded with the time to wait when it may not. `token` is what
        was shown to an endpoint that asks for none: it proves nothing yet.
        """


class Crowd(Protocol[T_contra, R_contra]):
    """Counts the requests that are being served at once."""

    def enter(self, tenant: T_contra, requester: R_contra | None, /) -> Any:
        """What `leave` is to be told when the request ends, or None; raises LimitExceeded when there are too many."""

    def leave(self, entered: Any, /) -> None:
        """The request has ended."""
