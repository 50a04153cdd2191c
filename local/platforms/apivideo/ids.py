"""Ids in the shape of the printed ones: a prefix and 22 letters and digits."""

import string
from random import Random

LENGTH = 22


def new_id(prefix: str, random: Random) -> str:
    """As in vi4blUQJFrYWbaG44NChkH27 and webhook_1BWt3JArmQq9sNZzsHStRS."""
    return prefix + "".join(random.choices(string.ascii_letters + string.digits, k=LENGTH))
