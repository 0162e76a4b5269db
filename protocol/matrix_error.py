"""What a client or another server is told when a request cannot be served: the specification's error codes as
exceptions.

Each class is a row of the table of error codes (§API Standards, «Common error codes»): its code and its usual
HTTP status are data of the class, and an instance may choose another status. Services raise them,
`web/errors.py` turns them into replies.
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class MatrixError(Exception):
    """A refusal with an error code; `message` is for people, `extra` are further members of the error's JSON
    object.
    """

    status: int = 400
    errcode: str | None = "M_UNKNOWN"
    usual_message: ClassVar[str] = "The request cannot be served"

    def __init__(
        self,
        message: str | None = None,
        *,
        status: int | None = None,
        errcode: str | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = self.usual_message if message is None else message
        super().__init__(self.message)
        if status is not None:
            self.status = status
        if errcode is not None:
            self.errcode = errcode
        self.extra: Mapping[str, Any] = {} if extra is None else extra

    @property
    def retry_after_ms(self) -> int | None:
        """How long to wait before the same is worth another try; None where waiting does not help."""
        return None

    def body(self) -> dict[str, Any]:
        """The error's JSON object."""
        return {"errcode": self.errcode, "error": self.message, **self.extra}


class Unknown(MatrixError):
    """Anything else that is the client's doing."""


class Translated(Exception):
    """An error of another party; `told` is what our caller hears of it."""

    def __init__(self, message: str, told: MatrixError) -> None:
        super().__init__(message)
        self.told = told


class Forbidden(MatrixError):
    """No permission; a wrong password or login token."""

    status, errcode, usual_message = 403, "M_FORBIDDEN", "You are not allowed to do this"


class GuestAccessForbidden(MatrixError):
    status, errcode, usual_message = 403, "M_GUEST_ACCESS_FORBIDDEN", "Guests may not do this"


class UserLocked(MatrixError):
    """The account is locked: every endpoint but logout answers with this."""

    status, errcode, usual_message = 401, "M_USER_LOCKED", "This account has been locked"

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message, extra={"soft_logout": True})


class UserSuspended(MatrixError):
    status, errcode, usual_message = 403, "M_USER_SUSPENDED", "This account is suspended"


class UserDeactivated(MatrixError):
    status, errcode, usual_message = 403, "M_USER_DEACTIVATED", "This account has been deactivated"


class MissingToken(MatrixError):
    status, errcode, usual_message = 401, "M_MISSING_TOKEN", "Missing access token"


class UnknownToken(MatrixError):
    """The token is unknown, expired or logged out; after a soft logout the client keeps its keys and logs in
    again.
    """

    status, errcode, usual_message = 401, "M_UNKNOWN_TOKEN", "Unrecognised access token"

    def __init__(self, message: str | None = None, *, soft_logout: bool = False) -> None:
        super().__init__(message, extra={"soft_logout": soft_logout})


class Unauthorized(MatrixError):
    """Another server's request is not signed as it should be (§Request Authentication)."""

    status, errcode, usual_message = 401, "M_UNAUTHORIZED", "The request is not properly signed"


class InteractiveAuthNeeded(MatrixError):
    """The next stage of user-interactive authentication: `flows`, `params`, `session`, `completed` (§User-
    Interactive Authentication API).

    There is an error code only when the stage that was just tried has failed.
    """

    status = 401

    def __init__(self, stages: Mapping[str, Any], failed: MatrixError | None = None) -> None:
        super().__init__(failed.message if failed else None, extra=stages)
        self.errcode = failed.errcode if failed else None

    def body(self) -> dict[str, Any]:
        said = {} if self.errcode is None else {"errcode": self.errcode, "error": self.message}
        return {**self.extra, **said}


class NotJson(MatrixError):
    errcode, usual_message = "M_NOT_JSON", "The body is not JSON"


class BadJson(MatrixError):
    errcode, usual_message = "M_BAD_JSON", "The JSON does not have the shape that this endpoint asks for"


class MissingParam(MatrixError):
    errcode, usual_message = "M_MISSING_PARAM", "A parameter is missing"


class InvalidParam(MatrixError):
    errcode, usual_message = "M_INVALID_PARAM", "A parameter has an invalid value"


class NotFound(MatrixError):
    status, errcode, usual_message = 404, "M_NOT_FOUND", "Not found"


class Unrecognized(MatrixError):
    """There is no such endpoint (404), or not with this method (405)."""

    status, errcode, usual_message = 404, "M_UNRECOGNIZED", "Unrecognised request"


class LimitExceeded(MatrixError):
    """Too many requests; says when to try again."""

    status, errcode, usual_message = 429, "M_LIMIT_EXCEEDED", "Too many requests"

    def __init__(self, retry_after_ms: int, message: str | None = None) -> None:
        super().__init__(message, extra={"retry_after_ms": retry_after_ms})
        self._retry_after_ms = retry_after_ms

    @property
    def retry_after_ms(self) -> int:
        return self._retry_after_ms


class ResourceLimitExceeded(MatrixError):
    """A limit of the whole server; `extra` carries `admin_contact`."""

    status, errcode, usual_message = 403, "M_RESOURCE_LIMIT_EXCEEDED", "This server has reached a limit"


class UserLimitExceeded(MatrixError):
    """A limit of this account (v1.18); `extra` carries `info_uri` and `can_upgrade`."""

    status, errcode, usual_message = 403, "M_USER_LIMIT_EXCEEDED", "This account has reached a limit"


class UserInUse(MatrixError):
    errcode, usual_message = "M_USER_IN_USE", "This user ID is taken"


class InvalidUsername(MatrixError):
    errcode, usual_message = "M_INVALID_USERNAME", "This is not a valid user name"


class Exclusive(MatrixError):
    errcode, usual_message = "M_EXCLUSIVE", "This name is reserved for an application service"


class WeakPassword(MatrixError):
    errcode, usual_message = "M_WEAK_PASSWORD", "The password is too weak"


class AppserviceLoginUnsupported(MatrixError):
    errcode, usual_message = "M_APPSERVICE_LOGIN_UNSUPPORTED", "Application services cannot log in here"


class UnknownDevice(MatrixError):
    errcode, usual_message = "M_UNKNOWN_DEVICE", "There is no such device"


class RoomInUse(MatrixError):
    errcode, usual_message = "M_ROOM_IN_USE", "This room alias is taken"


class InvalidRoomState(MatrixError):
    errcode, usual_message = "M_INVALID_ROOM_STATE", "The room's initial state would not be valid"


class UnsupportedRoomVersion(MatrixError):
    errcode, usual_message = "M_UNSUPPORTED_ROOM_VERSION", "This server does not support this room version"


class IncompatibleRoomVersion(MatrixError):
    """The asking server does not know the room's version."""

    errcode, usual_message = (
        "M_INCOMPATIBLE_ROOM_VERSION",
        "Your server does not support the version of this room",
    )

    def __init__(self, room_version: str, message: str | None = None) -> None:
        super().__init__(message, extra={"room_version": room_version})


class UnableToAuthoriseJoin(MatrixError):
    """This server cannot see whether the restricted room's conditions are met; another may."""

    errcode, usual_message = (
        "M_UNABLE_TO_AUTHORISE_JOIN",
        "This server cannot check the conditions for joining",
    )


class UnableToGrantJoin(MatrixError):
    """The conditions are met, but nobody here may invite; another server may."""

    errcode, usual_message = "M_UNABLE_TO_GRANT_JOIN", "Nobody on this server may let you join"


class InviteBlocked(MatrixError):
    status, errcode, usual_message = 403, "M_INVITE_BLOCKED", "This user does not accept your invites"


class BadState(MatrixError):
    status, errcode, usual_message = 403, "M_BAD_STATE", "The room's state does not allow this"


class CannotLeaveServerNoticeRoom(MatrixError):
    status, errcode = 403, "M_CANNOT_LEAVE_SERVER_NOTICE_ROOM"
    usual_message = "You cannot leave the server's notices"


class BadAlias(MatrixError):
    errcode, usual_message = "M_BAD_ALIAS", "This alias does not point to this room"


class DuplicateAnnotation(MatrixError):
    errcode, usual_message = "M_DUPLICATE_ANNOTATION", "You have reacted with this already"


class TooLarge(MatrixError):
    status, errcode, usual_message = 413, "M_TOO_LARGE", "This is too large"


class NotYetUploaded(MatrixError):
    status, errcode, usual_message = 504, "M_NOT_YET_UPLOADED", "The media has not been uploaded yet"


class CannotOverwriteMedia(MatrixError):
    status, errcode, usual_message = 409, "M_CANNOT_OVERWRITE_MEDIA", "This media has been uploaded already"


class ProfileTooLarge(MatrixError):
    errcode, usual_message = "M_PROFILE_TOO_LARGE", "The profile would be larger than 64 KiB"


class KeyTooLarge(MatrixError):
    errcode, usual_message = "M_KEY_TOO_LARGE", "The name of a profile field is at most 255 bytes"


class WrongRoomKeysVersion(MatrixError):
    """Keys are only written into the newest backup."""

    status, errcode, usual_message = 403, "M_WRONG_ROOM_KEYS_VERSION", "This is not the current backup"

    def __init__(self, current_version: str, message: str | None = None) -> None:
        super().__init__(message, extra={"current_version": current_version})


class InvalidSignature(MatrixError):
    errcode, usual_message = "M_INVALID_SIGNATURE", "A signature is not valid"


class CaptchaNeeded(MatrixError):
    status, errcode, usual_message = 401, "M_CAPTCHA_NEEDED", "A captcha is required"


class CaptchaInvalid(MatrixError):
    errcode, usual_message = "M_CAPTCHA_INVALID", "The captcha was not solved"


class ThreepidInUse(MatrixError):
    errcode, usual_message = "M_THREEPID_IN_USE", "This address belongs to another account"


class ThreepidNotFound(MatrixError):
    errcode, usual_message = "M_THREEPID_NOT_FOUND", "This address belongs to no account"


class ThreepidAuthFailed(MatrixError):
    errcode, usual_message = "M_THREEPID_AUTH_FAILED", "This address has not been verified"


class ThreepidDenied(MatrixError):
    status, errcode, usual_message = 403, "M_THREEPID_DENIED", "This address is not allowed here"


class ThreepidMediumNotSupported(MatrixError):
    errcode, usual_message = "M_THREEPID_MEDIUM_NOT_SUPPORTED", "This kind of address is not supported"


class InvalidEmail(MatrixError):
    errcode, usual_message = "M_INVALID_EMAIL", "This is not an e-mail address"


class TokenIncorrect(MatrixError):
    errcode, usual_message = "M_TOKEN_INCORRECT", "The code is wrong"


class SessionExpired(MatrixError):
    errcode, usual_message = "M_SESSION_EXPIRED", "The code is too old: ask for another"


class ServerNotTrusted(MatrixError):
    errcode, usual_message = "M_SERVER_NOT_TRUSTED", "This identity server is not trusted"


class UrlNotSet(MatrixError):
    errcode, usual_message = "M_URL_NOT_SET", "The application service has no URL"


class BadStatus(MatrixError):
    """The application service answered a ping with an error: `extra` carries its `status` and `body`."""

    status, errcode, usual_message = 502, "M_BAD_STATUS", "The application service answered with an error"


class ConnectionFailed(MatrixError):
    status, errcode, usual_message = 502, "M_CONNECTION_FAILED", "The application service cannot be reached"


class ConnectionTimeout(MatrixError):
    status, errcode, usual_message = 504, "M_CONNECTION_TIMEOUT", "The application service does not answer"


class ConcurrentWrite(MatrixError):
    status, errcode, usual_message = 409, "M_CONCURRENT_WRITE", "Somebody else has written in between"


class UnknownPos(MatrixError):
    """The sliding sync position has expired: begin anew."""

    errcode, usual_message = "M_UNKNOWN_POS", "This position is not known any more"
