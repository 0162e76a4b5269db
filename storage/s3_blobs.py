"""Blobs in a bucket of S3-compatible storage, each under the SHA-256 of its bytes.

A file comes in to the local disk first: only then is its name known, and whether the bucket has it already; a slow client holds
up nothing there, and an object is there whole or not at all. This is loaded only where a bucket is configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import ClientError

from storage.blob_spool import Spool, Spooled
from storage.blobs import Held
from storage.bucket import Bucket

CHUNK = 256 * 1024
PART = 5 * 1024 * 1024  # the least that a part of several may have
_NOT_THERE = (403, 404)  # a bucket whose list one may not read answers 403
_EPOCH = datetime.fromtimestamp(0, UTC)


class S3Blobs:
    """Objects in a bucket; equal uploads share one."""

    def __init__(self, client: Any, bucket: Bucket, folder: Path) -> None:
        self._s3 = client
        self._bucket = bucket
        self._incoming = Spool(folder / "incoming")

    async def write(self, chunks: AsyncIterable[bytes], limit: int) -> tuple[bytes, int]:
        """Keeps the bytes; their digest and number. Raises TooLarge past the limit, and then keeps nothing."""
        async with self._incoming.taken(chunks, limit) as file:
            if await self.size(file.digest) is None:
                await self._send(file)
            return file.digest, file.size

    async def size(self, digest: bytes) -> int | None:
        """How many bytes the blob has; None when it is not there."""
        try:
            found = await self._s3.head_object(**self._object(digest))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in _NOT_THERE:
                raise
            return None
        size: int = found["ContentLength"]
        return size

    def path(self, digest: bytes) -> Path | None:
        """There is no local file."""
        return None

    async def read(self, digest: bytes, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` to before `end`, in chunks. Raises FileNotFoundError when it is not there."""
        if end is not None and end <= start:
            return
        asked = (
            {} if (start, end) == (0, None) else {"Range": f"bytes={start}-{'' if end is None else end - 1}"}
        )
        try:
            found = await self._s3.get_object(**self._object(digest), **asked)
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] not in _NOT_THERE:
                raise
            raise FileNotFoundError(digest.hex()) from error
        async with found["Body"] as body:
            while chunk := await body.read(CHUNK):
                yield chunk

    async def delete(self, digest: bytes) -> None:
        """Forgets the blob, if it is there."""
        await self._s3.delete_object(**self._object(digest))

    async def held(self, first: int) -> Sequence[Held]:
        """The blobs whose digest begins with this byte."""
        start = self._bucket.prefix
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket.name, Prefix=f"{start}{first:02x}"
        )
        return [
            Held(bytes.fromhex(one["Key"].removeprefix(start)), _milliseconds(one["LastModified"]))
            async for page in pages
            for one in page.get("Contents", ())
        ]

    async def forget_unfinished(self, before: int) -> None:
        """Gives up uploads of several parts that were begun before that time (ms): their process has ended."""
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket.name, Prefix=self._bucket.prefix
        )
        async for page in pages:
            for one in page.get("Uploads", ()):
                if _milliseconds(one["Initiated"]) < before:
                    await self._s3.abort_multipart_upload(
                        Bucket=self._bucket.name, Key=one["Key"], UploadId=one["UploadId"]
                    )

    def _object(self, digest: bytes) -> dict[str, str]:
        return {"Bucket": self._bucket.name, "Key": self._bucket.prefix + digest.hex()}

    async def _send(self, file: Spooled) -> None:
        with await asyncio.to_thread(file.path.open, "rb", 0) as source:
            if file.size <= PART:
                body = await asyncio.to_thread(source.read, PART)
                await self._s3.put_object(**self._object(file.digest), Body=body)
                return
            where = self._object(file.digest)
            upload = where | {"UploadId": (await self._s3.create_multipart_upload(**where))["UploadId"]}
            try:
                parts: list[dict[str, Any]] = []
                while body := await asyncio.to_thread(source.read, PART):
                    number = len(parts) + 1
                    sent = await self._s3.upload_part(**upload, PartNumber=number, Body=body)
                    parts.append({"PartNumber": number, "ETag": sent["ETag"]})
                await self._s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts})
            except BaseException:
                await self._s3.abort_multipart_upload(**upload)
                raise


@asynccontextmanager
async def s3_blobs(bucket: Bucket, folder: Path) -> AsyncIterator[S3Blobs]:
    """The blobs of a bucket, as long as this lasts; what is coming in lies in the folder."""
    # Others than Amazon's do not know the newer checksums.
    config = Config(
        request_checksum_calculation="when_required", response_checksum_validation="when_required"
    )
    client = get_session().create_client(
        "s3",
        endpoint_url=bucket.endpoint,
        region_name=bucket.region,
        aws_access_key_id=bucket.access_key,
        aws_secret_access_key=bucket.secret_key,
        config=config,
    )
    async with client as s3:
        yield S3Blobs(s3, bucket, folder)


def _milliseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(milliseconds=1)
