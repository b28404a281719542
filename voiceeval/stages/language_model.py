"""What a recognizer with a small vocabulary knows: sentences to learn from, and how words are pronounced."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from voiceeval.errors import AgentError

_PHONES = """
    AA AE AH AO AW AY B CH D DH EH ER EY F G HH IH IY JH K L M N NG OW OY P R S SH T TH UH UW V W Y Z ZH
"""
PHONES = frozenset(_PHONES.split())
"""The phones of the English model: ARPAbet without stress marks."""
_PUNCTUATION = re.compile(r"[^\w\s']+")
_ALTERNATIVE = re.compile(r"\(\d+\)$")
_NOT_WORDS = frozenset({"<s>", "</s>", "<sil>", "<unk>", "<UNK>"})

Pronunciations = Mapping[str, tuple[str, ...]]
"""Word -> its pronunciations, each a text of phones: ``{"read": ("R EH D", "R IY D")}``."""


def read_sentences(path: Path) -> tuple[str, ...]:
    """The sentences of a corpus: one per line, lower case, without punctuation.

    Empty lines and lines that begin with ``#`` are skipped. A sentence on two lines counts twice.

    Raises:
        AgentError: the file cannot be read, or holds no sentence.
    """
    written = (line for line in _text(path, key="corpus").splitlines() if not line.lstrip().startswith("#"))
    words = (_PUNCTUATION.sub(" ", line.lower().replace("’", "'")).split() for line in written)
    sentences = tuple(filter(None, (" ".join(filter(None, map(_unquoted, line))) for line in words)))
    if not sentences:
        raise AgentError(f"corpus: '{path}' holds no sentences; write one per line")
    return sentences


def vocabulary(sentences: Iterable[str]) -> frozenset[str]:
    """Every word that occurs."""
    return frozenset(word for sentence in sentences for word in sentence.split())


@functools.lru_cache(maxsize=16)
def trigrams(sentences: tuple[str, ...], discount: float) -> str:
    """A trigram model of the sentences with back-off, as the text of an ARPA file.

    Args:
        sentences: Words separated by spaces.
        discount: The share of probability kept for what the sentences do not contain, in (0, 1).
    """
    from pocketsphinx.lm import ArpaBoLM

    model = ArpaBoLM(text="\n".join(sentences), add_start=True, discount_mass=discount)
    model.compute()
    text = io.StringIO()
    model.write(text)
    return text.getvalue()


def arpa_vocabulary(path: Path) -> frozenset[str]:
    """Every word of an ARPA file's unigrams.

    Raises:
        AgentError: the file cannot be read, or is no ARPA file.
    """
    lines = iter(_text(path, key="language_model").splitlines())
    if not any(line.strip() == "\\1-grams:" for line in lines):
        raise AgentError(f"language_model: '{path}' is no ARPA file: it has no line '\\1-grams:'")
    words = set()
    for line in lines:
        if line.startswith("\\"):
            break
        columns = line.split()
        if len(columns) > 1 and columns[1] not in _NOT_WORDS:
            words.add(columns[1])
    return frozenset(words)


def read_pronunciations(path: Path) -> Pronunciations:
    """A file of pronunciations as CMUdict has them: ``lisinopril L AY S IH N AH P R IH L``.

    An alternative is another line for the same word, with or without its number: ``read(2) R EH D``. Empty
    lines and lines that begin with ``#`` are skipped.

    Raises:
        AgentError: the file cannot be read, or a line names no phones or unknown ones.
    """
    found: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(_text(path, key="dictionary").splitlines(), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        word, *phones = line.split()
        unknown = [phone for phone in phones if phone not in PHONES]
        if not phones or unknown:
            wrong = f"unknown phones {' '.join(unknown)}" if unknown else "a word without phones"
            raise AgentError(
                f"dictionary: '{path}' line {number}: {wrong}; write a word and its phones, such as "
                f"'read R EH D'. Phones: {' '.join(sorted(PHONES))}"
            )
        word = _ALTERNATIVE.sub("", word.lower())
        found[word] = (*found.get(word, ()), " ".join(phones))
    return found


def pronunciations_of(words: frozenset[str], dictionary: Path, extra: Pronunciations) -> Pronunciations:
    """How each of ``words`` is pronounced: as ``extra`` says, where it says nothing as ``dictionary`` does.

    Raises:
        AgentError: some words have no pronunciation; the message lists them and says how to add them.
    """
    found: dict[str, tuple[str, ...]] = {word: extra[word] for word in words if word in extra}
    wanted = words - found.keys()
    with dictionary.open(encoding="utf-8") as lines:
        for line in lines:
            entry, _, phones = line.partition(" ")
            word = _ALTERNATIVE.sub("", entry)
            if word in wanted:
                found[word] = (*found.get(word, ()), phones.strip())
    missing = sorted(words - found.keys())
    if missing:
        shown = ", ".join(missing[:20]) + (f" and {len(missing) - 20} more" if len(missing) > 20 else "")
        raise AgentError(
            f"no pronunciation is known for {shown}; write numbers and abbreviations as spoken, or give a "
            f"dictionary with a line per word, such as 'card K AA R D'"
        )
    return found


def dictionary_text(pronunciations: Pronunciations) -> str:
    """The text of a dictionary file, sorted."""
    lines = []
    for word in sorted(pronunciations):
        for number, phones in enumerate(dict.fromkeys(pronunciations[word]), start=1):
            lines.append(f"{word} {phones}" if number == 1 else f"{word}({number}) {phones}")
    return "\n".join(lines) + "\n"


def _unquoted(word: str) -> str:
    """A word without the quotes around it; ``'em`` keeps its apostrophe."""
    return word.strip("'") if word.startswith("'") and word.endswith("'") else word


def _text(path: Path, *, key: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise AgentError(f"{key}: cannot read '{path}' ({error.strerror})") from None
    except UnicodeDecodeError:
        raise AgentError(f"{key}: '{path}' is not UTF-8 text") from None
