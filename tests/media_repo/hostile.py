"""Hostile files: each with what it says it is and is called, made here."""

from __future__ import annotations

import gzip
import io
import random
import struct
import zipfile
import zlib
from dataclasses import dataclass

from PIL import Image

from tests.media_repo.pictures import bomb, picture

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ODT = "application/vnd.oasis.opendocument.text"
SCRIPT = b"<script>alert(document.cookie)</script>"
MZ = b"MZ\x90\0" + bytes(60) + b"PE\0\0" + bytes(200)
ELF = b"\x7fELF\2\1\1" + bytes(200)
PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"
NOISE = random.Random(1).randbytes(5000)


@dataclass(frozen=True)
class File:
    """`is_caught`: it is not what it says it is; `has_thumbnail`: as a picture of its declared type it can be shown smaller."""

    what: str
    data: bytes
    content_type: str
    name: str
    is_caught: bool = True
    has_thumbnail: bool = False


def zipped(*names: str, first: bytes = b"") -> bytes:
    """An archive with such members; `first` is the content of the first."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(name, first or b"x")
    return buffer.getvalue()


def with_text(data: bytes) -> bytes:
    """A PNG with a text chunk of these bytes before its pixels."""
    body = b"tEXtComment\0" + data
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return picture(90, 90)[:33] + chunk + picture(90, 90)[33:]


def comment(data: bytes) -> bytes:
    """A JPEG with a comment."""
    image = picture(90, 90, "JPEG")
    return image[:2] + b"\xff\xfe" + struct.pack(">H", len(data) + 2) + data + image[2:]


def moving(frames: int, side: int) -> bytes:
    """A GIF of so many frames."""
    buffer, first = io.BytesIO(), Image.new("P", (side, side))
    rest = [Image.new("P", (side, side), n % 250) for n in range(1, frames)]
    first.save(buffer, "GIF", save_all=True, append_images=rest, optimize=False)
    return buffer.getvalue()


PNG, JPEG, GIF, WEBP = (
    picture(90, 90),
    picture(90, 90, "JPEG"),
    picture(90, 90, "GIF"),
    picture(90, 90, "WEBP"),
)
JAR = zipped("META-INF/MANIFEST.MF", "Evil.class")

POLYGLOTS = [
    File("GIFAR", GIF + JAR, "image/gif", "a.gif"),
    File("JPEG and archive", JPEG + JAR, "image/jpeg", "a.jpg"),
    File("PNG and archive", PNG + zipped("a.txt"), "image/png", "a.png"),
    File("WebP and archive", WEBP + zipped("a.txt"), "image/webp", "a.webp"),
    File("MP3 and archive", b"ID3\4\0\0" + bytes(100) + JAR, "audio/mpeg", "a.mp3"),
    File("PDF in a picture's beginning", with_text(PDF), "image/png", "a.png"),
    File("page at a picture's end", PNG + b"<html><body onload=alert(1)>", "image/png", "a.png"),
    File("page in a PNG's comment", with_text(SCRIPT), "image/png", "a.png"),
    File("page in a JPEG's comment", comment(SCRIPT), "image/jpeg", "a.jpg"),
    File("PHP in a JPEG's comment", comment(b"<?php system($_GET[0]);"), "image/jpeg", "a.jpg"),
    File("page at a GIF's end", GIF + SCRIPT, "image/gif", "a.gif"),
    File("script that is a GIF", b"GIF89a/*" + bytes(9) + b"*/=1;javascript:alert(1)", "image/gif", "a.gif"),
    File("page in a WebP", WEBP + b"<IFRAME src=//evil>", "image/webp", "a.webp"),
    File("page in an Ogg", b"OggS\0\2" + bytes(60) + SCRIPT, "audio/ogg", "a.ogg"),
    File("page in an MP4", b"\0\0\0\x18ftypisom" + bytes(40) + SCRIPT, "video/mp4", "a.mp4"),
    File("PDF with a program", PDF.replace(b"/Catalog", b"/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>"),
         "application/pdf", "a.pdf"),
    File("PDF that starts something", PDF + b"<</S/Launch/F(cmd.exe)>>", "application/pdf", "a.pdf"),
]  # fmt: skip
VECTORS = [
    File("SVG with a script", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image/svg+xml", "a.svg"),
    File("SVG with a listener", b"<svg onload=alert(1)>", "image/svg+xml", "a.svg"),
    File("SVG with a page", b"<svg><foreignObject><iframe/></foreignObject></svg>", "image/svg+xml", "a.svg"),
    File("SVG with a link that runs", b"<svg><a href='javascript:alert(1)'/></svg>", "image/svg+xml", "a.svg"),
    File("SVG with entities", b"<!DOCTYPE svg [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><svg>&a;</svg>",
         "image/svg+xml", "a.svg"),
    File("SVG in UTF-16 with a script", "<svg ><script>1</script></svg>".encode("utf-16-le"), "image/svg+xml", "a.svg"),
    File("SVG of another prefix", b"<s:svg xmlns:s='http://www.w3.org/2000/svg'><s:script>1</s:script></s:svg>",
         "image/svg+xml", "a.svg"),
    File("SVG called PNG", b"<svg onload=alert(1)>", "image/png", "a.png"),
    File("page called SVG", b"<html>" + SCRIPT, "image/svg+xml", "a.svg"),
    File("plain SVG", b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>", "image/svg+xml", "a.svg", False),
]  # fmt: skip
WRONG_TYPES = [
    File("Windows program called PNG", MZ, "image/png", "a.png"),
    File("Windows program called PDF", MZ, "application/pdf", "invoice.pdf"),
    File("Windows program called text", MZ, "text/plain", "a.txt"),
    File("Linux program called JPEG", ELF, "image/jpeg", "a.jpg"),
    File("Linux program called MP4", ELF, "video/mp4", "a.mp4"),
    File("Mac program called MP3", b"\xcf\xfa\xed\xfe" + bytes(200), "audio/mpeg", "a.mp3"),
    File("Java class called GIF", b"\xca\xfe\xba\xbe" + bytes(50), "image/gif", "a.gif"),
    File("shell script called PNG", b"#!/bin/sh\nrm -rf /\n", "image/png", "a.png"),
    File("page called PNG", b"<!doctype html>" + SCRIPT, "image/png", "a.png"),
    File("page called JPEG", SCRIPT, "image/jpeg", "a.jpg"),
    File("page called MP4", SCRIPT, "video/mp4", "a.mp4"),
    File("page called PDF", SCRIPT, "application/pdf", "a.pdf"),
    File("JPEG called PNG", JPEG, "image/png", "a.png"),
    File("PNG called GIF", PNG, "image/gif", "a.gif"),
    File("TIFF called PNG", picture(90, 90, "TIFF"), "image/png", "a.png"),
    File("PostScript called PNG", picture(90, 90, "EPS"), "image/png", "a.png"),
    File("picture called text", PNG, "text/plain", "a.txt"),
    File("noise called JPEG", NOISE, "image/jpeg", "a.jpg"),
    File("text called MP3", b"just words", "audio/mpeg", "a.mp3"),
    File("text called archive", b"just words", "application/zip", "a.zip"),
    File("program called octets, named as a PDF", MZ, "application/octet-stream", "invoice.pdf", False),
]
OFFICE = [
    File("any archive called Word", zipped("a.txt"), DOCX, "a.docx"),
    File("Java called Word", JAR, DOCX, "a.docx"),
    File("broken archive called Word", b"PK\3\4" + bytes(50), DOCX, "a.docx"),
    File("Word without a body", zipped("[Content_Types].xml"), DOCX, "a.docx"),
    File("Word called Excel", zipped("[Content_Types].xml", "word/document.xml"), XLSX, "a.xlsx"),
    File("program called Excel", MZ, XLSX, "a.xlsx"),
    File("any archive called OpenDocument", zipped("content.xml"), ODT, "a.odt"),
    File("real Word", zipped("[Content_Types].xml", "word/document.xml"), DOCX, "a.docx", False),
    File("real OpenDocument", zipped("mimetype", "content.xml", first=ODT.encode()), ODT, "a.odt", False),
    File("Android called archive", zipped("AndroidManifest.xml"), "application/zip", "a.zip", False),
]
NAMES = [
    File("two extensions", MZ, "application/x-msdownload", "photo.jpg.exe"),
    File("two extensions and a dot", b"x", "application/x-thing", "photo.jpg.scr."),
    File("spaces before the extension", b"x", "application/x-thing", "photo.jpg      .exe"),
    File("backwards", b"x", "application/x-thing", "photo\u202egpj.exe"),
    File("picture named as a program", PNG, "image/png", "a.exe"),
    File("path upwards", PNG, "image/png", "../../../etc/passwd", False, True),
    File("path of Windows", PNG, "image/png", "C:\\Windows\\a.png", False, True),
    File("line break", PNG, "image/png", "a\r\nContent-Type: text/html\r\n\r\n.png", False, True),
    File("quotes", PNG, "image/png", 'a"; filename="b.html', False, True),
]
BROKEN = [
    File("PNG bomb", bomb(60_000), "image/png", "a.png", False),
    File("PNG of the largest size", bomb(2**31 - 1), "image/png", "a.png", False),
    File("PNG that stops", picture(400, 400)[:300], "image/png", "a.png", False),
    File("JPEG that stops", picture(400, 400, "JPEG")[:700], "image/jpeg", "a.jpg", False),
    File("GIF that stops", picture(400, 400, "GIF")[:100], "image/gif", "a.gif", False),
    File("WebP that stops", picture(400, 400, "WEBP")[:60], "image/webp", "a.webp", False),
    File("AVIF that stops", picture(400, 400, "AVIF")[:200], "image/avif", "a.avif", False),
    File("PNG's first bytes", PNG[:8], "image/png", "a.png", False),
    File("JPEG's first bytes", JPEG[:4], "image/jpeg", "a.jpg", False),
    File("nothing", b"", "image/png", "a.png", False),
    File("GIF of many frames", moving(600, 64), "image/gif", "a.gif", False, True),
    File("archive bomb", gzip.compress(bytes(10_000_000)), "application/gzip", "a.gz", False),
]
WELL = [
    File("encrypted", NOISE, "application/octet-stream", "a", False),
    File("voice message", b"OggS\0\2" + bytes(22) + b"\1\x13OpusHead\1\1" + bytes(20),
         "audio/ogg; codecs=opus", "Voice message.ogg", False),
    File("voice message of a phone", b"\0\0\0\x1cftypM4A " + bytes(200), "audio/mp4", "Voice message.m4a", False),
    File("PNG", PNG, "image/png", "a.png", False, True),
    File("JPEG by its nickname", JPEG, "image/jpg", "a.jpg", False, True),
    File("GIF", GIF, "image/gif", "a.gif", False, True),
    File("WebP", WEBP, "image/webp", "a.webp", False, True),
    File("PDF", PDF, "application/pdf", "a.pdf", False),
    File("text", "Grüße".encode(), "text/plain", "a.txt", False),
    File("page that says so", b"<html>" + SCRIPT, "text/html", "a.html", False),
]  # fmt: skip

FILES = [*POLYGLOTS, *VECTORS, *WRONG_TYPES, *OFFICE, *NAMES, *BROKEN, *WELL]
