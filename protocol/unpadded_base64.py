"""Unpadded Base64 (§Unpadded Base64), in both alphabets; what is read may be padded or not."""

import binascii

_TO_STANDARD = str.maketrans("-_", "+/")
_TO_URL_SAFE = str.maketrans("+/", "-_")


def encode_base64(data: bytes) -> str:
    """The bytes in the standard alphabet without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode("ascii")


def encode_base64_urlsafe(data: bytes) -> str:
    """The bytes in the URL-safe alphabet without padding."""
    return encode_base64(data).translate(_TO_URL_SAFE)


def decode_base64(text: str) -> bytes:
    """The bytes that the text, in either alphabet, padded or not, stands for; raises ValueError."""
    stripped = text.rstrip("=").translate(_TO_STANDARD)
    # binascii.Error is a ValueError, and so is what a non-ASCII text raises.
    return binascii.a2b_base64(stripped + "=" * (-len(stripped) % 4), strict_mode=True)
