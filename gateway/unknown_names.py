"""Names that are no parameter: which are refused and which are ignored, and how that is told. Pure.

A query string is written by hand, so every unknown name in it is refused; but for the cache busters of jQuery and
Ext JS. A form carries what upload widgets and frameworks add (`dzuuid`, `submit`, CSRF tokens), so an unknown field is
ignored, and the answer names it in X-Ignored-Fields. Never ignored is a field that somebody may have meant as a
parameter, by a slip, by another spelling or at the wrong endpoint: a mask would be weaker than asked for.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from urllib.parse import quote

from shared import numerals
from shared.errors import BadParameter

#: The multipart field that holds the file; never a parameter.
IMAGE_FIELD = "image"
#: A parameter, and the field of a file.
OVERLAY_FIELD = "overlay"
IGNORED_HEADER = "X-Ignored-Fields"

Pairs = Sequence[tuple[str, str]]

#: Sent with a number by libraries so that nothing between caches the answer.
CACHE_BUSTERS = ("_", "_dc")
#: Fields of frameworks that only look like parameters: Rails and Laravel name an HTTP method, browsers a form, upload
#: widgets a folder.
_FRAMEWORKS_OWN = ("_method", "folder", "form", "formdata", "title")
#: A word in a field's name → the parameter its sender has in mind.
_MEANT = {
    "confidence": "confidence", "conf": "confidence", "score": "confidence", "nms": "nms_threshold",
    "iou": "nms_threshold", "threshold": "confidence or nms_threshold", "faces": "max_faces", "face": "max_faces",
    "method": "method", "blur": "method or strength", "strength": "strength", "intensity": "strength",
    "kernel": "strength", "block": "strength", "radius": "strength", "sigma": "strength", "padding": "padding",
    "pad": "padding", "margin": "padding", "expand": "padding", "format": "format", "fmt": "format",
    "quality": "quality", "color": "color", "colour": "color", "exif": "metadata",
    "emoji": "overlay", "sticker": "overlay",
}  # fmt: skip
#: How like two names are: 0.8 takes a swapped, missing or doubled letter.
_LIKE = 0.8
#: So much of a name is compared: more than anybody's slip, and little work.
_NAME_READ_MAX, _WORDS_READ_MAX = 64, 4
#: A longer word may go on as it likes: `kernelsize`, `formats`.
_WORD_BEGUN_MIN = 5
_NAME_SHOWN_MAX = 40
#: Parameters of mask alone; detect refuses them, since who sends one expects a masked picture.
_OF_MASK = (
    "method", "strength", "padding", "format", "quality", "color", "keep", "only", "regions", "detect",
    "metadata", "overlay", "annotate",
)  # fmt: skip


def refuse_unknown(known: Sequence[str], query: Pairs, form: Pairs) -> None:
    """Raises BadParameter for the first unknown name that may not be ignored."""
    for name, text in query:
        if name not in known and not _is_cache_buster(name, text):
            raise BadParameter(_unknown("parameter", name, known))
    for name, _ in form:
        if name not in known and name.lower() not in _FRAMEWORKS_OWN and _may_be_meant(name, known):
            raise BadParameter(_unknown("form field", name, known))


def ignored_names(known: Sequence[str], query: Pairs, form: Pairs) -> str:
    """The names that `refuse_unknown` let pass, for X-Ignored-Fields: each once, in order, as ASCII; "" for none."""
    names = dict.fromkeys(name for name, _ in [*query, *form] if name not in known)
    return ", ".join(quote(name, safe="[]")[:_NAME_SHOWN_MAX] for name in names)


def shown(text: str) -> str:
    """A caller's text, short and on one line."""
    told = repr(text[:41])  # in which a character may be written as ten
    return told if len(told) <= 42 else f"{told[:38]}...{told[-1]}"


def _is_cache_buster(name: str, text: str) -> bool:
    return name in CACHE_BUSTERS and numerals.count(text) is not None


def _may_be_meant(name: str, known: Sequence[str]) -> bool:
    return _letters(name) in _OF_MASK or bool(_meant(name, known))


def _unknown(what: str, name: str, known: Sequence[str]) -> str:
    if name == IMAGE_FIELD:
        return f"{IMAGE_FIELD} is the file: send it in the body, not in the URL"
    if meant := _meant(name, known):
        hint = f"; did you mean {meant}?"
    else:
        hint = "; it belongs to /api/v1/mask." if _letters(name) in _OF_MASK else "."
    return f"unknown {what} {shown(name)}{hint} Known: {', '.join(known)}"


def _meant(name: str, known: Sequence[str]) -> str:
    """The parameter that a name like this stands for; "" for none."""
    name = name[:_NAME_READ_MAX]
    like = difflib.get_close_matches(_letters(name), [_letters(each) for each in known], n=1, cutoff=_LIKE)
    if like:
        return next(each for each in known if _letters(each) == like[0])
    meant = (_MEANT.get(_like_a_word_of_ours(word), "") for word in _words(name))
    return next((each for each in meant if any(part in known for part in each.split(" or "))), "")


def _like_a_word_of_ours(word: str) -> str:
    """`strenght` and `blocksize` are strength and block; "" for others."""
    begun = [each for each in _MEANT if len(each) >= _WORD_BEGUN_MIN and word.startswith(each)]
    return next(iter(begun or difflib.get_close_matches(word, _MEANT, n=1, cutoff=0.9)), "")


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name).lower()


def _words(name: str) -> list[str]:
    """`blurStrength`, `blur-strength` and `blur[strength]` are blur and strength."""
    return re.findall(r"[a-z]{3,}", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower())[:_WORDS_READ_MAX]
