"""VideoDB's refusal to make what exists already, which is what was asked for: one reader for all of its word orders.

"Scene index with id … already exists" is in VideoDB's own documents; others have seen the id behind it, with and
without a colon or quotes. What does not name an index or a collection for certain names none.
"""

import re

from video_jobs.jobs.model import LONGEST_MESSAGE
from video_jobs.platforms.videodb.media import kind

_EXISTS = r"(?:already exists?|exists? already)"
_ID = r"([A-Za-z0-9][A-Za-z0-9_.-]{0,255})"
_SAYS_SO = re.compile(_EXISTS, re.IGNORECASE)
_NAMED = re.compile(rf"\bid\b(?: (?:is|was))?[\s:=#\"'`(\[<]{{1,8}}{_ID}", re.IGNORECASE)
"""Behind the word "id", wherever that stands."""
_UNNAMED = re.compile(
    rf"\b(?:index|collection)[\s:\"'`(\[<]{{1,8}}{_ID}[\"'`)\]>]{{0,2}} {_EXISTS}"
    rf"|{_EXISTS}[.\s]{{0,3}}[:(\[<\"'`][\s\"'`(\[<]{{0,4}}{_ID}",
    re.IGNORECASE,
)
"""Without that word: right before "already exists", or behind it after a colon, a bracket or a quote."""
_WORDS = {"already", "exist", "exists", "for", "in", "is", "of", "on", "was", "with"}


def says_so(message: str | None) -> bool:
    """Whether a message says that what was asked for is there already."""
    return bool(_SAYS_SO.search((message or "")[:LONGEST_MESSAGE]))


def id_of(message: str | None) -> str | None:
    """The id of the index or collection that a message says to exist already; None if it names none for certain."""
    if not says_so(message):
        return None
    said = (message or "")[:LONGEST_MESSAGE]
    named = (_plain(found[1]) for found in _NAMED.finditer(said))
    unnamed = (_plain(found[1] or found[2]) for found in _UNNAMED.finditer(said))
    ids = [found for found in named if found.lower() not in _WORDS and kind(found) is None]
    # a word of prose has no digit
    ids += [found for found in unnamed if re.search(r"[0-9]", found) and kind(found) is None]
    return next(iter(ids), None)


def _plain(found: str) -> str:
    """Without what ends a sentence."""
    return found.rstrip(".-_")
