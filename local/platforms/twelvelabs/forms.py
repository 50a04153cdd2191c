"""Multipart forms (RFC 7578), as the platform's SDKs send them even where there is no file in them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message

NAME = re.compile(rb'\bname="([^"]*)"', re.IGNORECASE)
FILENAME = re.compile(rb'\bfilename="([^"]*)"', re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class UploadedFile:
    """A file that came with a form; what is in it is not looked at. `size`: bytes."""

    filename: str
    size: int


type Form = Mapping[str, str | UploadedFile]


def read_form(content_type: str, body: bytes) -> Form:
    """Raises ValueError if it is no whole multipart form. Of fields with the same name the last one counts."""
    header = Message()
    header["content-type"] = content_type
    boundary = header.get_boundary()
    if header.get_content_type() != "multipart/form-data" or boundary is None:
        raise ValueError("not multipart/form-data")
    # the first delimiter has no line end before it
    [_, *parts, end] = (b"\r\n" + body).split(b"\r\n--" + boundary.encode()) if body else [b""]
    if not end.startswith(b"--"):
        raise ValueError("the form is cut off")
    return dict(map(read_part, parts))


def read_part(part: bytes) -> tuple[str, str | UploadedFile]:
    head, blank_line, content = part.partition(b"\r\n\r\n")
    name, filename = NAME.search(head), FILENAME.search(head)
    if not (blank_line and name):
        raise ValueError("a part of the form has no name")
    if filename:
        return name[1].decode(), UploadedFile(filename=filename[1].decode(), size=len(content))
    return name[1].decode(), content.decode()
