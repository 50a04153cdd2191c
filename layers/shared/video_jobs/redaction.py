"""What must not be read in our log and in our errors, whoever's words they are: credentials.

A platform's message may quote the URL that it was given: a presigned source, or our callback URL with its token. Every
pattern here takes time that grows with the text and no faster, for the text is others'.
"""

import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "***"
_SHORTEST_SECRET = 8
"""Characters. What is shorter stands in many a harmless word."""
_AFTER = "'),.;:!]}\\"
"""What follows a URL in a sentence, and belongs to the sentence."""

_URL = re.compile(r"(:(?:\\?/){2}|%(?:25)*3A(?:%(?:25)*2F){2})([^\s\"<>`]+)", re.IGNORECASE)
"""From behind the scheme to the end: also as JSON writes it (`:\\/\\/`), or percent-encoded, once or more often."""
_USER = re.compile(r"(?:(?!%(?:25)*2F)[^/\\?#])*(?:@|%(?:25)*40)", re.IGNORECASE)
_QUERY = re.compile(r"([?#]|%(?:25)*(?:3F|23)).*", re.IGNORECASE)
_BARE_QUERY = re.compile(r"(\?[^\s\"<>`=?]*=)([^\s\"<>`]*)")
"""A query behind a path alone: `GET /lecture.mp4?X-Amz-Signature=…`."""
_NAMED = re.compile(
    r"(signature|token|credential|secret|password|access[-_]?key(?:[-_]?id)?|api[-_]?key|(?<![a-z])sig)=[^\s&\"'<>`]+",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b(bearer|basic) [\w.~+/=-]{20,}", re.IGNORECASE | re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64,}", re.IGNORECASE)
"""Our tokens, and what AWS signs URLs with; longer where a percent-encoded sign stands right before it."""
_INPUT = re.compile(r"(\[type=\w+), input_value=[^\n]*")
_TAG = re.compile(r"Input tag '[^\n]*")
"""pydantic's errors quote what did not fit, unless their model forbids it; a tag always."""

_known: dict[str, None] = {}


def know(secrets: Iterable[str]) -> None:
    """Hide these, as they are and as a URL writes them, from now on."""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            _known.update({secret: None, quote(secret, safe=""): None})


def forget() -> None:
    """Know no secret any more."""
    _known.clear()


def redacted(text: str) -> str:
    """A text without what is, or may be, a credential: what URLs have behind their path, and the secrets that we know.

    What is redacted already stays as it is.
    """
    for secret in sorted(_known, key=len, reverse=True):  # one may begin as another one does
        text = text.replace(secret, HIDDEN)
    text = _INPUT.sub(r"\1]", text)
    text = _TAG.sub(f"Input tag {HIDDEN} [type=union_tag_invalid]", text)
    text = _URL.sub(lambda found: found[1] + _without_credentials(found[2]), text)
    text = _BARE_QUERY.sub(lambda found: f"?{HIDDEN}{_after(found[0])}", text)
    text = _NAMED.sub(rf"\1={HIDDEN}", text)
    text = _AUTHORIZATION.sub(rf"\1 {HIDDEN}", text)
    return _DIGEST.sub(HIDDEN, text)


def _without_credentials(url: str) -> str:
    """What is behind a URL's scheme, without user and query."""
    after = _after(url)
    said = url.removesuffix(after)
    if (user := _USER.match(said)) is not None:
        said = f"{HIDDEN}@{said[user.end() :]}"
    return _QUERY.sub(rf"\1{HIDDEN}", said, count=1) + after


def _after(text: str) -> str:
    return text[len(text.rstrip(_AFTER)) :]
