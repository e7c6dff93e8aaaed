"""About how many tokens a text is, from nothing but the kinds of its bytes: for when the vocabularies cannot be read.

In: a text. Out: a number of tokens for the older or the newer vocabulary. Each byte has a kind, and each kind and each pair of
different neighbours has a weight. Source: weights fitted by least squares of relative errors to the reference's counts of 650
texts (code, documents, many languages); on texts not used for it half the errors are below 6 %, 95 % below 22 %.
"""

from __future__ import annotations

# fmt: off
_OLDER = {
    "a": 0.16, "A": 0.22, "0": 0.22, "n": 0.39, " ": 0.08, ".": -0.05, "#": 0.04, "C": 0.69, "E": -0.24, "X": 0.67,
    "aA": 0.54, "a0": 1.72, "an": 1.36, "a ": 0.98, "a.": 1.15, "a#": 1.29, "aC": 0.01, "Aa": 0.1, "A0": 1.76, "An": -0.4,
    "A ": 0.79, "A.": 1.29, "A#": 1.59, "AC": -0.07, "0a": 0.54, "0n": -0.6, "0 ": 0.51, "0.": 0.76, "0#": 0.38, "na": 0.6,
    "nA": 2.14, "n ": 1.04, "n.": 1.31, "n#": 1.21, "nC": 2.74, "nE": 3.05, " a": -0.63, " A": -0.86, " 0": 0.96, " .": 1.31,
    " #": 0.58, " C": -1.75, " E": 1.79, ".a": 0.27, ".A": 0.96, ".0": 1.42, ".n": -0.47, ". ": 0.43, ".#": -0.02,
    "#a": 0.62, "#A": 0.37, "#0": 0.43, "#n": 0.17, "# ": 0.34, "CX": 0.69, "EX": -0.24, "Xa": 0.48, "Xn": 0.52, "X ": 0.02,
    "X.": 1.89, "X#": -1.8, "XC": -1.62, "XE": -0.06,
}
_NEWER = {
    "a": 0.3, "A": 0.71, "0": 0.33, "n": 0.6, " ": 0.08, ".": 0.22, "#": 0.16, "C": 0.49, "E": -0.17, "X": 0.94, "aA": -0.07,
    "a0": 1.09, "an": 1.8, "a ": 0.91, "a.": 0.66, "a#": 0.83, "aC": 0.51, "Aa": 0.27, "A0": 0.51, "An": -1.05, "A ": 1.36,
    "A.": 0.97, "A#": 1.76, "AC": -0.59, "0a": 1.14, "0n": -0.52, "0 ": 0.65, "0.": 0.72, "0#": 0.44, "na": 0.06, "nA": 1.89,
    "n ": 0.62, "n.": 0.61, "n#": 0.65, "nC": 2.08, "nE": 2.01, " a": -0.81, " A": -1.09, " 0": 0.51, " .": 1.5, " #": 0.56,
    " C": -1.63, " E": 1.26, ".a": 0.42, ".A": 0.59, ".0": 0.9, ".n": -0.8, ". ": 0.38, ".#": 0.01, "#a": 0.91, "#A": 0.92,
    "#0": 0.67, "#n": 0.23, "# ": 0.38, "#.": -0.11, "CX": 0.49, "EX": -0.17, "Xa": -0.07, "Xn": 0.92, "X ": -0.2,
    "X.": 1.78, "X#": -1.93, "XC": -1.46, "XE": -0.78,
}
# fmt: on


def _kind(byte: int) -> str:
    """One letter: small, capital, digit, line end, blank, joining sign, other sign, and what UTF-8 says of other scripts."""
    if byte >= 0x80:
        return "X" if byte < 0xC0 else "C" if byte < 0xE0 else "E" if byte < 0xF0 else "F"
    character = chr(byte)
    if character.isalpha():
        return "a" if character.islower() else "A"
    if character.isdigit():
        return "0"
    if character in "\n\r\t":
        return "n"
    if byte <= 0x20:
        return " "
    return "." if character in ".,_-/" else "#"


_KINDS = "".join(map(_kind, range(256))).encode()


def estimate(text: str, *, newer: bool) -> int:
    """Tokens of a text; at least one for any text."""
    kinds = text.encode(errors="surrogatepass").translate(_KINDS)
    weights = _NEWER if newer else _OLDER
    tokens = sum(weight * kinds.count(kind.encode()) for kind, weight in weights.items())
    return max(round(tokens), 1 if text else 0)
