"""The title of a medium, for platforms that ask for one: what a caller gives, and what we make up."""

from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit


def of_source(source: str, *, most_bytes: int, otherwise: str) -> str:
    """A title that is never empty: the name of the source's file, else its host, else `otherwise`.

    Without what cannot be printed, and of `most_bytes` bytes of UTF-8 at most: no character is cut in two.
    """
    for name in (name_of(source), urlsplit(source).hostname or ""):
        if title := _fitting(name, most_bytes):
            return title
    return _fitting(otherwise, most_bytes)


def name_of(source: str) -> str:
    """The name of the file that a URL is about; "" if its path has none."""
    return PurePosixPath(unquote(urlsplit(source).path)).name


def _fitting(text: str, most_bytes: int) -> str:
    printable = "".join(character for character in text if character.isprintable()).strip()
    return printable.encode()[:most_bytes].decode(errors="ignore").strip()


def of_caller(title: str, *, most_bytes: int) -> str:
    """A caller's title as it is. Raises ValueError for one that the platform does not take."""
    if not title.strip():
        raise ValueError("must not be blank")
    if len(title.encode()) > most_bytes:
        raise ValueError(f"must have at most {most_bytes} bytes in UTF-8")
    return title
