"""What JSON may look like that the database is going to look into."""


def has_nul(json: bytes) -> bool:
    """Does a string in the written JSON contain a NUL character, which PostgreSQL's jsonb cannot hold?"""
    return b"\\u0000" in json.replace(b"\\\\", b"")
