"""Fields of platforms' bodies that nothing hangs on."""

from typing import Annotated, Any

from pydantic import ValidatorFunctionWrapHandler, WrapValidator


def _or_none(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValueError:
        return None


type Lenient[T] = Annotated[T | None, WrapValidator(_or_none)]
"""For display, or of some events only: an odd value is dropped, and does not make the body unreadable."""
