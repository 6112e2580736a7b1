"""The name of what decides: after an upgrade of any of it nothing is found that the old one remembered."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable

import phonenumbers
import stdnum

_DECIDING = (".py", ".yaml", ".tsv", ".json")
_ELSEWHERE = {"training", "rules", "policy.yaml", "policy.schema.json"}
"""What only trains, has a version of its own, or is asked after the text has been examined."""


def version_of_code(package: Traversable | None = None) -> str:
    """6 hex digits for the sources and data of this package, and for the libraries that know numbers and letters."""
    digest = hashlib.sha256()
    for name, raw in _files(package or resources.files("screening")):
        digest.update(f"{name}\0{len(raw)}\0".encode() + raw)
    digest.update(repr((phonenumbers.__version__, stdnum.__version__, unicodedata.unidata_version)).encode())
    return digest.hexdigest()[:6]


def _files(folder: Traversable, path: str = "") -> Iterator[tuple[str, bytes]]:
    """What decides in a folder and those within it, by name and in order."""
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name in _ELSEWHERE:
            continue
        if entry.is_dir():
            yield from _files(entry, f"{path}{entry.name}/")
        elif entry.name.endswith(_DECIDING):
            yield path + entry.name, entry.read_bytes()
