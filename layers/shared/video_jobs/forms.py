"""Forms with files: multipart/form-data (RFC 7578)."""

import io
import re
from collections.abc import Iterator
from typing import NamedTuple

import multipart  # type: ignore[import-untyped]

MOST_PARTS = 32
_UTF_8 = frozenset({"utf-8", "utf8", "us-ascii", "ascii"})
"""How a text's charset may be called. Any other is refused: some take time that grows with the square of the text."""
_MEDIA_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+", re.ASCII)


class NotAFormError(Exception):
    """The body is no whole form."""


class FormFile(NamedTuple):
    """A file in a form, as urllib3 takes it."""

    name: str
    content: bytes
    content_type: str


def read(content_type: str, body: bytes) -> list[tuple[str, str | FormFile]]:
    """The fields of a form, in their order. Raises NotAFormError."""
    kind, options = multipart.parse_options_header(content_type)
    if kind != "multipart/form-data" or "boundary" not in options:
        raise NotAFormError("not multipart/form-data with a boundary")
    everything = len(body) + 1  # what fits into a request fits into memory
    try:
        return list(
            _fields(
                multipart.MultipartParser(
                    io.BytesIO(body),
                    options["boundary"],
                    part_limit=MOST_PARTS,
                    spool_limit=everything,
                    memory_limit=everything,
                )
            )
        )
    except (multipart.MultipartError, UnicodeError) as error:
        raise NotAFormError(f"not a whole form: {error}"[:200]) from None


def _fields(parser: multipart.MultipartParser) -> Iterator[tuple[str, str | FormFile]]:
    for part in parser:
        if not part.name:
            raise NotAFormError("a part has no name")
        if part.filename is None:
            yield part.name, _text(part)
        else:
            yield part.name, FormFile(_printable(part.filename), part.raw, _media_type(part.content_type))


def _text(part: multipart.MultipartPart) -> str:
    """What a field says, in UTF-8 and nothing else: which decoder runs is not the sender's choice."""
    if part.charset.strip().lower() not in _UTF_8:
        raise NotAFormError(f"the charset of a part is {_printable(part.charset)[:32]}: send UTF-8")
    text: str = part.raw.decode("utf-8")
    return text


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())


def _media_type(text: str) -> str:
    """As it was sent, if it can go into a header of ours."""
    return text if _MEDIA_TYPE.fullmatch(text) else "application/octet-stream"
