"""Ids in the form clients know: a prefix and 24 base-58 characters.

In: random bytes, 18 of them for ids that are unique in practice. Out: the id.
Source: the reference of the Messages API, sections 3, 7 and 9.
"""

from __future__ import annotations

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LENGTH = 24


def message_id(random: bytes) -> str:
    """`msg_…`: of a message."""
    return f"msg_{base58(random)}"


def request_id(random: bytes) -> str:
    """`req_…`: of one HTTP request, sent in the header `request-id` and in error bodies."""
    return f"req_{base58(random)}"


def tool_use_id(random: bytes) -> str:
    """`toolu_…`: of a call the client answers."""
    return f"toolu_{base58(random)}"


def server_tool_use_id(random: bytes) -> str:
    """`srvtoolu_…`: of a call that is answered inside the message."""
    return f"srvtoolu_{base58(random)}"


def base58(random: bytes) -> str:
    """24 characters; what does not fit into them is dropped."""
    number = int.from_bytes(random, "big")
    characters = []
    for _ in range(LENGTH):
        number, digit = divmod(number, 58)
        characters.append(ALPHABET[digit])
    return "".join(reversed(characters))
