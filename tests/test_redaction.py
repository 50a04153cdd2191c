"""What must not be read anywhere is hidden, what helps is left, and it takes no longer than the text is long."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter, ValidationError
from video_jobs import redaction
from video_jobs.callbacks.proofs import callback_url
from video_jobs.jobs.model import LONGEST_MESSAGE, JobError
from video_jobs.platforms.apivideo import errors as apivideo
from video_jobs.platforms.apsaravideo import errors as apsaravideo
from video_jobs.platforms.twelvelabs import errors as twelvelabs
from video_jobs.platforms.videodb import errors as videodb
from video_jobs.redaction import redacted

SIGNATURE = "9f0d3a" * 10 + "beef"
PRESIGNED = (
    "https://bucket.s3.eu-central-1.amazonaws.com/a/lecture%201.mp4?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    f"&X-Amz-Credential=AKIDEXAMPLE%2F20261122%2Feu&X-Amz-Security-Token=IQoJb3Jp%2F%2F&X-Amz-Signature={SIGNATURE}"
)
PLACE = "bucket.s3.eu-central-1.amazonaws.com/a/lecture%201.mp4"
CALLBACK = callback_url("https://jobs.example.com", "videodb/upload", "job-1", 1, key="a-callback-key")
API_KEY = "sk-live+0123/456"
SECRET_PARTS = ("AKIDEXAMPLE", "IQoJb3Jp", SIGNATURE, SIGNATURE[:20], CALLBACK[-64:], API_KEY, quote(API_KEY, safe=""))


@pytest.fixture(autouse=True)
def knows_the_api_key() -> Iterator[None]:
    redaction.know([API_KEY])
    yield
    redaction.forget()


SENTENCES = [
    "Download failed: {}",
    "Download failed: {}.",
    "could not fetch '{}' (403)",
    'could not fetch "{}", as it is private',
    "<Error><Resource>{}</Resource></Error>",
    "see `{}`; then (or before) [{}]",
    "{{'url': '{}', 'status': 403}}",
    "{}\n{}",
]
SPELLINGS: dict[str, Callable[[str], str]] = {
    "as it is": lambda url: url,
    "as JSON may write it": lambda url: url.replace("/", "\\/").replace("&", "\\u0026"),
    "as HTML writes it": lambda url: url.replace("&", "&amp;"),
    "percent-encoded": lambda url: quote(url, safe=""),
    "percent-encoded twice": lambda url: quote(quote(url, safe=""), safe=""),
    "without its scheme": lambda url: url.removeprefix("https://"),
    "as a path": lambda url: "/" + url.split("/", 3)[3],
    "in upper case": lambda url: "HTTPS" + url.removeprefix("https"),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("sentence", SENTENCES)
@pytest.mark.parametrize("url", [PRESIGNED, CALLBACK, f"https://example.com/a?{API_KEY}"], ids=["s3", "ours", "key"])
def test_nothing_of_a_query_is_left_however_the_url_is_written(url: str, sentence: str, spelling: str) -> None:
    written = SPELLINGS[spelling](url)

    said = redacted(sentence.format(*[written] * 2))

    assert not [part for part in SECRET_PARTS if part in said or quote(part) in said]
    assert "***" in said


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"Download failed: {PRESIGNED}.", f"Download failed: https://{PLACE}?***."),
        (f"could not fetch '{PRESIGNED}' (403)", f"could not fetch 'https://{PLACE}?***' (403)"),
        ("https://user:pass@word@example.com:8443/a is private", "https://***@example.com:8443/a is private"),
        ("https%3A%2F%2Fuser%3Apass%40example.com%2Fa", "https%3A%2F%2F***@example.com%2Fa"),
        (CALLBACK, "https://jobs.example.com/callbacks/videodb/upload?***"),
        (f"the key {API_KEY} is no good", "the key *** is no good"),
        (f"x-amz-signature={SIGNATURE}&more=1", "x-amz-signature=***&more=1"),
        ("Authorization: Basic c2stbGl2ZSswMTIzLzQ1Njo=", "Authorization: Basic ***"),
        (f"the token {SIGNATURE} is over", "the token *** is over"),
    ],
)
def test_what_helps_to_find_the_mistake_is_left(text: str, left: str) -> None:
    assert redacted(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Something went wrong",
        "Scene index with id f4db35c5ce45a709 already exists",
        "The token is missing. Is it in the secret?",
        "See https://docs.twelvelabs.io/api-reference/error-codes.",
        "duration at least 4 seconds; current duration is 2.1 seconds (a=b)",
        "your basic plan does not include this",
        "a/b/c@d.example: no such user",
    ],
)
def test_ordinary_words_stay_as_they_are(text: str) -> None:
    assert redacted(text) == text


def test_short_values_are_not_looked_for_in_every_word() -> None:
    redaction.know(["went", ""])

    assert redacted("Something went wrong") == "Something went wrong"


PIECES = st.sampled_from(
    ["https://", "://", "?", "=", "&", "#", "@", "%3A%2F%2F", "%3F", "%25", "'", '"', ")", ".", "\\", "\\/", " ", "\n",
     "a", "token", "sig", "basic ", "Input tag '", "[type=x, input_value=", API_KEY, SIGNATURE, "***", "ä"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=30))
@example(["%3A%2F%2F", SIGNATURE])
def test_what_is_redacted_stays_as_it_is_and_has_no_secret(pieces: list[str]) -> None:
    once = redacted("".join(pieces))

    assert redacted(once) == once
    assert API_KEY not in once
    assert SIGNATURE not in once


SLOW = ["://", "://a@", ":\\/\\/", "?", "?a", "?='", "%25", "%2525", "%3A%2F%2F", "token", "basic ", "'", "@", "a", "f",
        "[type=a", ", input_value=", "[type=a, input_value=", "Input tag '"]  # fmt: skip


@pytest.mark.parametrize("piece", SLOW)
@pytest.mark.parametrize("start", ["", "://", "://x?"])
def test_words_that_are_made_to_be_read_slowly_are_read(piece: str, start: str) -> None:
    """A pattern that looks at half a million characters again for each of them would not come to an end."""
    text = start + piece * (500_000 // len(piece))

    assert len(redacted(text)) <= len(text) + 50


# --- Every error of a platform ----------------------------------------------------------------------------------------

ERRORS: dict[str, Callable[[str], JobError]] = {
    "videodb": lambda said: videodb.from_message(said, status=400),
    "apivideo": lambda said: apivideo.of_refusal({"title": "Bad", "detail": said}, status=400),
    "apsaravideo": lambda said: apsaravideo.of_refusal("InvalidParameter", said),
    "apsaravideo upload": lambda said: apsaravideo.of_upload("DOWNLOAD_FAIL", said),
    "twelvelabs": lambda said: twelvelabs.of_refusal({"code": "parameter_invalid", "message": said}, status=400),
    "twelvelabs failure": lambda said: twelvelabs.of_failure(said, otherwise=twelvelabs.TASK_FAILED),
    "twelvelabs parameter": lambda said: twelvelabs.KNOWN_ERRORS["video_resolution_too_low"].with_message(
        f"current resolution is {said}"
    ),
}


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("secret", [PRESIGNED, CALLBACK, API_KEY], ids=["s3", "ours", "key"])
def test_no_platforms_error_quotes_a_credential(make: Callable[[str], JobError], secret: str) -> None:
    error = make(f"{secret} was refused")

    assert not [part for part in SECRET_PARTS if part in error.model_dump_json()]
    assert "was refused" in error.message


@pytest.mark.parametrize("make", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("room", range(1, len(API_KEY), 3))
def test_a_long_message_is_not_cut_within_a_secret(make: Callable[[str], JobError], room: int) -> None:
    text = "x" * (LONGEST_MESSAGE - room) + API_KEY

    for before in ("", "y" * 20):
        error = make(before + text)
        assert len(error.message) <= LONGEST_MESSAGE
        assert API_KEY[:4] not in error.message


def test_an_error_that_was_stored_with_credentials_is_shown_without() -> None:
    stored = {"code": "x", "message": PRESIGNED, "cause": API_KEY, "action": "a", "retryable": True}

    shown = JobError.model_validate(stored).model_dump_json()

    assert not [part for part in SECRET_PARTS if part in shown]


# --- pydantic's errors ------------------------------------------------------------------------------------------------


class _Model(BaseModel):
    number: int


@pytest.mark.parametrize("value", ["leak", "le\nak] leak", "leak', input_type=str] leak" * 10])
def test_what_does_not_fit_is_not_quoted(value: str) -> None:
    with pytest.raises(ValidationError) as raised:
        TypeAdapter(list[_Model]).validate_python([{"number": value}, {"number": 1.5}])

    said = redacted(str(raised.value))

    assert "leak" not in said
    assert "0.number" in said
    assert "[type=int_parsing]" in said
    assert "[type=int_from_float]" in said
